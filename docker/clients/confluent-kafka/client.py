"""One client inside the driver: a thread that runs its commands in order, one at a time.

`close` is the exception: the main thread marks the client as closing at once. This client has no
call that interrupts another, so waits are cut into slices of 100 ms: what runs ends and the close
follows.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import TopicPartition
from outcomes import command_outcome, describe
from wire import Wire

SLICE_S = 0.1
NO_OFFSET = -1
Command = Mapping[str, Any]


class Outcome(Exception):  # noqa: N818 an outcome of a command, not always an error
    """Ends a command as `fail` or `info`, or as answered elsewhere (type empty)."""

    def __init__(self, kind: str, error: Mapping[str, Any] | None = None, **fields: object) -> None:
        super().__init__(kind)
        self.kind = kind
        self.fields = {**fields, "error": error} if error else fields


ANSWERED_LATER = Outcome("")


class Client:
    """What producers, consumers and admins share. Subclasses add `op_...` methods."""

    def __init__(self, wire: Wire, name: str, siblings: Mapping[str, Client]) -> None:
        self.wire = wire
        self.name = name
        self.siblings = siblings  # all clients of this process
        self.finished = False
        self.close_by: float | None = None  # time.monotonic; set as soon as a close was asked for
        self.stopped_loops: set[int] = set()
        self.native_stats = ""
        self._commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"client-{name}", daemon=True)
        self._thread.start()

    @property
    def closing(self) -> bool:
        """Whether whatever runs should end now."""
        return self.close_by is not None

    def take(self, command: Command) -> None:
        """Queue a command; a close takes effect on what runs."""
        if command["op"] == "close":
            self.ask_to_close(float(command["timeout_ms"]) / 1e3)
        self._commands.put(command)
        if self.finished:  # it ended between the look at it and here: nobody reads the queue
            self._refuse_rest()

    def ask_to_close(self, timeout_s: float) -> None:
        """Let what runs end."""
        self.close_by = time.monotonic() + timeout_s

    def shut(self, timeout_s: float) -> None:
        """Close without a command, at the end of the process."""
        self.ask_to_close(timeout_s)
        self._commands.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until the client is closed."""
        self._thread.join(timeout_s)

    def event(self, kind: str, /, **fields: object) -> None:
        """Report something of this client."""
        self.wire.emit(kind, client=self.name, **fields)

    def answer(self, command: Command, kind: str, /, **fields: object) -> None:
        """Report how a command ended."""
        self.event(kind, id=command["id"], op=command["op"], **fields)

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
                self.event("invoke", id=command["id"], op=command["op"])
                message = f"client '{self.name}' is not open"
                self.answer(command, "fail", error={"name": None, "code": None, "message": message})

    def execute(self, command: Command) -> None:
        """Run one command and report it: invoke, then exactly one completion."""
        op = command["op"]
        self.event("invoke", id=command["id"], op=op)
        try:
            method = getattr(self, f"op_{op}", None)
            if method is None:
                raise ValueError(f"{op}: not an operation of this client's role")  # noqa: TRY301
            fields = method(command) or {}
            self.finished = op == "close"
            self.answer(command, "ok", **fields)
        except Outcome as outcome:
            if outcome.kind:
                self.answer(command, outcome.kind, **outcome.fields)
        except Exception as error:  # noqa: BLE001 whatever a client raises is reported, never hidden
            self.finished = op in ("open", "close")
            self.answer(command, command_outcome(op, error), error=describe(error))

    # For subclasses.

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

    def tick(self) -> None:
        """Called once a turn of a loop."""

    def buffered(self, _stats: Mapping[str, Any]) -> int | None:
        """Records that the client holds; `stats` are librdkafka's newest, at most 1 s old."""
        return None

    # Callbacks that every native client of librdkafka has.

    def callbacks(self) -> dict[str, Any]:
        """Configuration that reports what happens outside commands."""
        return {
            "error_cb": self.on_error,
            "stats_cb": self.on_stats,
            "statistics.interval.ms": 1000,
        }

    def on_error(self, error: Any) -> None:
        """An error that belongs to no command."""
        self.event("error", error=describe(error), fatal=bool(error.fatal()))

    def on_stats(self, text: str) -> None:
        """Keep the newest statistics; they are parsed only when asked for."""
        self.native_stats = text


def partitions_of(command: Command, key: str = "partitions") -> list[TopicPartition]:
    """[[topic, partition], ..] or [[topic, partition, offset or null], ..] for the client."""
    found = []
    for topic, partition, *offset in command[key]:
        if offset and offset[0] is not None:
            found.append(TopicPartition(topic, partition, offset[0]))
        else:
            found.append(TopicPartition(topic, partition))
    return found


def offsets_of(partitions: list[TopicPartition]) -> list[list[Any]]:
    """Offsets as the contract writes them; raises the first error that a partition carries."""
    for each in partitions:
        if each.error is not None:
            error = each.error
            raise Outcome(
                command_outcome("commit", error),
                describe(error),
                offsets=[[p.topic, p.partition, max(p.offset, NO_OFFSET)] for p in partitions],
            )
    return [[p.topic, p.partition, max(p.offset, NO_OFFSET)] for p in partitions]
