"""The contract's portable configuration in librdkafka's words; the rest is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COMMON = {"request_timeout_ms": "socket.timeout.ms"}
_CONSUMER = {
    "group": "group.id",
    "group_protocol": "group.protocol",
    "instance_id": "group.instance.id",
    "assignor": "partition.assignment.strategy",
    "auto_commit": "enable.auto.commit",
    "auto_commit_interval_ms": "auto.commit.interval.ms",
    "offset_reset": "auto.offset.reset",
    "isolation": "isolation.level",
    "session_timeout_ms": "session.timeout.ms",
    "max_poll_interval_ms": "max.poll.interval.ms",
    "fetch_min_bytes": "fetch.min.bytes",
    "fetch_max_bytes": "fetch.max.bytes",
    "max_partition_fetch_bytes": "max.partition.fetch.bytes",
}
_PRODUCER = {
    "acks": "acks",
    "idempotence": "enable.idempotence",
    "transactional_id": "transactional.id",
    "linger_ms": "linger.ms",
    "batch_bytes": "batch.size",
    "compression": "compression.type",
    "delivery_timeout_ms": "delivery.timeout.ms",
    "request_timeout_ms": "request.timeout.ms",
    "max_message_bytes": "message.max.bytes",
    "queue_max_records": "queue.buffering.max.messages",
}
_KEYS = {
    "admin": _COMMON,
    "consumer": _COMMON | _CONSUMER,
    "producer": _PRODUCER,
}
_VALUES = {("offset_reset", "none"): "error"}


class RefusedError(ValueError):
    """A key or role that this client does not have."""


def translate(role: str, bootstrap: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The client's configuration; raises `RefusedError` with the key that it lacks."""
    if role not in _KEYS:
        raise RefusedError(f"role: expected one of {', '.join(sorted(_KEYS))}, found {role!r}")
    keys = _KEYS[role]
    native: dict[str, Any] = {"bootstrap.servers": bootstrap}
    for key, value in config.items():
        if key not in keys:
            raise RefusedError(
                f"config key {key!r}: confluent-kafka has no such setting for a {role}"
            )
        native[keys[key]] = _VALUES.get((key, value), value)
    return native
