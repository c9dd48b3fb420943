"""The driver contract as the lab's side needs it; docs/driver-contract.md is the text."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

CONTRACT_VERSION = 1
COMPLETIONS = frozenset({"ok", "fail", "info"})
_HELLO = ("contract", "driver", "client", "runtime", "pid", "wall_ns", "capabilities")

Event = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """The completion of one command. `raw` is the whole event, as the driver wrote it."""

    type: str  # ok | fail | info
    id: int
    raw: Mapping[str, Any] = field(repr=False)
    error: Mapping[str, Any] | None
    time_ns: int  # CLOCK_MONOTONIC of the driver's host


class Command(Future[Reply]):
    """A command that was sent; it resolves with its completion."""

    def __init__(self, op_id: int) -> None:
        super().__init__()
        self.op_id = op_id  # the `id` of its events


def hello_problem(event: Event) -> str | None:
    """What is wrong with a driver's first event, as half a sentence; None when nothing is."""
    if event["type"] != "hello":
        return f"expected hello as the first event, found {event['type']!r}"
    missing = [name for name in _HELLO if name not in event]
    if missing:
        return f"its hello lacks {', '.join(missing)}"
    if event["contract"] != CONTRACT_VERSION:
        return f"speaks contract version {event['contract']!r}, this lab speaks {CONTRACT_VERSION}"
    return None
