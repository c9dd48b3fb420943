"""Writes down what drivers report, in order of arrival.

The reader threads of the drivers only append, so that recording never slows the load down.
Expansion into one row per record (expansion.py) happens once for each event: at the end, or before
it for whoever follows the load (following.py). A command's own fields (the records of a `send`) are
not repeated by the driver in its events, so the recorder remembers them by driver and id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kafkalab.workloads.expansion import (
    PARTITION_EVENTS,
    Columns,
    Event,
    answers_early,
    expand_into,
)

_LIFE = frozenset({("invoke", "open"), ("ok", "close")})


class Recorder:
    """Collects events of all drivers of one cell. Thread-safe."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Event]] = []
        self._commands: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._lock = threading.Lock()
        self._rows = Columns()
        self._taken = 0  # events that are in them
        self._expanding = threading.Lock()  # held while rows are added, which recording is not
        self._owned: dict[str, set[tuple[str, int]]] = {}  # client → partitions it has now
        self._moved = threading.Condition(self._lock)  # partitions were given or taken
        self._living: dict[str, set[str]] = {}  # driver → its clients from `open` to `close`

    def listener(self, driver: str) -> Callable[[Event], None]:
        """A callback that records the events of one driver process."""

        def on_event(event: Event) -> None:
            with self._lock:
                self._events.append((driver, event))
                if event["type"] in PARTITION_EVENTS:
                    self._own(event)
                elif (event["type"], event.get("op")) in _LIFE:
                    self._live(driver, event)

        return on_event

    def _live(self, driver: str, event: Event) -> None:
        living = self._living.setdefault(driver, set())
        (living.add if event["op"] == "open" else living.discard)(event["client"])

    def _own(self, event: Event) -> None:
        owned = self._owned.setdefault(event["client"], set())
        places = {(topic, partition) for topic, partition in event["partitions"]}
        self._owned[event["client"]] = (
            owned | places if event["type"] == "assigned" else owned - places
        )
        self._moved.notify_all()

    def owned(self, client: str) -> list[list[Any]]:
        """Partitions that a member of a group has now, as its driver reported them."""
        with self._lock:
            return sorted([topic, partition] for topic, partition in self._owned.get(client, ()))

    def wait(self, seconds: float) -> None:
        """Wait until partitions are given or taken, at most `seconds`."""
        with self._moved:
            self._moved.wait(seconds)

    def command(self, driver: str, op_id: int, fields: Mapping[str, Any]) -> None:
        """Remember the fields of a command that was sent."""
        with self._lock:
            self._commands[driver, op_id] = fields

    def note(self, time_ns: int, process: str, op: str, detail: Mapping[str, Any]) -> None:
        """Record something the lab itself did to a client, such as `kill`."""
        event = {"type": "event", "t": time_ns, "client": process, "op": op, "detail": detail}
        with self._lock:
            self._events.append(("lab", event))

    def note_process(self, time_ns: int, driver: str, op: str, detail: Mapping[str, Any]) -> None:
        """Record something about a driver's process, once for each client that lives in it.

        `clients` in the detail says how many these are.
        """
        with self._lock:
            living = sorted(self._living.get(driver, ()))
        for client in living:
            self.note(time_ns, client, op, {**detail, "clients": len(living)})

    def columns(self) -> dict[str, Sequence[Any]]:
        """Expand everything recorded so far; call it when the drivers are done."""
        with self._expanding:
            self._expand(self._arrived())
            return self._rows.finished()

    def grow(self) -> dict[str, Sequence[Any]]:
        """Expand what arrived since the last time, and return the rows of that alone.

        A driver may answer before its command is remembered: what follows that waits.
        """
        with self._expanding:
            first, events = self._rows.count, self._arrived()
            early = (
                place
                for place, (driver, event) in enumerate(events)
                if answers_early(driver, event, self._commands)
            )
            self._expand(events[: next(early, len(events))])
            return self._rows.since(first)

    def _arrived(self) -> list[tuple[str, Event]]:
        with self._lock:
            return self._events[self._taken :]

    def _expand(self, events: list[tuple[str, Event]]) -> None:
        expand_into(self._rows, events, self._commands)
        self._taken += len(events)

    def errors(self) -> list[Event]:
        """`error` events: what clients reported outside any command."""
        with self._lock:
            return [event for _, event in self._events if event.get("type") == "error"]

    def samples(self) -> list[tuple[str, Event]]:
        """Loop samples, as (op of the loop, event)."""
        with self._lock:
            return [
                (self._commands[driver, event["id"]]["op"], event)
                for driver, event in self._events
                if event.get("type") == "sample" and (driver, event["id"]) in self._commands
            ]
