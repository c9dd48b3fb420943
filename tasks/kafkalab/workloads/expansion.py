"""From events to the columns of a history: one row a record, whole commands at a time.

A cell records millions of rows, so nothing here runs once a row in Python that can run once a
column: a command's rows are appended with `extend`, and what they share is repeated by it. 600,000
rows take 0.9 s of CPU; as one object a row they took 6.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kafkalab.model.history import COLUMNS

Event = Mapping[str, Any]
Fields = dict[str, Any]

PARTITION_EVENTS = frozenset({"assigned", "revoked", "lost"})
PLAIN: Mapping[str, Any] = {"key": None, "value": "payload", "headers": []}
_OUTCOMES = frozenset({"invoke", "ok", "fail", "info"})
_PLAIN_WIDTH = 8  # of a polled record; what follows is its content
_INDEX = "index"


class Columns:
    """Columns that grow by whole commands."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name, _ in COLUMNS if name != _INDEX}
        self.count = 0

    def add(self, count: int, fields: Mapping[str, Any], **each: Sequence[Any]) -> None:
        """Append rows: `fields` are the same in all of them, `each` has one value a row."""
        self.count += count
        for name, column in self.columns.items():
            if name in each:
                column.extend(each[name])
            elif count == 1:
                column.append(fields.get(name))
            else:
                column.extend([fields.get(name)] * count)

    def since(self, first: int) -> dict[str, Sequence[Any]]:
        """All columns by name, from row `first` on."""
        rows = {name: column[first:] for name, column in self.columns.items()}
        return {_INDEX: range(first, self.count), **rows}

    def finished(self) -> dict[str, Sequence[Any]]:
        """All columns by name, with the index in its place."""
        return {_INDEX: range(self.count), **self.columns}


def expand(
    events: Iterable[tuple[str, Event]], commands: Mapping[tuple[str, int], Mapping[str, Any]]
) -> dict[str, Sequence[Any]]:
    """The columns of everything that was recorded.

    Args:
        events: (driver, event) in order of arrival.
        commands: the fields of each command that was sent, by driver and id.
    """
    out = Columns()
    expand_into(out, events, commands)
    return out.finished()


def expand_into(
    out: Columns,
    events: Iterable[tuple[str, Event]],
    commands: Mapping[tuple[str, int], Mapping[str, Any]],
) -> None:
    """The same, appended to what is there."""
    for driver, event in events:
        base = {"time_ns": event["t"], "process": event.get("client") or driver}
        kind = event["type"]
        if kind in PARTITION_EVENTS:
            _partition_event(out, base, event)
        elif kind in _OUTCOMES:
            op_id = event.get("id", -1)
            base |= {"type": kind, "op": event["op"], "op_id": op_id}
            base["error"] = error_name(event.get("error"))
            expander = _EXPANDERS.get(event["op"], _plain)
            expander(out, base, event, commands.get((driver, op_id), {}))
        elif kind in ("event", "error"):
            _outside_commands(out, base, event)


def answers_early(
    driver: str, event: Event, commands: Mapping[tuple[str, int], Mapping[str, Any]]
) -> bool:
    """Whether it belongs to a client's command that is not known yet, so cannot be expanded."""
    return (
        event["type"] in _OUTCOMES
        and event.get("client") is not None
        and "id" in event
        and (driver, event["id"]) not in commands
    )


def error_name(error: Any) -> str | None:
    """The protocol's name of a contract `error`, or the client's own code, or its message."""
    if not error:
        return None
    if isinstance(error, str):
        return error
    return str(error.get("name") or error.get("code") or error.get("message"))


def _outside_commands(out: Columns, base: Fields, event: Event) -> None:
    detail = event.get("detail") or {k: v for k, v in event.items() if k not in ("type", "t")}
    base |= {"type": "event", "op": event.get("op", event["type"]), "op_id": -1}
    out.add(1, base | {"error": error_name(event.get("error")), "detail": json.dumps(detail)})


def _partition_event(out: Columns, base: Fields, event: Event) -> None:
    base |= {"type": "event", "op": event["type"], "op_id": -1}
    base["generation"] = event.get("generation")
    places = event["partitions"]
    out.add(len(places), base, topic=[p[0] for p in places], partition=[p[1] for p in places])


def _plain(out: Columns, base: Fields, _event: Event, _command: Mapping[str, Any]) -> None:
    out.add(1, base)


def _open(out: Columns, base: Fields, _event: Event, command: Mapping[str, Any]) -> None:
    if base["type"] == "invoke":
        detail = {"role": command.get("role"), "config": command.get("config") or {}}
        base["detail"] = json.dumps(detail)
    out.add(1, base)


