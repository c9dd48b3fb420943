"""One pass over a history in the order of its file: is anything out of place?

What is asked of every row must be cheap, so this keeps a few numbers a client and one byte a value,
and works on whole batches of columns. It answers some questions for good and for the others names
the *suspects*: the few commands for which `history.py` then asks the dear question of the rows
themselves. Whoever is no suspect is in order, for certain:

order      rows lie in the file as `index` counts: 0, 1, 2, ...
numbers    times, ids and offsets lie within ±BEYOND, so that nothing overflows.
clocks     the times of one client, row after row, with what the lab stamps left out.
commands   within a life (`open` begins one) the ids of a client's invocations rise, and a
           completion belongs to the invocation before it, is of the same op, and comes once.
           Whose id is not above all before it, and who ended after another had been invoked (an
           asynchronous commit, a close while a poll runs), is a suspect, mostly an innocent one.
values     one byte a value says whether it was sent, and ended. That needs values to be small
           numbers; where they are not, `dense` says so and nothing else about them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kafkalab.checkers.screen.arrays import numbers, valid
from kafkalab.checkers.screen.coded import Names
from kafkalab.checkers.values import ENDED, SENT, Values

Ints = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]

CLOCK_SLACK_NS = 50_000_000
BEYOND = 2**62
READS = (
    "index", "time_ns", "process", "type", "op", "op_id", "topic", "partition", "offset", "value",
)  # fmt: skip
NAMES = ("process", "type", "op")
# by the lab, on a clock of its own
NOTED = ("kill", "fault", "sample", "thread_dump")
# of a driver's process and not of a client: no `open` tells one life from the next
WITHOUT_CLIENT = ("clock", "stats", "stop")

_EVENT, _INVOKE, _DONE, _APART = 0, 1, 2, 3
_KINDS = {"invoke": _INVOKE, "ok": _DONE, "fail": _DONE, "info": _DONE}
_NONE = -1
_LONG_AGO = -(2**62)


class Screen:
    """Feed it the batches in the order of the file, then read what it found."""

    def __init__(self, rows: int, most_bytes: int) -> None:
        self.rows = 0
        self.in_order = True
        self.steps_back = 0
        self.nulls: set[str] = set()
        self.without_id = 0
        self.without_place = 0
        self.beyond = 0
        self.kinds: dict[tuple[str, str], int] = {}  # (type, op) → rows
        self.processes, self._types, self._ops = Names(), Names(), Names()
        self._suspects: list[Ints] = []  # (process, op_id)
        self.values = Values(min(most_bytes, 8 * rows + 2**20))
        # per process: last invocation and its op, last completion since and its type, highest id
        # of its life, last time
        names = ("id", "op", "done", "kind", "top", "time")
        self._last = {name: np.empty(0, np.int64) for name in names}

    def feed(self, batch: pa.RecordBatch) -> None:
        """Look at one batch; stops looking once rows are out of order or lack what all need."""
        columns = dict(zip(READS, (batch.column(name) for name in READS), strict=True))
        self.nulls |= {name for name in READS[:6] if columns[name].null_count}
        count = batch.num_rows
        if self.nulls or not count:
            return
        index = numbers(columns["index"], _NONE)
        counted = np.arange(self.rows, self.rows + count)
        self.in_order = self.in_order and bool((index == counted).all())
        self.rows += count
        if not self.in_order:
            return
        process = _codes(self.processes, columns["process"])
        kind, op = _codes(self._types, columns["type"]), _codes(self._ops, columns["op"])
        op_id = numbers(columns["op_id"], _NONE)
        time = numbers(columns["time_ns"], _NONE)
        for told in (op_id, time, numbers(columns["offset"], _NONE)):
            if int(told.max()) > BEYOND or int(told.min()) < -BEYOND:
                self.beyond += int(((told > BEYOND) | (told < -BEYOND)).sum())
        self._count(kind, op)
        phase = self._table(self._types.names, _KINDS)[kind]
        self._records(columns, phase, op)
        self.without_id += int(((op_id < 0) & (phase != _EVENT)).sum())
        by_lab = np.isin(op, [self._ops.code(name) for name in NOTED])
        rows: tuple[Ints, ...] = (process, phase, op, op_id, time, kind)
        if by_lab.any():
            rows = tuple(column[~by_lab] for column in rows)
        if len(rows[0]):
            self._commands(*rows)

    def suspicious(self) -> bool:
        """Whether anything is left to ask of the rows themselves."""
        return bool(self._suspects) or not self.values.clean()

    def suspects(self) -> list[tuple[str, int]]:
        """Commands, as client and id, all of whose rows must be looked at."""
        if not self._suspects:
            return []
        found = np.unique(np.concatenate(self._suspects, axis=1), axis=1)
        return [(self.processes.names[code], int(op_id)) for code, op_id in found.T]

    @staticmethod
    def _table(names: list[str], meanings: dict[str, int]) -> Ints:
        return np.array([meanings.get(name, 0) for name in names], np.int8)

    def _count(self, kind: Ints, op: Ints) -> None:
        width = len(self._ops.names)
        counts = np.bincount(kind.astype(np.int32) * width + op)
        for pair in np.flatnonzero(counts):
            name = (self._types.names[pair // width], self._ops.names[pair % width])
            self.kinds[name] = self.kinds.get(name, 0) + int(counts[pair])

    def _records(self, columns: dict[str, pa.Array], phase: Ints, op: Ints) -> None:
        sends = op == self._ops.code("send")
        for mark, wanted in ((SENT, _INVOKE), (ENDED, _DONE)):
            mask = sends & (phase == wanted)
            if mask.any():
                self.values.mark(columns["value"], mask, mark)
        lacking = [c for c in (columns["partition"], columns["offset"]) if c.null_count]
        if lacking:
            given = (op == self._ops.code("poll")) & (phase == _DONE) & valid(columns["topic"])
            whole = np.logical_and.reduce([valid(column) for column in lacking])
            self.without_place += int((given & ~whole).sum())

    def _commands(
        self, process: Ints, phase: Ints, op: Ints, op_id: Ints, time: Ints, kind: Ints
    ) -> None:
        """Rows of one command that lie together count as one: the *heads* of such runs."""
        new = np.ones(len(process), np.bool_)
        new[1:] = (
            (process[1:] != process[:-1])
            | (op_id[1:] != op_id[:-1])
            | (kind[1:] != kind[:-1])
            | (op[1:] != op[:-1])
        )
        self.steps_back += int((~new[1:] & (np.diff(time) < -CLOCK_SLACK_NS)).sum())
        heads = np.flatnonzero(new)
        if len(heads) == len(new):
            first, last = time, time
        else:
            first, last = time[heads], time[np.append(heads[1:], len(new)) - 1]
            process, phase, op, op_id, kind = (c[heads] for c in (process, phase, op, op_id, kind))
        apart = np.isin(op, [self._ops.code(name) for name in WITHOUT_CLIENT])
        if apart.any():
            done = apart & (phase == _DONE)
            self._look_at(process[done], op_id[done])
            phase = np.where(apart, np.int8(_APART), phase)
        self._follow(
            {
                "process": process,
                "phase": phase,
                "op": op,
                "kind": kind,
                "id": op_id,
                "first": first,
                "last": last,
            }
        )

    def _follow(self, heads: dict[str, Any]) -> None:
        """Each client's runs in order, after what is remembered of it."""
        before = self._remembered(np.flatnonzero(np.bincount(heads["process"])))
        both = {name: np.concatenate([before[name], heads[name]]) for name in heads}
        order = np.argsort(both["process"], kind="stable")
        at = {name: column.take(order) for name, column in both.items()}
        place = np.arange(len(order), dtype=np.int32)
        begins = np.ones(len(order), np.bool_)
        begins[1:] = at["process"][1:] != at["process"][:-1]
        start = np.maximum.accumulate(np.where(begins, place, np.int32(0)))
        fresh = order >= len(before["process"])
        back = (at["first"][1:] - at["last"][:-1] < -CLOCK_SLACK_NS) & ~begins[1:] & fresh[1:]
        self.steps_back += int(back.sum())
        asked = np.maximum.accumulate(np.where(at["phase"] == _INVOKE, place, np.int32(_NONE)))
        ended = np.maximum.accumulate(np.where(at["phase"] == _DONE, place, np.int32(_NONE)))
        tops = self._tops(at, begins, fresh)
        self._judge(at, fresh, start, _shifted(asked), _shifted(ended), tops[0])
        final = np.append(np.flatnonzero(begins[1:]), len(order) - 1)
        self._remember(at, final, start[final], asked[final], ended[final])
        self._last["top"][at["process"][final]] = tops[1][final]

    def _tops(self, at: dict[str, Any], begins: Bools, fresh: Bools) -> tuple[Ints, Ints]:
        """The highest id that a client has invoked in its life: before each run, and with it."""
        opens = (at["op"] == self._ops.code("open")) & (at["phase"] == _INVOKE) & fresh
        counts = (at["phase"] == _INVOKE) | (~fresh & (at["phase"] == _EVENT))
        ids = np.where(counts, at["id"], _NONE)
        life = np.cumsum(begins | opens)
        wide = int(ids.max()) + 2
        if wide * int(life[-1]) > 2**62:  # ids that are no counters: look at all of them
            return np.full(len(ids), 2**62), np.maximum(ids, 0)
        tops = np.maximum.accumulate(life * wide + ids + 1) - life * wide - 1
        before = _shifted(tops)
        return np.where(begins | opens, _NONE, before), tops

    def _judge(
        self,
        at: dict[str, Any],
        fresh: Bools,
        start: Ints,
        asked: Ints,
        ended: Ints,
        top: Ints,
    ) -> None:
        """`asked`, `ended`: where the last invocation and completion before each run stand."""
        known = asked >= start
        op_id, op = at["id"], at["op"]
        same = known & (op_id == op_id[asked]) & (op == op[asked])
        over = ended > asked
        rises = (op_id > top) | (same & ~over)
        wrong = fresh & (at["phase"] == _INVOKE) & ~rises
        self._look_at(at["process"][wrong], op_id[wrong])
        other = (op_id[ended] == op_id) & (at["kind"][ended] != at["kind"])
        again = over & other & (op != self._ops.code("send"))
        late = fresh & (at["phase"] == _DONE) & (~same | again)
        self._look_at(at["process"][late], op_id[late])

    def _look_at(self, process: Ints, op_id: Ints) -> None:
        if len(process):
            self._suspects.append(np.unique(np.stack([process, op_id]), axis=1))

    def _remembered(self, present: Ints) -> dict[str, Any]:
        """Three runs a client that stand for all before: invocation, completion, time."""
        missing = len(self.processes.names) - len(self._last["id"])
        if missing > 0:
            for name, column in self._last.items():
                fill = _LONG_AGO if name == "time" else _NONE
                self._last[name] = np.append(column, np.full(missing, fill, np.int64))
        last = {name: column[present] for name, column in self._last.items()}
        none, time = np.full(len(present), _NONE), np.tile(last["time"], 3)
        asked = np.where(last["id"] == _NONE, _EVENT, _INVOKE)
        done = np.where(last["done"] == _NONE, _EVENT, _DONE)
        phase = np.concatenate([asked, done, np.full(len(present), _EVENT)])
        return {
            "process": np.tile(present, 3),
            "phase": phase.astype(np.int8),
            "op": np.concatenate([last["op"], none, none]).astype(np.int16),
            "kind": np.concatenate([none, last["kind"], none]).astype(np.int16),
            "id": np.concatenate([last["id"], last["done"], last["top"]]),
            "first": time,
            "last": time,
        }

    def _remember(
        self, at: dict[str, Any], final: Ints, start: Ints, asked: Ints, ended: Ints
    ) -> None:
        process, any_asked = at["process"][final], asked >= start
        self._last["id"][process] = np.where(any_asked, at["id"][asked], _NONE)
        self._last["op"][process] = np.where(any_asked, at["op"][asked], _NONE)
        since = (ended >= start) & (ended > asked)
        self._last["done"][process] = np.where(since, at["id"][ended], _NONE)
        self._last["kind"][process] = np.where(since, at["kind"][ended], _NONE)
        self._last["time"][process] = at["last"][final]


def screened(batches: Iterable[pa.RecordBatch], screen: Screen) -> Screen:
    """`screen`, after it was fed all batches, or as many as it takes to say no."""
    for batch in batches:
        screen.feed(batch)
        if screen.nulls or not screen.in_order:
            break
    return screen


def _shifted(positions: Ints) -> Ints:
    before = np.empty_like(positions)
    before[0], before[1:] = _NONE, positions[:-1]
    return before


def _codes(names: Names, column: pa.Array) -> Ints:
    """A column of names as codes; in 16 bits where they do, since those sort fastest."""
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    found = names.encode(coded)
    return found.astype(np.int16) if len(names) < 2**15 else found
