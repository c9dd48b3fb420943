"""One client inside the driver: it runs its commands in order, one at a time.

`BaseClient` is what the host knows of a client. `Client` has a thread of its own, for libraries
whose calls block; `aio.AsyncClient` lives on an event loop. `close` is the exception to the order:
the main thread marks the client as closing at once. Where nothing interrupts a call of the client,
waits are cut into slices of 100 ms: what runs ends and the close follows.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from driverkit.outcome import READ_ONLY, Outcome, RefusedError, describe, problem
from driverkit.wire import Wire

SLICE_S = 0.1
NO_OFFSET = -1
Command = Mapping[str, Any]


class BaseClient:
    """What every client of a driver shares. Subclasses add a method `op_NAME` for each command.

    `op_NAME(command)` returns the fields of its completion as `ok` (a dict, or None), or raises:
    `Outcome` ends the command as it says, anything else as `outcome` and `describe` say.
    """

    def __init__(self, wire: Wire, name: str, siblings: Mapping[str, BaseClient]) -> None:
        self.wire = wire
        self.name = name
        self.siblings = siblings  # all clients of this process
        self.finished = False
        self.close_by: float | None = None  # time.monotonic; set as soon as a close was asked for
        self.stopped_loops: set[int] = set()

    # What a driver's clients override.

    def outcome(self, op: str, _error: BaseException) -> str:
        """`fail` where `error` shows that `op` certainly did not happen, else `info`."""
        return "fail" if op in READ_ONLY else "info"

    def describe(self, error: Any) -> dict[str, Any]:
        """An error in the contract's form, with the protocol's name and the client's code."""
        return describe(error)

    def runtime(self) -> dict[str, Any]:
        """What only this client knows of the contract's `runtime`; any thread may ask."""
        return {}

    def tick(self) -> None:
        """Called once a turn of a loop."""

    # What they use.

    @property
    def closing(self) -> bool:
        """Whether whatever runs should end now."""
        return self.close_by is not None

    def event(self, kind: str, /, **fields: object) -> None:
        """Report something of this client."""
        self.wire.emit(kind, client=self.name, **fields)

    def answer(self, command: Command, kind: str, /, **fields: object) -> None:
        """Report how a command ended."""
        self.event(kind, id=command["id"], op=command["op"], **fields)

    def error(self, error: Any, *, fatal: bool = False) -> None:
        """Report an error that belongs to no command."""
        self.event("error", error=self.describe(error), fatal=fatal)

    # What the host calls, in the main thread.

    def take(self, command: Command) -> None:
        """Queue a command; a close takes effect on what runs."""
        raise NotImplementedError

    def shut(self, timeout_s: float) -> None:
        """Close without a command, at the end of the process."""
        raise NotImplementedError

    def join(self, timeout_s: float) -> None:
        """Wait until the client is closed."""
        raise NotImplementedError

    def ask_to_close(self, timeout_s: float) -> None:
        """Let what runs end."""
        self.close_by = time.monotonic() + timeout_s

    # Running a command.

    def method(self, command: Command) -> Any:
        """What carries out a command; raises `RefusedError` where this role has no such op."""
        method = getattr(self, f"op_{command['op']}", None)
        if method is None:
            raise RefusedError(f"{command['op']}: not an operation of this client's role")
        return method

    def ended(self, command: Command, fields: Mapping[str, Any] | None) -> None:
        """Report that a command was carried out."""
        self.finished = command["op"] == "close"
        self.answer(command, "ok", **(fields or {}))

    def raised(self, command: Command, error: BaseException) -> None:
        """Report what a command raised."""
        if isinstance(error, Outcome):
            if error.kind:
                self.answer(command, error.kind, **error.fields)
            return
        op = command["op"]
        self.finished = op in ("open", "close")
        kind = "fail" if isinstance(error, RefusedError) else self.outcome(op, error)
        self.answer(command, kind, error=self.describe(error))

    def refuse(self, command: Command) -> None:
        """Answer a command that waits behind a close."""
        self.event("invoke", id=command["id"], op=command["op"])
        self.answer(command, "fail", error=problem(f"client '{self.name}' is not open"))


class Client(BaseClient):
    """A client with a thread of its own, for a library whose calls block."""

    def __init__(self, wire: Wire, name: str, siblings: Mapping[str, BaseClient]) -> None:
        super().__init__(wire, name, siblings)
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"client-{name}", daemon=True)
        self._thread.start()

    # What a driver's clients override.

    def op_open(self, command: Command) -> None:
        """Make the native client."""
        raise NotImplementedError

    def op_close(self, _command: Command) -> None:
        """Close the native client."""
        self.close_native()

    def close_native(self) -> None:
        """Close as the client itself does it; must be safe when `open` failed."""

    def idle(self) -> None:
        """Called twice a second while no command runs."""

    # What the host calls.

    def take(self, command: Command) -> None:
        """Queue a command; a close takes effect on what runs."""
        if command["op"] == "close":
            self.ask_to_close(float(command["timeout_ms"]) / 1e3)
        self._commands.put(command)
        if self.finished:  # it ended between the look at it and here: nobody reads the queue
            self._refuse_rest()

    def shut(self, timeout_s: float) -> None:
        """Close without a command, at the end of the process."""
        self.ask_to_close(timeout_s)
        self._commands.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until the client is closed."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            try:
                command = self._commands.get(timeout=SLICE_S * 5)
            except queue.Empty:
                self.idle()
                continue
            if command is None:
                self.close_native()
                return
            self.execute(command)
            if self.finished:
                self._refuse_rest()
                return

    def _refuse_rest(self) -> None:
        """Answer the commands that wait behind a close; any thread may do so."""
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            if command is not None:
                self.refuse(command)

    def execute(self, command: Command) -> None:
        """Run one command and report it: invoke, then exactly one completion."""
        self.event("invoke", id=command["id"], op=command["op"])
        try:
            self.ended(command, self.method(command)(command))
        except Exception as error:  # noqa: BLE001 whatever a client raises is reported, never hidden
            self.raised(command, error)
