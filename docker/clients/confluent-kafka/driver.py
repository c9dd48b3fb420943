"""The driver of confluent-kafka: obeys docs/driver-contract.md on stdin and stdout.

The main thread reads commands and never calls the client; each client has a thread of its own
(client.py). Roles are in ROLES: a wrapper of this driver may pass its own to `main`.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import confluent_kafka
from client import Client, Command
from consumer import ConsumerClient
from outcomes import describe
from producer import ProducerClient
from runtime_metrics import runtime_metrics
from wire import Wire

CONTRACT = 1
EXIT_S = 10.0  # how long clients get to close at the end of the process
_KIP848 = 0x020C0000  # the librdkafka since which the new group protocol is for production
CAPABILITIES = [
    "produce",
    "consume",
    "idempotence",
    "transactions",
    "cooperative",
    "static-membership",
    "pause",
    "seek",
    "position",
    "commit-sync",
    "commit-async",
    "auto-commit",
    "loop-produce",
    "loop-consume-poll",
    "loop-consume-batch",
    "compression-gzip",
    "compression-snappy",
    "compression-lz4",
    "compression-zstd",
    "buffered-records",
]

ROLES: dict[str, type[Client]] = {"producer": ProducerClient, "consumer": ConsumerClient}
try:
    from admin import AdminRole
except ImportError:  # this version's AdminClient lacks what the contract needs of an admin
    pass
else:
    ROLES["admin"] = AdminRole
    CAPABILITIES.append("admin")
if confluent_kafka.libversion()[1] >= _KIP848:
    CAPABILITIES.append("kip848")


class _Ended(Exception):  # noqa: N818 not an error: SIGTERM
    """SIGTERM came."""


class _RefusedError(ValueError):
    """A command that cannot be carried out as it is written."""


class Host:
    """Dispatches commands to clients."""

    def __init__(self, wire: Wire, roles: Mapping[str, type[Client]]) -> None:
        self.wire = wire
        self.roles = roles
        self.clients: dict[str, Client] = {}

    def line(self, line: bytes) -> None:
        """Carry out one line; one that cannot be is answered, and the driver lives on."""
        command: Any = None
        try:
            command = json.loads(line)
            if not isinstance(command, dict):
                raise _RefusedError("expected a JSON object")
            self.command(command)
        except (ValueError, KeyError, TypeError) as error:
            self._refuse(command, error)

    def command(self, command: dict[str, Any]) -> None:
        """Dispatch one command."""
        for field in ("id", "op"):
            if field not in command:
                raise _RefusedError(f"expected the field '{field}'")
        op = command["op"]
        immediate = getattr(self, f"now_{op}", None)
        if immediate is not None:
            self._now(command, immediate)
            return
        if op not in FIELDS:
            raise _RefusedError(f"unknown op '{op}'")
        missing = [field for field in ("client", *FIELDS[op]) if field not in command]
        if missing:
            raise _RefusedError(f"{op}: expected the field '{missing[0]}'")
        client = self._open(command) if op == "open" else self._client(command)
        client.take(command)

    def _open(self, command: Command) -> Client:
        name, role = command["client"], command["role"]
        if name in self.clients and not self.clients[name].finished:
            raise _RefusedError(f"client '{name}' is open already")
        if role not in self.roles:
            raise _RefusedError(f"role: expected one of {', '.join(self.roles)}, found '{role}'")
        client = self.roles[role](self.wire, name, self.clients)
        self.clients[name] = client
        return client

    def _client(self, command: Command) -> Client:
        client = self.clients.get(command["client"])
        if client is None or client.finished:
            raise _RefusedError(f"client '{command['client']}' is not open")
        return client

    def _now(self, command: Command, method: Any) -> None:
        base = {"id": command["id"], "op": command["op"], "client": command.get("client")}
        fields = method(command) or {}  # what raises here is refused, with an invoke of its own
        self.wire.emit("invoke", **base)
        self.wire.emit("ok", **base, **fields)

    def _refuse(self, command: Any, error: Exception) -> None:
        described = describe(error)
        if isinstance(command, dict) and isinstance(command.get("id"), int):
            base = {"id": command["id"], "op": command.get("op"), "client": command.get("client")}
            self.wire.emit("invoke", **base)
            self.wire.emit("fail", **base, error=described)
        else:
            self.wire.emit("error", client=None, error=described, fatal=False)

    # Commands that no client has to run.

    def now_clock(self, _command: Command) -> dict[str, Any]:
        """The wall clock."""
        return {"wall_ns": time.time_ns()}

    def now_stats(self, command: Command) -> dict[str, Any]:
        """Runtime metrics, at once, whatever the client does."""
        client = self._client(command) if command.get("client") is not None else None
        return {"runtime": runtime_metrics(client)}

    def now_stop(self, command: Command) -> None:
        """End a loop early; the loop's own completion follows."""
        for client in self.clients.values():
            client.stopped_loops.add(command["loop"])

    def shut(self) -> None:
        """Close every client, all at once."""
        for client in self.clients.values():
            client.shut(EXIT_S)
        for client in self.clients.values():
            client.join(EXIT_S)


FIELDS: dict[str, tuple[str, ...]] = {
    "open": ("role", "bootstrap"),
    "send": ("topic", "records"),
    "subscribe": ("topics",),
    "assign": ("partitions",),
    "poll": ("max_records", "timeout_ms"),
    "commit": ("mode",),
    "committed": ("partitions",),
    "position": ("partitions",),
    "seek": ("offsets",),
    "pause": ("partitions",),
    "resume": ("partitions",),
    "txn": ("action",),
    "close": ("timeout_ms",),
    "create_topic": ("topic", "partitions", "replication"),
    "describe_cluster": (),
    "end_offsets": ("partitions",),
    "group_offsets": ("group", "partitions"),
    "produce": ("topic", "record_bytes"),
    "consume": ("style",),
}


def hello(wire: Wire) -> None:
    """Say what this is."""
    wire.emit(
        "hello",
        contract=CONTRACT,
        driver="confluent-kafka",
        client={
            "name": "confluent-kafka",
            "version": confluent_kafka.__version__,
            "library": f"librdkafka {confluent_kafka.libversion()[0]}",
        },
        runtime={"name": "python", "version": platform.python_version()},
        pid=os.getpid(),
        wall_ns=time.time_ns(),
        capabilities=CAPABILITIES,
    )


def main(roles: Mapping[str, type[Client]] = ROLES) -> int:
    """Run until the end of stdin or SIGTERM, then close every client."""
    wire = Wire()
    host = Host(wire, roles)

    def end(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Ended

    try:
        signal.signal(signal.SIGTERM, end)
        hello(wire)
        while line := sys.stdin.buffer.readline():
            host.line(line)
    except _Ended:
        pass  # SIGTERM asks for what the end of stdin asks for
    host.shut()
    return 0


if __name__ == "__main__":
    sys.exit(main())
