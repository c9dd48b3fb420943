"""A history of transactions that read and write, some of which read each other.

Eight producers take turns. Each transaction polls through a consumer of its own (whose offsets it
sends), writes to two partitions, and commits. Of every `CIRCLE_EVERY` transactions two
neighbours run at the same time, and each is given a record of the other before either commits: a
circle, and nothing else is wrong.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kafkalab.checkers import history
from kafkalab.model.history import COLUMNS, CheckContext

CLIENTS, PARTITIONS, TOPIC = 8, 16, "t"
CIRCLE_EVERY = 1_000
STEP_NS = 1_000


class Writer:
    """Appends rows to columns; partitions are logs of values, where a commit takes an offset."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name, _ in COLUMNS}
        self.values, self.ids = count(1), count(1)
        self.ends = [0] * PARTITIONS
        self.unread: dict[int, list[tuple[int, int]]] = {p: [] for p in range(PARTITIONS)}

    def row(self, process: str, kind: str, op: str, op_id: int, **fields: Any) -> None:
        index = len(self.columns["index"])
        given = {"index": index, "time_ns": 10**9 + index * STEP_NS, "process": process}
        given |= {"type": kind, "op": op, "op_id": op_id, **fields}
        for name, column in self.columns.items():
            column.append(given.get(name))

    def call(self, process: str, op: str, detail: dict[str, Any] | None = None) -> None:
        op_id = next(self.ids)
        text = json.dumps(detail) if detail else None
        self.row(process, "invoke", op, op_id, detail=text)
        self.row(process, "ok", op, op_id, detail=text if op == "txn" else None)

    def txn(self, number: int, action: str, **more: str) -> None:
        self.call(f"p{number % CLIENTS}", "txn", {"action": action, **more})

    def write(self, number: int, *parts: int) -> list[tuple[int, int, int]]:
        """Send a record to each partition; returns (partition, offset, value) of each."""
        process, op_id = f"p{number % CLIENTS}", next(self.ids)
        sent = [(part, next(self.values)) for part in dict.fromkeys(parts)]
        for part, value in sent:
            where = {"topic": TOPIC, "partition": part, "value": value}
            self.row(process, "invoke", "send", op_id, **where)
        placed = []
        for part, value in sent:
            where = {"topic": TOPIC, "partition": part, "value": value}
            self.row(process, "ok", "send", op_id, **where, offset=self.ends[part])
            placed.append((part, self.ends[part], value))
            self.ends[part] += 1
        return placed

    def read(self, number: int, records: list[tuple[int, int, int]]) -> None:
        """One poll of the consumer whose offsets the transaction will send."""
        process, op_id = f"c{number % CLIENTS}", next(self.ids)
        self.row(process, "invoke", "poll", op_id)
        for part, offset, value in records:
            where = {"topic": TOPIC, "partition": part, "offset": offset, "value": value}
            self.row(process, "ok", "poll", op_id, **where, intended=f"{TOPIC}/{part}")
        if not records:
            self.row(process, "ok", "poll", op_id)

    def due(self, number: int) -> list[tuple[int, int, int]]:
        """What the consumer has not been given yet of the partitions that are its own."""
        mine = [part for part in range(PARTITIONS) if part % CLIENTS == number % CLIENTS]
        found = [(part, *record) for part in mine for record in self.unread[part]]
        for part in mine:
            self.unread[part] = []
        return found

    def end(self, number: int, placed: list[tuple[int, int, int]]) -> None:
        """Send the consumer's offsets and commit; a marker follows in each partition."""
        self.txn(number, "send_offsets", group_of=f"c{number % CLIENTS}")
        self.txn(number, "commit")
        for part, _, _ in placed:
            self.ends[part] += 1

    def later(self, records: list[tuple[int, int, int]]) -> None:
        for part, offset, value in records:
            self.unread[part].append((offset, value))


def write(path: Path, transactions: int) -> CheckContext:
    """Write the history as Parquet; returns what it is judged with."""
    made = Writer()
    for client in range(CLIENTS):
        config = {"transactional_id": f"x{client}", "acks": -1, "idempotence": True}
        made.call(f"p{client}", "open", {"role": "producer", "config": config})
        made.txn(client, "init")
        reader = {"isolation": "read_committed", "offset_reset": "earliest", "auto_commit": False}
        made.call(f"c{client}", "open", {"role": "consumer", "config": reader})
    for number in range(0, transactions - 1, 2):
        if number % CIRCLE_EVERY == 0:
            _circle(made, number)
        else:
            _plain(made, number)
            _plain(made, number + 1)
    for client in range(CLIENTS):
        made.read(client, made.due(client))
    pq.write_table(history.from_columns(made.columns), path, compression="zstd")
    return CheckContext(finished_ns=10**9 + len(made.columns["index"]) * STEP_NS)


def circles(transactions: int) -> int:
    """How many circles such a history holds."""
    return len(range(0, transactions - 1, CIRCLE_EVERY))


def _plain(made: Writer, number: int) -> None:
    made.txn(number, "begin")
    made.read(number, made.due(number))
    placed = made.write(number, number * 7 % PARTITIONS, (number * 11 + 4) % PARTITIONS)
    made.end(number, placed)
    made.later(placed)


def _circle(made: Writer, number: int) -> None:
    one, other = number, number + 1
    made.txn(one, "begin")
    made.txn(other, "begin")
    ours, theirs = made.write(one, other % CLIENTS), made.write(other, one % CLIENTS)
    made.read(one, [*made.due(one), *theirs])
    made.read(other, [*made.due(other), *ours])
    made.end(one, ours)
    made.end(other, theirs)
