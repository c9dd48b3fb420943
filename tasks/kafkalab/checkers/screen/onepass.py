"""Which partitions of a history need to be judged record by record? One pass over all rows.

Most partitions of most histories are in order, and that can be seen in a pass that keeps a few
arrays: the log of each partition as acknowledgements tell it, the last offset of each client and
partition, and marks of what was read. A partition that is in order in every respect named in
sends.py and reads.py is *quiet*: no claim of the families log and order is broken
there, since each of their anomalies breaks one of those respects, and no other partition's verdict
rests on it, since all of its values stand there and nowhere else. All others are *suspect*: the
SQL behind the claims looks at their records, and at no others.

So the screen decides nothing. It never calls a partition quiet in doubt: content that is not plain,
sends whose order of completion differs from that of invocation, transactions, and histories whose
offsets do not fit arrays are left to SQL.

What it sees besides is kept in short for whoever needs all partitions: see runs.py. The rows that
carry no record are kept whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kafkalab.checkers.screen.arrays import arrow
from kafkalab.checkers.screen.clients import MOVES, Clients
from kafkalab.checkers.screen.coded import POLL, SEND, Coder, batches
from kafkalab.checkers.screen.logbook import Log, TooWideError
from kafkalab.checkers.screen.marks import Marks
from kafkalab.checkers.screen.reads import Reads
from kafkalab.checkers.screen.runs import Runs
from kafkalab.checkers.screen.sends import Sends
from kafkalab.checkers.screen.strays import Strays
from kafkalab.model.history import COLUMNS

WORTH_ROWS = 100_000  # with fewer, SQL on all of it is as fast
OF_RUNS = ("polls", "given", "placed", "first_sends")


@dataclass(frozen=True)
class Screened:
    """What one pass found.

    tables: Arrow tables `actions`, `processes` (every client's name, and whether it polled, was
        given anything, sent), `places` (topic, part, suspect, and the counters of marks.py), and
        where they were asked for, those of runs.py. A place with part −1 is that of records whose
        client was to choose.
    rows: how many rows there are.
    """

    tables: dict[str, pa.Table]
    rows: int


def screen(source: pa.Table | Path, *, worth_rows: int = WORTH_ROWS, runs: bool = True) -> Screened:
    """Pass over a valid history once.

    Args:
        source: a table, or a Parquet file.
        worth_rows: in a history with fewer rows all partitions are suspect.
        runs: whether to make the tables of runs.py.

    Raises:
        OSError, pyarrow.ArrowInvalid: the file cannot be read as Parquet.
    """
    looks = Looks(runs=runs)
    for batch in batches(source):
        looks.look(batch)
    return looks.result(worth_rows=worth_rows)


def runs_of(source: pa.Table | Path) -> dict[str, pa.Table]:
    """The tables of runs.py alone, for whoever comes to need them; raises as `screen` does."""
    coder = Coder()
    clients = Clients(coder)
    runs = Runs(coder, clients)
    for rows in batches(source):
        batch = coder.code(rows)
        clients.tell(batch)
        runs.look(batch)
    return runs.tables()


class Looks:
    """Everything that one pass keeps: show it all batches in order, then ask for the result."""

    def __init__(self, *, runs: bool = True, room: int = 0) -> None:
        """`runs`: whether to make the tables of runs.py; `room`: most records to expect."""
        self._coder = coder = Coder()
        self._rows = 0
        self._marks, self._log = Marks(coder), Log(room)
        self._clients = Clients(coder)
        self._strays = strays = Strays(self._log, self._marks)
        self._sends = Sends(coder, self._clients, self._log, self._marks, strays)
        self._reads = Reads(self._clients, self._log, self._marks, strays)
        self._runs = Runs(coder, self._clients) if runs else None
        self._actions: list[pa.RecordBatch] = []
        self._too_wide = False

    def look(self, rows: pa.RecordBatch) -> None:
        """Look at one batch, as `coded.batches` yields it."""
        batch = self._coder.code(rows)
        self._rows += rows.num_rows
        self._clients.note(batch)
        self._clients.tell(batch)
        plain = (batch.op == SEND) | (batch.op == POLL)
        actions = batch.rows.filter(arrow(~plain))
        self._actions.append(_plain_text(actions))
        if self._runs:
            self._runs.look(batch)
        if self._too_wide:
            return
        moves = np.array([self._coder.ops.code(op) for op in MOVES], dtype=np.int32)
        try:
            self._sends.look(batch)
            self._reads.look(batch, np.flatnonzero(np.isin(batch.op, moves)))
        except TooWideError:
            self._too_wide = True

    def result(self, *, worth_rows: int = WORTH_ROWS) -> Screened:
        """What was found; in a history with fewer than `worth_rows` all partitions are suspect."""
        if not self._too_wide:
            self._sends.finish()
            self._reads.finish()
            self._strays.finish()
        if self._too_wide or self._rows < worth_rows:
            self._marks.everything()
        tables = {
            "actions": pa.Table.from_batches(self._actions or [_plain_text(_empty())]),
            "processes": self._clients.table(),
            "places": self._marks.table(),
        }
        return Screened(tables | (self._runs.tables() if self._runs else {}), self._rows)


def _plain_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        coded = pa.types.is_dictionary(column.type)
        columns[name] = pc.cast(column, pa.string()) if coded else column
    return pa.RecordBatch.from_pydict(columns)


def _empty() -> pa.RecordBatch:
    fields = [pa.field(name, pa.type_for_alias(dtype)) for name, dtype in COLUMNS]
    return pa.RecordBatch.from_pylist([], schema=pa.schema(fields))