def _subscribe(out: Columns, base: Fields, _event: Event, command: Mapping[str, Any]) -> None:
    if base["type"] == "invoke":
        base["detail"] = json.dumps({"topics": list(command.get("topics", ()))})
    out.add(1, base)


def _send(out: Columns, base: Fields, event: Event, command: Mapping[str, Any]) -> None:
    records, results = command.get("records", ()), event.get("results")
    if not records:
        return
    base["topic"] = command["topic"]
    each: dict[str, Sequence[Any]] = {
        "partition": [record[0] for record in records],
        "value": [record[1] for record in records],
    }
    if base["type"] == "invoke":
        each["detail"] = [_content(record[3]) if len(record) > 3 else None for record in records]
    if results:
        if len(results) != len(records):
            raise ValueError(
                f"send {base['op_id']} of {base['process']}: expected {len(records)} results, "
                f"found {len(results)}."
            )
        each["type"], landed, each["offset"], errors = zip(*results, strict=True)
        each["error"] = [error_name(error) for error in errors] if any(errors) else errors
        asked = zip(landed, each["partition"], strict=True)
        each["partition"] = [w if p is None else p for p, w in asked] if None in landed else landed
    out.add(len(records), base, **each)


def _poll(out: Columns, base: Fields, event: Event, _command: Mapping[str, Any]) -> None:
    records = event.get("records")
    if not records:
        out.add(1, base)
        return
    columns = zip(*records, strict=False)  # as wide as the shortest: without content
    topics, partitions, offsets, values, _sizes, problems, intended, crcs = list(columns)[:8]
    known: dict[tuple[str, int], str] = {}
    places = zip(topics, partitions, problems, intended, crcs, strict=True)
    out.add(
        len(records),
        base,
        topic=topics,
        partition=partitions,
        offset=offsets,
        value=values,
        problem=problems,
        intended=[
            None if problem else f"{_topic(known, topic, crc)}/{p if meant < 0 else meant}"
            for topic, p, problem, meant, crc in places
        ],
        detail=[_content(r[8]) if len(r) > _PLAIN_WIDTH else None for r in records],
    )


def _content(content: Mapping[str, Any]) -> str | None:
    """Keys, headers and value of a record that is not plain, in one form that compares."""
    whole = {**PLAIN, **content}
    return None if whole == PLAIN else json.dumps({"content": whole}, sort_keys=True)


def _topic(known: dict[tuple[str, int], str], topic: str, crc: int) -> str:
    """The topic that the payload was meant for, by its CRC; `known` remembers names."""
    name = known.get((topic, crc))
    if name is None:
        name = topic if zlib.crc32(topic.encode()) == crc else f"crc32:{crc:08x}"
        known[topic, crc] = name
    return name


def _offsets(out: Columns, base: Fields, event: Event, command: Mapping[str, Any]) -> None:
    source = event.get("offsets") or command.get("offsets") or command.get("partitions") or ()
    detail = {k: command[k] for k in ("group", "mode") if k in command}
    base["detail"] = json.dumps(detail) if detail else None
    if not source:
        out.add(1, base)
        return
    out.add(
        len(source),
        base,
        topic=[row[0] for row in source],
        partition=[row[1] for row in source],
        offset=[row[2] if len(row) > 2 else None for row in source],
    )


def _offset_commits(out: Columns, base: Fields, event: Event, command: Mapping[str, Any]) -> None:
    group = {"group": command.get("group")}
    for topic, partition, offset, at_ns in event.get("commits") or ():
        place = {"topic": topic, "partition": partition, "offset": offset}
        out.add(1, {**base, **place, "detail": json.dumps({**group, "at_ns": at_ns})})
    if not event.get("commits"):
        out.add(1, base | {"detail": json.dumps(group)})


def _txn(out: Columns, base: Fields, _event: Event, command: Mapping[str, Any]) -> None:
    detail = {key: command[key] for key in ("action", "group_of") if command.get(key)}
    base["detail"] = json.dumps(detail)
    places = command.get("offsets") or ()
    if not places:
        out.add(1, base)
        return
    topics, partitions, offsets = zip(*places, strict=True)
    out.add(len(places), base, topic=topics, partition=partitions, offset=offsets)


_EXPANDERS: dict[str, Callable[[Columns, Fields, Event, Mapping[str, Any]], None]] = {
    "open": _open,
    "subscribe": _subscribe,
    "send": _send,
    "poll": _poll,
    "commit": _offsets,
    "committed": _offsets,
    "position": _offsets,
    "group_offsets": _offsets,
    "offset_commits": _offset_commits,
    "end_offsets": _offsets,
    "seek": _offsets,
    "assign": _offsets,
    "pause": _offsets,
    "resume": _offsets,
    "txn": _txn,
}
