"""From operations of Jepsen's Kafka workload to rows; what becomes what is argued in jepsen.py."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from kafkalab.checkers import history
from kafkalab.model.history import COLUMNS

RECORDS = (":send", ":poll", ":txn")

_ENDS = {":ok": "ok", ":fail": "fail", ":info": "info"}
_OTHERS = {":append": "list-append", ":r": "list-append", ":w": "rw-register"}
_GROUP = "jepsen"
_BATCH_ROWS = 2**18
_FILLED = (
    "time_ns", "process", "type", "op", "op_id", "topic", "partition", "offset", "value",
    "intended", "detail",
)  # fmt: skip

Op = Mapping[str, Any]


@dataclass(frozen=True)
class Original:
    """The way back: what was meant by numbers that a finding shows."""

    values: Sequence[tuple[str, str]]  # number − 1 → key, value
    operations: Sequence[int]  # row → `:index` of its operation

    def annotated(self, finding: Mapping[str, Any]) -> dict[str, Any]:
        """A finding with key and value beside each value, and the operation beside each row."""
        found = dict(finding)
        for name, number in finding.items():
            if not isinstance(number, int) or isinstance(number, bool):
                continue
            if (name == "value" or name.endswith("_value")) and 0 < number <= len(self.values):
                key, value = self.values[number - 1]
                found[f"jepsen_{name}"] = f"{value} of key {key}"
            elif name.startswith("row_") and 0 <= number < len(self.operations):
                found[f"jepsen_op_{name[4:]}"] = self.operations[number]
        return found


@dataclass
class _Client:
    """What is known of one process."""

    name: str
    group: bool
    assigned: set[Any] = field(default_factory=set)
    asked: dict[str, int] = field(default_factory=dict)  # command → its id, of the open operation


class Writer:
    """Rows, operation by operation."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._tables: list[pa.Table] = []
        self._operations: list[int] = []
        self._numbers: dict[tuple[Any, Any], int] = {}
        self._clients: dict[Any, _Client] = {}
        self._ids = 0
        self._now, self._place, self._at = 0, -1, -1
        self._transactional = any(op[":f"] == ":txn" for op in ops)
        self._members = {op.get(":process") for op in ops if op[":f"] == ":subscribe"}
        self._read = {
            (key, _hashable(pair[-1]))
            for op in ops
            if op[":type"] == ":ok" and op[":f"] in RECORDS
            for key, pairs in _polled(op)
            for pair in pairs
            if isinstance(pair, list)
        }

    def add(self, op: Op) -> None:
        """The rows of one operation."""
        self._place += 1
        self._at = int(op.get(":index", self._place))
        self._now = max(0, int(op.get(":time", self._place * 1_000_000)))
        client = self._client(op.get(":process"))
        if op[":f"] == ":crash":
            if op[":type"] != ":invoke":
                self._row(client, "event", "kill", -1, detail="{}")
        elif op[":f"] == ":subscribe":
            self._plain(client, op, "subscribe")
        elif op[":f"] == ":assign":
            self._assign(client, op)
        else:
            self._micro_operations(client, op)

    def _micro_operations(self, client: _Client, op: Op) -> None:
        for mop in op[":value"]:
            if mop[0] not in (":send", ":poll"):
                raise ValueError(f"{mop[0]} is one of {_OTHERS.get(mop[0], 'another workload')}")
        if op[":type"] == ":invoke":
            self._invoke(client, op)
        else:
            self._complete(client, op, _ENDS[op[":type"]])

    def table(self) -> pa.Table:
        """All rows."""
        self._flush()
        return pa.concat_tables(self._tables)

    def original(self) -> Original:
        """The way back."""
        return Original([(str(k), str(v)) for k, v in self._numbers], self._operations)

    def _row(
        self,
        client: _Client,
        kind: str,
        op: str,
        op_id: int,
        key: Any = None,
        offset: int | None = None,
        value: int | None = None,
        detail: str | None = None,
    ) -> None:
        topic, partition = (None, None) if key is None else (str(key), 0)
        intended = f"{topic}/0" if op == "poll" and topic else None
        self._rows.append(
            (self._now, client.name, kind, op, op_id, topic, partition, offset, value, intended,
             detail)
        )  # fmt: skip
        self._operations.append(self._at)
        if len(self._rows) >= _BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        count = len(self._rows)
        columns: dict[str, Sequence[Any]] = {name: [None] * count for name, _ in COLUMNS}
        end = len(self._operations)
        columns["index"] = range(end - count, end)
        columns |= zip(_FILLED, zip(*self._rows, strict=True), strict=False)
        self._tables.append(history.from_columns(columns))
        self._rows = []

    def _client(self, process: Any) -> _Client:
        if process not in self._clients:
            client = _Client(str(process), process in self._members)
            self._clients[process] = client
            config: dict[str, Any] = {"offset_reset": "earliest", "isolation": "read_committed"}
            config |= {"transactional_id": f"jepsen-{process}"} if self._transactional else {}
            config |= {"idempotence": True, **({"group": _GROUP} if client.group else {})}
            detail = json.dumps({"role": "consumer", "config": config})
            op_id = self._id()
            self._row(client, "invoke", "open", op_id, detail=detail)
            self._row(client, "ok", "open", op_id)
        return self._clients[process]

    def _id(self) -> int:
        self._ids += 1
        return self._ids

    def _number(self, key: Any, value: Any) -> int:
        return self._numbers.setdefault((key, _hashable(value)), len(self._numbers) + 1)

    def _plain(self, client: _Client, op: Op, name: str) -> None:
        if op[":type"] == ":invoke":
            client.asked[name] = self._id()
            topics = json.dumps({"topics": [str(key) for key in op[":value"] or ()]})
            self._row(client, "invoke", name, client.asked[name], detail=topics)
        else:
            self._row(client, _ENDS[op[":type"]], name, client.asked.pop(name, self._id()))

    def _assign(self, client: _Client, op: Op) -> None:
        keys = list(op[":value"] or ())
        begin = bool(op.get(":seek-to-beginning?"))
        known = client.assigned if op[":type"] in (":invoke", ":ok") and not begin else set()
        if op[":type"] == ":invoke":
            client.asked["assign"] = self._id()
            kind, op_id = "invoke", client.asked["assign"]
        else:
            kind = _ENDS[op[":type"]]
            op_id = client.asked.pop("assign", 0) or self._id()
            client.assigned = set(keys) if kind == "ok" else set()
        for key in keys:
            if key not in known:
                offset = 0 if begin else None
                self._row(client, kind, "assign", op_id, key, offset)

    def _invoke(self, client: _Client, op: Op) -> None:
        mops = op[":value"]
        client.asked = {}
        if client.group and any(mop[0] == ":poll" for mop in mops):
            self._row(client, "event", "lost", -1)
        self._step(client, "begin", "invoke")
        self._step(client, "begin", "ok")
        for mop in mops:
            if mop[0] == ":send":
                op_id = client.asked.setdefault("send", 0) or self._id()
                client.asked["send"] = op_id
                number = self._number(mop[1], mop[2])
                self._row(client, "invoke", "send", op_id, mop[1], value=number)
        if any(mop[0] == ":poll" for mop in mops):
            client.asked["poll"] = self._id()
            self._row(client, "invoke", "poll", client.asked["poll"])
        self._step(client, "commit", "invoke")

    def _complete(self, client: _Client, op: Op, outcome: str) -> None:
        sent = outcome
        if outcome == "info" and any((k, _hashable(v)) in self._read for k, _, v in _sent(op)):
            sent = "proven"
        moved = {key for entry in op.get(":rebalance-log") or () for key in entry.get(":keys", ())}
        for mop in op[":value"]:
            if mop[0] == ":send":
                self._sent(client, mop, sent)
        polls = [mop for mop in op[":value"] if mop[0] == ":poll"]
        if polls:
            self._polled(client, polls, outcome, moved)
        if outcome == "fail":
            self._step(client, "commit", "fail")
            self._step(client, "abort", "invoke")
            self._step(client, "abort", "ok")
        else:
            self._step(client, "commit", outcome)
        client.asked = {}

    def _step(self, client: _Client, action: str, kind: str) -> None:
        if not self._transactional:
            return
        name = f"txn {action}"
        if kind == "invoke":
            client.asked[name] = self._id()
        op_id = client.asked.get(name) or self._id()
        self._row(client, kind, "txn", op_id, detail=json.dumps({"action": action}))

    def _sent(self, client: _Client, mop: Sequence[Any], outcome: str) -> None:
        key, offset, value = _send(mop)
        if outcome == "proven":
            outcome = "info" if offset is None else "ok"
        op_id = client.asked.get("send") or self._id()
        offset = offset if outcome == "ok" else None
        self._row(client, outcome, "send", op_id, key, offset, self._number(key, value))

    def _polled(
        self, client: _Client, polls: Sequence[Sequence[Any]], outcome: str, moved: set[Any]
    ) -> None:
        op_id = client.asked.get("poll") or self._id()
        first: dict[Any, int] = {}
        given = False
        for mop in polls:
            records = mop[1] if len(mop) > 1 and mop[1] else {}
            for key in moved & set(records):
                self._row(client, "event", "lost", -1, key)
            for key, pairs in records.items():
                for offset, value in pairs:
                    given = True
                    first.setdefault(key, offset)
                    self._row(client, "ok", "poll", op_id, key, offset, self._number(key, value))
        if not given:
            answered = outcome == "ok" or any(len(mop) > 1 for mop in polls)
            self._row(client, "ok" if answered else outcome, "poll", op_id)
        if outcome != "ok":
            self._go_back(client, first)

    def _go_back(self, client: _Client, first: Mapping[Any, int]) -> None:
        if not first:
            return
        op_id = self._id()
        for kind in ("invoke", "ok"):
            for key, offset in first.items():
                self._row(client, kind, "seek", op_id, key, offset)


def _send(mop: Sequence[Any]) -> tuple[Any, int | None, Any]:
    """Key, offset and value of a send, whether or not its offset is known."""
    key, answer = mop[1], mop[2]
    if isinstance(answer, list):
        offset, value = answer
        return key, offset, value
    return key, None, answer


def _sent(op: Op) -> Iterable[tuple[Any, int | None, Any]]:
    return (_send(mop) for mop in op[":value"] if mop[0] == ":send")


def _polled(op: Op) -> Iterable[tuple[Any, Sequence[Sequence[Any]]]]:
    for mop in op[":value"] or ():
        if len(mop) > 1 and isinstance(mop[1], dict):
            yield from mop[1].items()


def _hashable(value: Any) -> Any:
    return value if value.__hash__ else str(value)
