"""The contract's *Content*: what a record holds that is not plain.

A record is plain when it has no key and no headers and its value is the payload. Plain records are
nearly all of them, so they take the short way: nothing here is called for them but `polled`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from driverkit.payload import MAGIC, unpack

Header = tuple[str, bytes | None]


def parts(
    content: Mapping[str, Any], payload: bytes
) -> tuple[bytes | None, bytes | None, list[Header]]:
    """Key, value and headers to send for the content of a `send`."""
    return (
        _bytes(content.get("key"), payload),
        _bytes(content.get("value", "payload"), payload),
        [(name, _bytes(part, payload)) for name, part in content.get("headers") or ()],
    )


def polled(
    topic: str,
    partition: int,
    offset: int,
    value: bytes | None,
    key: bytes | None = None,
    headers: Sequence[Header] | None = None,
) -> list[Any]:
    """One polled record in the contract's form, with its content where it is not plain."""
    number, problem, intended, topic_crc = unpack(value)
    size = 0 if value is None else len(value)
    row = [topic, partition, offset, number, size, problem, intended, topic_crc]
    if key is None and not headers and (problem is None or _is_payload(value)):
        return row
    for part in (value, key, *(part for _, part in headers or ())):
        if _is_payload(part):
            row[3], row[5], row[6], row[7] = unpack(part)
            break
    named = [[name, _text(part)] for name, part in headers or ()]
    return [*row, {"key": _text(key), "value": _text(value), "headers": named}]


def _is_payload(part: bytes | None) -> bool:
    return part is not None and part.startswith(MAGIC)


def _bytes(part: str | None, payload: bytes) -> bytes | None:
    if part == "payload":
        return payload
    return None if part is None else part.encode("latin-1")


def _text(part: bytes | None) -> str | None:
    if _is_payload(part):
        return "payload"
    return None if part is None else part.decode("latin-1")
