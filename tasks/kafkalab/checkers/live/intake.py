"""Takes the rows of a history in, batch by batch, and says where they are not well formed.

Checked are, as in `history.validate`: version and columns, the sequence of `index`, types, that
what completes was invoked, that values are unique, and clocks. A command is forgotten
REMEMBERED_ROWS after it completed: a completion that comes again later than that counts as never
invoked, which it is in a history that is well formed.

Not checked here, but there: types that do not fit an op, ids that are used again, commands that
end in two ways, polled records without a place. Validate the whole when it is stored.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kafkalab.checkers import history
from kafkalab.checkers.live.columns import NONE, by_code, in_one, ints
from kafkalab.checkers.live.commands import Commands
from kafkalab.checkers.live.rows import COMMITS, RECS, Names, actions, commits, records
from kafkalab.checkers.live.store import Store
from kafkalab.checkers.live.stretches import Moves, Neighbours
from kafkalab.checkers.screen.arrays import arrow, numbers, plain
from kafkalab.checkers.screen.coded import Codes, Ints, Mask

REMEMBERED_ROWS = 200_000
# What begins a stretch: as in order.py, since a leap is looked for within one.
MOVES = ("open", "subscribe", "unsubscribe", "assign", "seek", "assigned", "revoked", "lost")

_TABLES = ("CREATE TABLE firsts (process INTEGER PRIMARY KEY, idx BIGINT, time_ns BIGINT)",)

_FIRSTS = """
INSERT OR IGNORE INTO firsts SELECT process, min(idx), arg_min(time_ns, idx) FROM came_in
GROUP BY process
"""

# Of what a client committed in a partition between two assignments of it the highest is enough.
_FORGET = """
DELETE FROM acts WHERE op IN {commits} AND idx NOT IN (
    SELECT arg_max(c.idx, c."offset") FROM acts c ASOF LEFT JOIN (
        SELECT tid, "partition", idx FROM acts WHERE op = 'assigned') a
      ON a.tid = c.tid AND a."partition" = c."partition" AND a.idx <= c.idx
    WHERE c.op IN {commits} GROUP BY c.pid, c.tid, c."partition", a.idx
)
"""


class Intake:
    """The way in: `take` a batch in, `place` what is fresh into `recs`."""

    def __init__(self, store: Store, *, counts_commands: bool) -> None:
        self._store = store
        self._counts_commands = counts_commands
        self.names = Names()
        self.rows = 0
        self.newest_ns = 0
        self._fresh: list[pa.Table] = []
        self.acted = True  # since `place`: readers may have changed
        self._committed = False  # since `place`
        self.neighbours = Neighbours()
        self._moves = Moves()
        self._commands = Commands(REMEMBERED_ROWS)
        self._clocks: dict[int, int] = {}
        self._clients: set[int] = set()
        for sql in _TABLES:
            store.run(sql)
        empty = actions(pa.table([[]] * len(history.schema()), schema=history.schema()), self.names)
        store.given("batch", empty)
        store.run('CREATE TABLE acts AS SELECT *, "index" AS idx FROM batch')

    @property
    def fresh(self) -> int:
        """Rows that were taken in and are not placed yet."""
        return sum(map(len, self._fresh))

    def take(self, rows: pa.Table) -> tuple[str, ...]:
        """Take a batch in; returns what is not well formed about it (then it is not taken)."""
        if not len(rows):
            return ()
        problems = history.shape_problems(rows) or self._problems(rows)
        if problems:
            return problems
        kept = records(rows, self.names)
        others = actions(rows, self.names)
        self._fresh.append(kept)
        if len(others):
            self._store.given("batch", others)
            self._store.run('INSERT INTO acts SELECT *, "index" FROM batch')
        told = commits(others)
        self._committed |= bool(pc.any(told).as_py())
        if pc.any(pc.invert(told)).as_py():
            moved = others.filter(pc.is_in(others["op"], value_set=pa.array(MOVES)))
            self._moves.add(*(ints(moved[n]) for n in ("pid", "tid", "partition", "index")))
            self.acted = True
        self.rows += len(rows)
        self.newest_ns = max(self.newest_ns, pc.max(rows["time_ns"]).as_py())
        return ()

    def _problems(self, rows: pa.Table) -> tuple[str, ...]:
        index = ints(rows["index"])
        found = []
        gaps = int(np.count_nonzero(index != np.arange(self.rows, self.rows + len(index))))
        if gaps:
            found.append(f"{gaps:,} rows out of sequence: `index` must count 0, 1, 2, ...")
        type_ = pc.index_in(rows["type"], value_set=pa.array(history.TYPES))
        if type_.null_count:
            found.append(f"{type_.null_count:,} rows have a type other than those of a history")
        process = numbers(self.names.encode(rows["process"]), NONE)
        time_ns = numbers(in_one(rows["time_ns"]), NONE)
        timed = pc.invert(pc.is_in(rows["op"], value_set=pa.array(history.NOTED)))
        back = self._steps_back(process, time_ns, plain(timed))
        if back:
            found.append(f"a client's clock steps back {back:,} times")
        codes = numbers(in_one(type_), NONE).astype(np.int64)
        op_id = numbers(in_one(rows["op_id"]), NONE)
        uncalled = self._commands.take(process.astype(np.int64), op_id, codes, index)
        if uncalled:
            found.append(f"{uncalled:,} operations completed that were never invoked")
        self._greet(process, time_ns, index)
        return tuple(found)

    def _greet(self, process: Codes, time_ns: Ints, index: Ints) -> None:
        """Note clients that come for the first time."""
        present = np.flatnonzero(np.bincount(process))
        if not self._clients.issuperset(present.tolist()):
            columns = [arrow(column) for column in (process, index, time_ns)]
            self._store.given("came_in", pa.table(columns, names=["process", "idx", "time_ns"]))
            self._store.run(_FIRSTS)
            self._store.forget("came_in")
            self._clients.update(present.tolist())
            self.acted = True

    def _steps_back(self, process: Codes, time_ns: Ints, timed: Mask) -> int:
        client, time = process[timed], time_ns[timed]
        order = by_code(client)
        client, time = client[order], time[order]
        if not len(client):
            return 0
        same = client[1:] == client[:-1]
        back = int(np.count_nonzero(same & (np.diff(time) < -history.CLOCK_SLACK_NS)))
        ends = np.append(np.flatnonzero(~same), len(client) - 1)
        starts = np.append(0, ends[:-1] + 1)
        for start, end in zip(starts, ends, strict=True):  # clients, not rows
            last = self._clocks.get(int(client[start]))
            back += last is not None and int(time[start]) - last < -history.CLOCK_SLACK_NS
            self._clocks[int(client[end])] = int(time[end])
        return back

    def place(self) -> None:
        """Move what is fresh to `recs`, each row with the stretch that it belongs to."""
        if self._committed:
            self._store.run(_FORGET.format(commits=COMMITS))
            self._committed = False
        if not self._fresh:
            return
        fresh = pa.concat_tables(self._fresh).combine_chunks()
        process, topic, part, idx = (ints(fresh[n]) for n in ("process", "topic", "part", "idx"))
        kind = numbers(in_one(fresh["kind"]), NONE)
        read = np.where(kind > 3, topic, NONE)
        stretch = self._moves.stretches(process, read, part, idx)
        self._moves.forget()
        placed = fresh.append_column("stretch", arrow(stretch))
        self._store.recs = pa.concat_tables([self._store.recs, placed.cast(RECS)])
        self._fresh = []
        if self._counts_commands:
            off = ints(fresh["off"])
            columns = np.stack([process, topic, part, ints(fresh["op_id"]), off])
            self.neighbours.count(columns[:, (kind == 1) & (off >= 0)])
