"""The driver's main thread: reads commands, gives them to their clients, never calls a client."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from driverkit.client import BaseClient, Command
from driverkit.outcome import RefusedError, describe
from driverkit.runtime_metrics import runtime_metrics
from driverkit.wire import Wire

CONTRACT = 1
EXIT_S = 10.0  # how long clients get to close at the end of the process
FIELDS: dict[str, tuple[str, ...]] = {  # what a command must have beside id, op and client
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
    "offset_commits": ("group",),
    "produce": ("topic", "record_bytes"),
    "consume": ("style",),
}


@dataclass(frozen=True)
class About:
    """What `hello` says of a driver."""

    driver: str  # its folder's name
    client: str  # the client's name, as its registry has it
    version: str  # of the client that was loaded, as the client itself says
    library: str  # what does the work below it, with its version
    capabilities: Sequence[str]  # of the contract; only what the loaded version can do


class _Ended(Exception):  # noqa: N818 not an error: SIGTERM
    """SIGTERM came."""


class Host:
    """Dispatches commands to clients."""

    def __init__(self, wire: Wire, roles: Mapping[str, type[BaseClient]]) -> None:
        self.wire = wire
        self.roles = roles
        self.clients: dict[str, BaseClient] = {}

    def line(self, line: bytes) -> None:
        """Carry out one line; one that cannot be is answered, and the driver lives on."""
        command: Any = None
        try:
            command = json.loads(line)
            if not isinstance(command, dict):
                raise RefusedError("expected a JSON object")
            self.command(command)
        except (ValueError, KeyError, TypeError) as error:
            self._refuse(command, error)

    def command(self, command: dict[str, Any]) -> None:
        """Dispatch one command."""
        for field in ("id", "op"):
            if field not in command:
                raise RefusedError(f"expected the field '{field}'")
        op = command["op"]
        immediate = getattr(self, f"now_{op}", None)
        if immediate is not None:
            self._now(command, immediate)
            return
        if op not in FIELDS:
            raise RefusedError(f"unknown op '{op}'")
        missing = [field for field in ("client", *FIELDS[op]) if field not in command]
        if missing:
            raise RefusedError(f"{op}: expected the field '{missing[0]}'")
        client = self._open(command) if op == "open" else self._client(command)
        client.take(command)

    def _open(self, command: Command) -> BaseClient:
        name, role = command["client"], command["role"]
        if name in self.clients and not self.clients[name].finished:
            raise RefusedError(f"client '{name}' is open already")
        if role not in self.roles:
            raise RefusedError(f"role: expected one of {', '.join(self.roles)}, found '{role}'")
        client = self.roles[role](self.wire, name, self.clients)
        self.clients[name] = client
        return client

    def _client(self, command: Command) -> BaseClient:
        client = self.clients.get(command["client"])
        if client is None or client.finished:
            raise RefusedError(f"client '{command['client']}' is not open")
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


def hello(wire: Wire, about: About) -> None:
    """Say what this is."""
    wire.emit(
        "hello",
        contract=CONTRACT,
        driver=about.driver,
        client={"name": about.client, "version": about.version, "library": about.library},
        runtime={"name": "python", "version": platform.python_version()},
        pid=os.getpid(),
        wall_ns=time.time_ns(),
        capabilities=list(about.capabilities),
    )


def main(about: About, roles: Mapping[str, type[BaseClient]], wire: Wire | None = None) -> int:
    """Run until the end of stdin or SIGTERM, then close every client.

    Args:
        about: for `hello`.
        roles: what hosts a client, by the role that `open` names.
        wire: where events go; None: one that blocks who reports while nobody reads.
    """
    wire = wire or Wire()
    host = Host(wire, roles)

    def end(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Ended

    try:
        signal.signal(signal.SIGTERM, end)
        hello(wire, about)
        while line := sys.stdin.buffer.readline():
            host.line(line)
    except _Ended:
        pass  # SIGTERM asks for what the end of stdin asks for
    host.shut()
    wire.close(EXIT_S)
    return 0
