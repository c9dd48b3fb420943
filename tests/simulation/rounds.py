"""The rounds of a steady history, from templates of small integers.

The run is cut into equal *rounds*. In each, every consumer polls what the round before appended,
while every producer sends one command of `batch` records; all of them are in flight at once:

    poll invokes | send invokes | poll completions with their records | send completions

A round is one template: where a record lands follows from its place in the round and one random
shift, so rows are made by indexing tables, and no Python runs once a row. Consumers commit what
they think after each block of rounds; at the end all is drained, committed and closed, and the
admin reads the groups' offsets.

With `rotate`, each partition is a topic of its own that is given up for a new one after so many
records, as Jepsen's Kafka workload rotates its keys: many short logs instead of a few long ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kafkalab.checkers import history
from kafkalab.model.history import COLUMNS, Row

START_NS = 1_000_000_000
STEP_NS = 1_000  # from one row to the next; the rows of one command share the stamp of its first
BLOCK_ROWS = 250_000  # between two commits of a consumer
SEND, POLL = range(2)
Columns = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """What a steady history looks like.

    Attributes:
        events: records sent plus records polled, about: the last round is not cut short.
        batch: records of a send command; a poll gives about as many.
        groups: each reads everything; `consumers` divide over them.
        rotate: records after which a partition becomes a new topic; None keeps one topic.
    """

    events: int
    producers: int = 9
    consumers: int = 9
    groups: int = 1
    partitions: int = 108
    batch: int = 500
    rotate: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sent_per_round < self.partitions or self.consumers % self.groups:
            raise ValueError(
                f"a round of {self.sent_per_round} records must reach each of {self.partitions}"
                f" partitions, and {self.consumers} consumers divide over {self.groups} groups"
            )
        if self.rotate and self.batch > 1:
            raise ValueError("a send command has one topic: rotate needs batch=1")

    @property
    def sent_per_round(self) -> int:
        return self.producers * self.batch

    @property
    def rounds(self) -> int:
        return -(-self.events // (self.sent_per_round * (1 + self.groups)))


class Template:
    """What is the same in every round, and what follows from its shift.

    Tables have a row a shift and a column a record of the round, in order of sending:

    part    the partition that it lands in
    rank    how many records of the round lie there before it
    counts  records that land in each partition (a column each)
    order   which record polls give first, second, ...; `reader` is who is given it
    """

    def __init__(self, shape: Shape) -> None:
        parts, sent = shape.partitions, shape.sent_per_round
        shifts, place = np.arange(parts)[:, None], np.arange(sent)[None, :]
        self.part = ((place + shifts) % parts).astype(np.int32)
        self.rank = np.broadcast_to(place // parts, self.part.shape)
        self.counts = np.stack([np.bincount(row, minlength=parts) for row in self.part])
        members = shape.consumers // shape.groups
        self.owner = np.arange(parts) % members  # within its group
        by_owner = np.argsort(self.owner[self.part] * parts + self.part, axis=1, kind="stable")
        self.order = np.tile(by_owner, (1, shape.groups))
        offset = np.repeat(np.arange(shape.groups) * members, sent)
        self.reader = self.owner[np.take_along_axis(self.part, self.order, axis=1)] + offset
        self.polled = sent * shape.groups
        self.rows = shape.consumers + 2 * sent + self.polled


class Rounds:
    """Makes blocks one after the other; holds what the next one goes on from."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.template = Template(shape)
        self.random = np.random.default_rng(shape.seed)
        self.index = 0
        self.op_id = 0  # of all that is no send and no poll
        self.ends = np.zeros(shape.partitions, np.int64)  # records a partition so far
        self.read = np.zeros(shape.partitions, np.int64)  # the same, as far as polls gave them
        self.assigned = np.zeros(shape.partitions, np.int64)  # topics of a partition so far
        self.before: tuple[Any, ...] = ()  # the last round: shift, partition, place, value
        self.stagger = np.arange(shape.partitions) * ((shape.rotate or 0) // shape.partitions)
        topics = [self.topic(n) for n in range(shape.partitions * self._generations())]
        self.names = {
            "process": [f"p{n}" for n in range(shape.producers)]
            + [f"c{n}" for n in range(shape.consumers)],
            "type": ["invoke", "ok"],
            "op": ["send", "poll"],
            "topic": topics if shape.rotate else ["t"],
            "intended": [f"{name}/0" for name in topics]
            if shape.rotate
            else [f"t/{n}" for n in range(shape.partitions)],
        }

    def _generations(self) -> int:
        most = self.shape.rounds * int(self.template.counts.max()) + int(self.stagger.max())
        return most // self.shape.rotate + 1 if self.shape.rotate else 1

    def topic(self, number: int) -> str:
        return f"t{number}" if self.shape.rotate else "t"

    def members(self, group: int) -> range:
        size = self.shape.consumers // self.shape.groups
        return range(group * size, group * size + size)

    # ---- blocks of rounds

    def rounds(self, first: int, count: int) -> pa.Table:
        """Rows of `count` rounds; the first round of all has polls that give nothing."""
        shape, template = self.shape, self.template
        sent = shape.sent_per_round
        shifts = self.random.integers(0, shape.partitions, count)
        counts = np.cumsum(template.counts[shifts], axis=0)
        base = np.vstack([self.ends, self.ends + counts[:-1]])
        part = template.part[shifts]
        place = np.take_along_axis(base, part, axis=1) + template.rank[shifts]
        value = (first + np.arange(count))[:, None] * sent + np.arange(1, sent + 1)[None, :]
        now = (shifts, part, place, value)
        before = self.before or tuple(column[:1] for column in now)
        given = [np.concatenate([b, n[:-1]]) for b, n in zip(before, now, strict=True)]
        self.before = tuple(column[-1:] for column in now)
        self.ends = self.ends + counts[-1]
        self.read = self.ends - template.counts[shifts[-1]]
        made = self._lay_out(first, count, now[1:], self._polled(*given))
        if first == 0:
            made = {name: self._nothing_yet(name, column) for name, column in made.items()}
        return self._finish(made)

    def last_polls(self) -> pa.Table:
        """What the last round appended is given out."""
        reader, *polls = self._polled(*self.before)
        self.read = self.ends
        consumers, start = np.arange(self.shape.consumers), self.shape.producers
        none = np.full(len(consumers), -1)
        kinds = np.repeat([0, 1], [len(consumers), reader.shape[1]])
        names = ("part", "place", "value")
        made = {name: np.hstack([none, rows[0]]) for name, rows in zip(names, polls, strict=True)}
        made |= {"process": np.hstack([consumers, reader[0]]) + start, "type": kinds}
        return self._finish(
            {
                **made,
                "op": np.full(len(kinds), POLL),
                "op_id": np.full(len(kinds), 2 * (self.shape.rounds + 10)),
            }
        )

    def _polled(self, shifts: Any, part: Any, place: Any, value: Any) -> tuple[Any, ...]:
        order = self.template.order[shifts]
        take = [np.take_along_axis(column, order, axis=1) for column in (part, place, value)]
        return (self.template.reader[shifts], *take)

    def _lay_out(self, first: int, count: int, sends: Any, polls: Any) -> Columns:
        """One column a field, a row a round: the four segments side by side."""
        shape, (part, place, value) = self.shape, sends
        reader, *given = polls
        sent, polled, width = shape.sent_per_round, self.template.polled, self.template.rows
        consumers = np.arange(shape.consumers)
        none = np.full(shape.consumers, -1)
        producers = np.repeat(np.arange(shape.producers), shape.batch)
        sizes = [shape.consumers, sent, polled, sent]

        def rows(*segments: Any) -> Any:
            return np.hstack([np.broadcast_to(s, (count, np.shape(s)[-1])) for s in segments])

        start, number = shape.producers, np.arange(first, first + count)[:, None] + 10
        return {
            "process": rows(consumers + start, producers, reader + start, producers),
            "type": rows(np.repeat([0, 0, 1, 1], sizes)),
            "op": rows(np.repeat([POLL, SEND, POLL, SEND], sizes)),
            "op_id": np.broadcast_to(2 * number, (count, width)),
            "part": rows(none, part, given[0], part),
            "place": rows(none, place, given[1], place),
            "value": rows(none, value, given[2], value),
        }

    def _nothing_yet(self, name: str, column: Any) -> Any:
        """In the first round polls end with one row a consumer, without a record."""
        shape, flat = self.shape, column.ravel()
        start = shape.consumers + shape.sent_per_round
        consumers = np.arange(shape.consumers)
        empty = {"process": consumers + shape.producers, "type": consumers * 0 + 1}
        empty |= {"op": consumers * 0 + POLL, "op_id": consumers * 0 + 20}
        rest = flat[start + self.template.polled :]
        return np.concatenate([flat[:start], empty.get(name, consumers * 0 - 1), rest])

    def _finish(self, made: Columns) -> pa.Table:
        """From small integers to the columns of a history."""
        flat = {name: column.ravel() for name, column in made.items()}
        rows = len(flat["op"])
        first = np.ones(rows, bool)  # of a command, or of what ended it
        changes = [flat[name][1:] != flat[name][:-1] for name in ("process", "type", "op")]
        first[1:] = np.logical_or.reduce(changes)
        index = self.index + np.arange(rows)
        self.index += rows
        stamp = np.maximum.accumulate(np.where(first, index, 0))
        topic, part, offset = self._logs(flat["part"], flat["place"])
        none, asked = flat["part"] < 0, flat["type"] == 0
        intended = topic if self.shape.rotate else part
        return _table(
            index=index,
            time_ns=START_NS + stamp * STEP_NS,
            op_id=flat["op_id"],
            partition=pa.array(part.astype(np.int32), mask=none),
            offset=pa.array(offset, mask=none | asked),
            value=pa.array(flat["value"].astype(np.uint64), mask=none),
            topic=_words(topic, self.names["topic"], none),
            intended=_words(intended, self.names["intended"], none | (flat["op"] == SEND)),
            **{name: _words(flat[name], self.names[name]) for name in ("process", "type", "op")},
        )

    def _logs(self, part: Any, place: Any) -> tuple[Any, Any, Any]:
        """Topic, partition and offset of what lies at a place of a partition of the template."""
        slot, place = np.maximum(part, 0), np.maximum(place, 0)
        if not self.shape.rotate:
            return np.zeros_like(slot), slot, place
        number = (place + self.stagger[slot]) // self.shape.rotate
        start = np.maximum(number * self.shape.rotate - self.stagger[slot], 0)
        return number * self.shape.partitions + slot, np.zeros_like(slot), place - start

    # ---- what lies between them

    def begin(self) -> pa.Table:
        """Clients are opened; members subscribe and are assigned their partitions."""
        shape, rows = self.shape, []
        for n in range(shape.producers):
            config = {"role": "producer", "config": {"acks": -1, "idempotence": True}}
            rows += self._command(f"p{n}", "open", json.dumps(config))
        for group in range(shape.groups):
            for n in self.members(group):
                config = {"group": f"g{group}", "auto_commit": False, "offset_reset": "earliest"}
                detail = json.dumps({"role": "consumer", "config": config})
                topics = json.dumps({"topics": sorted(set(self.names["topic"]))})
                rows += self._command(f"c{n}", "open", detail)
                rows += self._command(f"c{n}", "subscribe", topics)
        return self._small(rows)

    def assign(self) -> pa.Table:
        """Members are given the topics, or partitions, that the coming rounds may reach."""
        shape, rows, most = self.shape, [], np.ones(self.shape.partitions, np.int64)
        if shape.rotate:
            coming = BLOCK_ROWS * int(self.template.counts.max()) // self.template.rows + 1
            most = np.minimum(
                (self.ends + self.stagger + coming) // shape.rotate + 1, self._generations()
            )
        for group in range(shape.groups):
            for slot in range(shape.partitions):
                member = self.members(group)[self.template.owner[slot]]
                for number in range(self.assigned[slot], most[slot]):
                    place = self._place(slot, number)
                    rows.append((f"c{member}", "event", "assigned", -1, *place, None, 1, None))
        self.assigned = most
        rows.sort(key=lambda row: row[0])
        return self._small(rows)

    def commits(self) -> pa.Table:
        """Each consumer commits what it was given, acknowledged for each partition."""
        shape, rows = self.shape, []
        for group in range(shape.groups):
            for n, mine in self._positions(group).items():
                rows += self._command(f"c{n}", "commit", json.dumps({"mode": "sync"}), mine)
        return self._small(rows)

    def end(self) -> pa.Table:
        """Everybody closes; the admin reads what each group has committed."""
        shape, rows = self.shape, []
        names = [f"p{n}" for n in range(shape.producers)]
        for name in (*names, *(f"c{n}" for n in range(shape.consumers))):
            rows += self._command(name, "close", None)
        for group in range(shape.groups):
            every = [place for mine in self._positions(group).values() for place in mine]
            detail = json.dumps({"group": f"g{group}"})
            rows += self._command("admin", "group_offsets", detail, sorted(every))
        return self._small(rows)

    def _place(self, slot: int, number: int) -> tuple[str, int]:
        if self.shape.rotate:
            return self.topic(number * self.shape.partitions + slot), 0
        return "t", slot

    def _positions(self, group: int) -> dict[int, list[tuple[Any, ...]]]:
        """Per member: topic, partition and next offset of what it was given."""
        found: dict[int, list[tuple[Any, ...]]] = {n: [] for n in self.members(group)}
        for slot, read in enumerate(self.read.tolist()):
            mine = found[self.members(group)[self.template.owner[slot]]]
            size = self.shape.rotate or read + 1
            start = 0
            for number in range(int(self.assigned[slot])):
                stop = (number + 1) * size - int(self.stagger[slot])
                if read > start:
                    mine.append((*self._place(slot, number), min(read, stop) - start))
                start = max(stop, 0)
        return found

    def _command(
        self, process: str, op: str, detail: str | None, places: list[tuple[Any, ...]] | None = None
    ) -> list[tuple[Any, ...]]:
        """Invoke and ok of a command, one row a place."""
        self.op_id += 1
        number = 2 * self.op_id + 1  # sends and polls have the even ones
        admin = detail if op == "group_offsets" else None
        rows = [(process, "invoke", op, number, None, None, None, None, detail)]
        if admin:
            rows = [
                (process, "invoke", op, number, *p[:2], None, None, detail) for p in places or ()
            ]
        done = [(process, "ok", op, number, *place, None, admin) for place in places or ()]
        return [*rows, *(done or [(process, "ok", op, number, None, None, None, None, admin)])]

    def _small(self, rows: list[tuple[Any, ...]]) -> pa.Table:
        first, self.index = self.index, self.index + len(rows)
        return history.table(
            Row(
                index,
                START_NS + index * STEP_NS,
                *row[:4],
                topic=row[4],
                partition=row[5],
                offset=row[6],
                generation=row[7],
                detail=row[8],
            )
            for index, row in enumerate(rows, first)
        )


def _words(codes: Any, names: list[str], mask: Any = None) -> pa.Array:
    """Strings from their numbers."""
    numbers = pa.array(codes.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(numbers, pa.array(names)).cast(pa.string())


def _table(**given: Any) -> pa.Table:
    """A table of a history; columns that are not given are null."""
    rows = len(given["index"])
    types = {field.name: field.type for field in history.schema()}
    columns = [given.get(name, pa.nulls(rows, types[name])) for name, _ in COLUMNS]
    return pa.table(columns, schema=history.schema())
