"""What `open` says in aiokafka's words: the portable configuration, and options of its own names.

Options that are functions or objects, and what they take in their place:
    key_serializer, value_serializer, key_deserializer, value_deserializer    "identity"
    partition_assignment_strategy    names of the client's own: "range", "roundrobin", "sticky"
    sasl_oauth_token_provider        "unsecured:NAME": a token of NAME that nobody signed
    ssl_context                      the arguments of the client's `create_ssl_context`
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import driverkit
from aiokafka import helpers
from aiokafka.abc import AbstractTokenProvider
from driverkit import Command, RefusedError

_CONSUMER = {
    "group": "group_id",
    "instance_id": "group_instance_id",
    "assignor": "partition_assignment_strategy",
    "auto_commit": "enable_auto_commit",
    "auto_commit_interval_ms": "auto_commit_interval_ms",
    "offset_reset": "auto_offset_reset",
    "isolation": "isolation_level",
    "session_timeout_ms": "session_timeout_ms",
    "max_poll_interval_ms": "max_poll_interval_ms",
    "max_poll_records": "max_poll_records",
    "fetch_min_bytes": "fetch_min_bytes",
    "fetch_max_bytes": "fetch_max_bytes",
    "max_partition_fetch_bytes": "max_partition_fetch_bytes",
    "request_timeout_ms": "request_timeout_ms",
}
_PRODUCER = {
    "acks": "acks",
    "idempotence": "enable_idempotence",
    "transactional_id": "transactional_id",
    "linger_ms": "linger_ms",
    "batch_bytes": "max_batch_size",
    "compression": "compression_type",
    "request_timeout_ms": "request_timeout_ms",
    "max_message_bytes": "max_request_size",
}
_KEYS = {"consumer": _CONSUMER, "producer": _PRODUCER}
_VALUES = {
    ("assignor", "range"): ["range"],
    ("assignor", "roundrobin"): ["roundrobin"],
    ("compression", "none"): None,
}
_ASSIGNORS = {
    "range": "RangePartitionAssignor",
    "roundrobin": "RoundRobinPartitionAssignor",
    "sticky": "StickyPartitionAssignor",
}
_TOKEN_S = 3600


def settings(role: str, command: Command) -> dict[str, Any]:
    """Arguments for the client; refuses a portable key or value that it lacks.

    An option that it lacks the client refuses itself, by its name.
    """
    portable = dict(command.get("config") or {})
    protocol = portable.pop("group_protocol", "classic") if role == "consumer" else "classic"
    if protocol != "classic":
        raise RefusedError(f"config key 'group_protocol': aiokafka has classic, found '{protocol}'")
    own = driverkit.translate("aiokafka", role, portable, _KEYS[role], _VALUES)
    given = {"bootstrap_servers": command["bootstrap"], **own, **(command.get("options") or {})}
    for key in given.keys() & _FUNCTIONS.keys():
        given[key] = _FUNCTIONS[key](given[key])
    return given


def _assignors(names: Any) -> list[type]:
    found = []
    for name in names if isinstance(names, list) else [names]:
        if name not in _ASSIGNORS:
            has = ", ".join(_ASSIGNORS)
            raise RefusedError(f"assignor: aiokafka has {has}, found '{name}'")
        found.append(_assignor(name))
    return found


def _assignor(name: str) -> type:
    home = f"coordinator.assignors.{name if name != 'sticky' else 'sticky.sticky_assignor'}"
    try:
        module = import_module(f"aiokafka.{home}")
    except ImportError:  # up to 0.8 it had kafka-python's
        module = import_module(f"kafka.{home}")
    found: type = getattr(module, _ASSIGNORS[name])
    return found


def _identity(name: Any) -> Callable[[Any], Any]:
    if name != "identity":
        raise RefusedError(f"a function: this driver has identity, found '{name}'")
    return lambda data: data


def _ssl_context(arguments: Mapping[str, Any]) -> Any:
    return helpers.create_ssl_context(**arguments)


class _Unsecured(AbstractTokenProvider):
    """Tokens that a broker with Kafka's unsecured validator takes."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def token(self) -> str:
        """A token that is good for an hour."""
        now_s = int(time.time())
        claims = {"sub": self.name, "iat": now_s, "exp": now_s + _TOKEN_S}
        parts = ({"alg": "none"}, claims)
        encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts]
        return b".".join([*encoded, b""]).decode()


def _token_provider(given: Any) -> AbstractTokenProvider:
    kind, _, name = str(given).partition(":")
    if kind != "unsecured" or not name:
        has = "this driver has unsecured:NAME"
        raise RefusedError(f"sasl_oauth_token_provider: {has}, found '{given}'")
    return _Unsecured(name)


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "key_serializer": _identity,
    "value_serializer": _identity,
    "key_deserializer": _identity,
    "value_deserializer": _identity,
    "partition_assignment_strategy": _assignors,
    "sasl_oauth_token_provider": _token_provider,
    "ssl_context": _ssl_context,
}
