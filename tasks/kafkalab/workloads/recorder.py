"""Writes down what drivers report, in order of arrival, and expands it into history rows.

The reader threads of the drivers only append; expansion into one row per record happens once, at
the end, so that recording never slows the load down. A command's own fields (the records of a
`send`) are not repeated by the driver in its events, so the recorder remembers them by driver and
id.
"""

from __future__ import annotations

import itertools
import json
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kafkalab.model.history import Row

Event = Mapping[str, Any]
Expanded = Iterator[dict[str, Any]]

_PARTITION_EVENTS = frozenset({"assigned", "revoked", "lost"})
_OUTCOMES = ("ok", "fail", "info")
PLAIN: Mapping[str, Any] = {"key": None, "value": "payload", "headers": []}


class Recorder:
    """Collects events of all drivers of one cell. Thread-safe."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Event]] = []
        self._commands: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._lock = threading.Lock()
        self._owned: dict[str, set[tuple[str, int]]] = {}  # client → partitions it has now
        self._moved = threading.Condition(self._lock)  # partitions were given or taken

    def listener(self, driver: str) -> Callable[[Event], None]:
        """A callback that records the events of one driver process."""

        def on_event(event: Event) -> None:
            with self._lock:
                self._events.append((driver, event))
                if event["type"] in _PARTITION_EVENTS:
                    self._own(event)

        return on_event

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

    def rows(self) -> Iterator[Row]:
        """Expand everything recorded so far; call it when the drivers are done."""
        with self._lock:
            events, commands = list(self._events), dict(self._commands)
        index = itertools.count()
        for driver, event in events:
            command = commands.get((driver, event.get("id", -1)), {})
            for fields in _expand(event, command):
                yield Row(
                    index=next(index),
                    time_ns=event["t"],
                    process=event.get("client") or driver,
                    **fields,
                )

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


def _expand(event: Event, command: Mapping[str, Any]) -> Expanded:
    kind = event["type"]
    if kind in _PARTITION_EVENTS:
        yield from _partition_event(event)
    elif kind == "invoke" or kind in _OUTCOMES:
        base = {"type": kind, "op": event["op"], "op_id": event.get("id", -1)}
        base["error"] = error_name(event.get("error"))
        expander = _EXPANDERS.get(event["op"], _plain)
        yield from expander(base, event, command)
    elif kind in ("event", "error"):
        detail = event.get("detail") or {k: v for k, v in event.items() if k not in ("type", "t")}
        yield {
            "type": "event",
            "op": event.get("op", kind),
            "op_id": -1,
            "error": error_name(event.get("error")),
            "detail": json.dumps(detail),
        }


def error_name(error: Any) -> str | None:
    """The protocol's name of a contract `error`, or the client's own code, or its message."""
    if not error:
        return None
    if isinstance(error, str):
        return error
    return str(error.get("name") or error.get("code") or error.get("message"))


def _partition_event(event: Event) -> Expanded:
    for topic, partition in event["partitions"]:
        yield {
            "type": "event",
            "op": event["type"],
            "op_id": -1,
            "topic": topic,
            "partition": partition,
            "generation": event.get("generation"),
        }


def _plain(base: dict[str, Any], _event: Event, _command: Mapping[str, Any]) -> Expanded:
    yield base


def _open(base: dict[str, Any], _event: Event, command: Mapping[str, Any]) -> Expanded:
    detail = {"role": command.get("role"), "config": command.get("config") or {}}
    yield {**base, "detail": json.dumps(detail)} if base["type"] == "invoke" else base


def _subscribe(base: dict[str, Any], _event: Event, command: Mapping[str, Any]) -> Expanded:
    detail = {"topics": list(command.get("topics", ()))}
    yield {**base, "detail": json.dumps(detail)} if base["type"] == "invoke" else base


def _send(base: dict[str, Any], event: Event, command: Mapping[str, Any]) -> Expanded:
    records = command.get("records", ())
    results = event.get("results") or [None] * len(records)
    for (partition, value, _size, *content), result in zip(records, results, strict=True):
        row = {**base, "topic": command["topic"], "partition": partition, "value": value}
        if base["type"] == "invoke" and content:
            row["detail"] = _content(content[0])
        if result is not None:
            outcome, landed, offset, error = result
            row.update(type=outcome, offset=offset, error=error_name(error))
            row["partition"] = landed if landed is not None else partition
        yield row


def _poll(base: dict[str, Any], event: Event, _command: Mapping[str, Any]) -> Expanded:
    records = event.get("records") or ()
    if not records:
        yield base
    for topic, partition, offset, value, _size, problem, intended, topic_crc, *content in records:
        yield {
            **base,
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "value": value,
            "problem": problem,
            "intended": None if problem else _intended(topic, partition, intended, topic_crc),
            "detail": _content(content[0]) if content else None,
        }


def _content(content: Mapping[str, Any]) -> str | None:
    """Keys, headers and value of a record that is not plain, in one form that compares."""
    whole = {**PLAIN, **content}
    return None if whole == PLAIN else json.dumps({"content": whole}, sort_keys=True)


def _intended(topic: str, partition: int, intended: int, topic_crc: int) -> str:
    """Name where the payload says it was sent; −1 means that the client chose the partition."""
    name = topic if zlib.crc32(topic.encode()) == topic_crc else f"crc32:{topic_crc:08x}"
    return f"{name}/{partition if intended < 0 else intended}"


def _offsets(base: dict[str, Any], event: Event, command: Mapping[str, Any]) -> Expanded:
    source = event.get("offsets") or command.get("offsets") or command.get("partitions") or ()
    detail = {k: command[k] for k in ("group", "mode") if k in command}
    text = json.dumps(detail) if detail else None
    if not source:
        yield {**base, "detail": text}
    for topic, partition, *rest in source:
        offset = rest[0] if rest else None
        yield {**base, "topic": topic, "partition": partition, "offset": offset, "detail": text}


_EXPANDERS: dict[str, Callable[[dict[str, Any], Event, Mapping[str, Any]], Expanded]] = {
    "open": _open,
    "subscribe": _subscribe,
    "send": _send,
    "poll": _poll,
    "commit": _offsets,
    "committed": _offsets,
    "position": _offsets,
    "group_offsets": _offsets,
    "end_offsets": _offsets,
    "seek": _offsets,
    "assign": _offsets,
    "pause": _offsets,
    "resume": _offsets,
}
