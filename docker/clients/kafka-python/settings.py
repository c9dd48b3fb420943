"""What `open` gives, in this client's words: portable configuration, and its own options.

Options that take an object of Python are given by a name; `named` has them all, what it lacks is
refused.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import driverkit
from driverkit import Command, RefusedError
from kafka import partitioner as partitioners

_COMMON = {"request_timeout_ms": "request_timeout_ms"}
_CONSUMER = {
    "group": "group_id",
    "group_protocol": "group_protocol",
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
}
_PRODUCER = {
    "acks": "acks",
    "idempotence": "enable_idempotence",
    "transactional_id": "transactional_id",
    "linger_ms": "linger_ms",
    "batch_bytes": "batch_size",
    "compression": "compression_type",
    "delivery_timeout_ms": "delivery_timeout_ms",
    "max_message_bytes": "max_request_size",
}
_KEYS = {"admin": _COMMON, "consumer": _COMMON | _CONSUMER, "producer": _COMMON | _PRODUCER}


def _assignors() -> dict[str, Any]:
    """The client's own assignors, by the name that they have in a group."""
    found = {}
    for module, name in (
        ("range", "RangePartitionAssignor"),
        ("roundrobin", "RoundRobinPartitionAssignor"),
        ("sticky.sticky_assignor", "StickyPartitionAssignor"),
        ("cooperative_sticky", "CooperativeStickyAssignor"),
    ):
        try:
            assignor = getattr(import_module(f"kafka.coordinator.assignors.{module}"), name)
        except (ImportError, AttributeError):
            continue  # this version has none
        found[assignor.name] = assignor
    return found


ASSIGNORS = _assignors()


def settings(native: Any, role: str, command: Command) -> dict[str, Any]:
    """The arguments of the native class; refuses, by name, what it lacks or would ignore."""
    known: Mapping[str, Any] = native.DEFAULT_CONFIG
    keys = {portable: own for portable, own in _KEYS[role].items() if own in known}
    config = dict(command.get("config") or {})
    found = driverkit.translate("kafka-python", role, config, keys, {("compression", "none"): None})
    if "assignor" in config:
        found["partition_assignment_strategy"] = _strategy("config key", [config["assignor"]])
    for name, value in (command.get("options") or {}).items():
        if name not in known:  # some versions drop what they know to be obsolete with a warning
            raise RefusedError(f"Unrecognized configs: {name}")
        found[name] = named(name, value)
    return {"bootstrap_servers": command["bootstrap"]} | found


def named(option: str, value: Any) -> Any:
    """An option's value as the client takes it."""
    if value is None:
        return None
    if option == "partition_assignment_strategy":
        return _strategy("option", value)
    if option == "partitioner":
        return _partitioner(value)
    if option == "sasl_oauth_token_provider":
        return _token_provider(value)
    if option in _OBJECTS:
        raise RefusedError(f"option {option!r}: takes an object of Python, this driver has none")
    if option == "socket_options":
        return [tuple(each) for each in value]
    return tuple(value) if option == "api_version" and isinstance(value, list) else value


_OBJECTS = frozenset(
    {
        "default_offset_commit_callback",
        "kafka_client",
        "key_deserializer",
        "key_serializer",
        "metric_reporters",
        "sasl_kerberos_name",
        "selector",
        "ssl_context",
        "value_deserializer",
        "value_serializer",
    }
)


def _strategy(where: str, names: Any) -> list[Any]:
    for name in names:
        if name not in ASSIGNORS:
            has = ", ".join(ASSIGNORS)
            raise RefusedError(f"{where} 'assignor': this client has {has}, found {name!r}")
    return [ASSIGNORS[name] for name in names]


def _partitioner(name: str) -> Any:
    if not name.endswith("Partitioner") or not hasattr(partitioners, name):
        raise RefusedError(f"option 'partitioner': kafka.partitioner has no {name!r}")
    return getattr(partitioners, name)()


def _token_provider(name: str) -> Any:
    kind, _, subject = name.partition(":")
    if kind != "unsecured" or not subject:
        raise RefusedError(
            f"option 'sasl_oauth_token_provider': expected unsecured:SUBJECT, found {name!r}"
        )

    class Unsecured(_class_of_providers()):
        """Tokens without a signature, as brokers take them that have no authority configured."""

        def token(self) -> str:
            now = time.time()
            claims = {"sub": subject, "iat": now, "exp": now + 3600}
            return ".".join([_base64({"alg": "none"}), _base64(claims), ""])

    return Unsecured()


def _class_of_providers() -> Any:
    for module in ("kafka.net.sasl.oauth", "kafka.sasl.oauth", "kafka.oauth"):  # newest first
        with contextlib.suppress(ImportError, AttributeError):
            return import_module(module).AbstractTokenProvider
    raise RefusedError("option 'sasl_oauth_token_provider': this version has no class for it")


def _base64(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
