"""The contract's portable configuration in librdkafka's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import driverkit

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


def translate(role: str, bootstrap: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The client's configuration; refuses a key that it lacks."""
    native = driverkit.translate("confluent-kafka", role, config, _KEYS[role], _VALUES)
    return {"bootstrap.servers": bootstrap} | native
