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
from kafkalab.checkers.live.rows import COLUMNS, COMMITS, Names, actions, commits, records
from kafkalab.checkers.live.store import Store

REMEMBERED_ROWS = 200_000
# What begins a stretch: as in order.py, since a leap is looked for within one.
MOVES = ("open", "subscribe", "unsubscribe", "assign", "seek", "assigned", "revoked", "lost")

_TABLES = (
    f"CREATE TABLE recs ({COLUMNS}, stretch BIGINT)",
    "CREATE TABLE moves (process INTEGER, topic INTEGER, part INTEGER, idx BIGINT)",
    "CREATE TABLE firsts (process INTEGER PRIMARY KEY, idx BIGINT, time_ns BIGINT)",
    "CREATE TABLE calls (process INTEGER, op_id BIGINT, ended BIGINT)",
    "CREATE TABLE sent_last (process INTEGER, topic INTEGER, part INTEGER, op_id BIGINT,"
    " off BIGINT, idx BIGINT)",
)

# The commands of this batch that completed, and are neither known nor invoked in it.
_UNCALLED = """
SELECT count(*) FROM (SELECT DISTINCT process, op_id FROM ops WHERE type BETWEEN 1 AND 3)
ANTI JOIN (SELECT process, op_id FROM calls UNION ALL SELECT process, op_id FROM ops WHERE type = 0)
USING (process, op_id)
"""

_CALLS = """
CREATE OR REPLACE TABLE calls AS
SELECT process, op_id, max(ended) AS ended FROM (
    SELECT process, op_id, ended FROM calls
    UNION ALL
    SELECT process, op_id, CASE WHEN type > 0 THEN idx END FROM ops WHERE type < 4
) GROUP BY process, op_id
HAVING max(ended) IS NULL OR max(ended) > $newest - {remembered}
"""

_STRETCHED = """
INSERT INTO recs
SELECT f.*, greatest(coalesce(a.idx, -1), coalesce(b.idx, -1)) AS stretch
FROM fresh f
LEFT JOIN (SELECT process, max(idx) AS idx FROM moves WHERE topic IS NULL GROUP BY ALL) a
  ON a.process = f.process
LEFT JOIN (SELECT process, topic, part, max(idx) AS idx FROM moves
           WHERE topic IS NOT NULL GROUP BY ALL) b
  ON b.process = f.process AND b.topic = f.topic AND b.part = f.part AND f.kind > 3
"""

# The same where some of the moves are fresh, too.
_STRETCHED_IN_TIME = """
INSERT INTO recs
SELECT f.*, greatest(coalesce(a.idx, -1), coalesce(b.idx, -1)) AS stretch
FROM fresh f
ASOF LEFT JOIN (SELECT process, idx FROM moves WHERE topic IS NULL) a
  ON a.process = f.process AND a.idx <= f.idx
ASOF LEFT JOIN (SELECT * FROM moves WHERE topic IS NOT NULL) b
  ON b.process = f.process AND b.topic = CASE WHEN f.kind > 3 THEN f.topic END
     AND b.part = f.part AND b.idx <= f.idx
"""

_FIRSTS = """
INSERT OR IGNORE INTO firsts SELECT process, min(idx), arg_min(time_ns, idx) FROM ops
GROUP BY process
"""

_MOVED = """
INSERT INTO moves SELECT pid, tid, "partition", "index" FROM batch
WHERE list_contains(CAST(? AS VARCHAR[]), op)
"""

_APART = """
WITH acked AS (
    SELECT process, topic, part, op_id, off, idx FROM fresh WHERE kind = 1 AND off >= 0
    UNION ALL SELECT * FROM sent_last
), steps AS (
    SELECT op_id = lag(op_id) OVER place AS together, off > lag(off) OVER place + 1 AS apart
    FROM acked WINDOW place AS (PARTITION BY process, topic, part ORDER BY idx)
)
SELECT count(*) FILTER (together), count(*) FILTER (together AND apart) FROM steps
"""

_SENT_LAST = """
CREATE OR REPLACE TABLE sent_last AS
SELECT process, topic, part, arg_max(op_id, idx) AS op_id, arg_max(off, idx) AS off,
       max(idx) AS idx
FROM (SELECT process, topic, part, op_id, off, idx FROM fresh WHERE kind = 1 AND off >= 0
      UNION ALL SELECT * FROM sent_last) GROUP BY process, topic, part
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
        self.pairs = self.apart = 0  # see order.int_send_skip
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
        if pc.any(told).as_py():
            self._store.run(_FORGET.format(commits=COMMITS))
        if pc.any(pc.invert(told)).as_py():
            self._store.run(_MOVED, [list(MOVES)])
            self.acted = True
        self.rows += len(rows)
        self.newest_ns = max(self.newest_ns, pc.max(rows["time_ns"]).as_py())
        return ()

    def _problems(self, rows: pa.Table) -> tuple[str, ...]:
        index = rows["index"].to_numpy()
        found = []
        gaps = int(np.count_nonzero(index != np.arange(self.rows, self.rows + len(index))))
        if gaps:
            found.append(f"{gaps:,} rows out of sequence: `index` must count 0, 1, 2, ...")
        type_ = pc.index_in(rows["type"], value_set=pa.array(history.TYPES))
        if type_.null_count:
            found.append(f"{type_.null_count:,} rows have a type other than those of a history")
        process = self.names.encode(rows["process"])
        back = self._steps_back(rows, process)
        if back:
            found.append(f"a client's clock steps back {back:,} times")
        self._store.given("ops", _commands(rows, process, type_))
        uncalled = self._store.number(_UNCALLED)
        if uncalled:
            found.append(f"{uncalled:,} operations completed that were never invoked")
        self._store.run(_CALLS.format(remembered=REMEMBERED_ROWS), {"newest": int(index[-1])})
        new = set(pc.unique(process).to_pylist()) - self._clients
        if new:
            self._store.run(_FIRSTS)
            self._clients |= new
            self.acted = True
        return tuple(found)

    def _steps_back(self, rows: pa.Table, process: pa.Array) -> int:
        timed = pc.invert(pc.is_in(rows["op"], value_set=pa.array(history.NOTED))).to_numpy()
        client, time = process.to_numpy()[timed], rows["time_ns"].to_numpy()[timed]
        order = np.argsort(client, kind="stable")
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
        if not self._fresh:
            return
        self._store.given("fresh", pa.concat_tables(self._fresh))
        self._store.run(_STRETCHED_IN_TIME if self.acted else _STRETCHED)
        if self._counts_commands:
            ((together, apart),) = self._store.rows(_APART)
            self.pairs, self.apart = self.pairs + together, self.apart + apart
            self._store.run(_SENT_LAST)
        self._store.forget("fresh")
        self._fresh = []


def _commands(rows: pa.Table, process: pa.Array, type_: pa.ChunkedArray) -> pa.Table:
    """The first row of each run of rows that have client, command and type in common."""
    same = [process.to_numpy(), rows["op_id"].to_numpy(), pc.fill_null(type_, -1).to_numpy()]
    starts = np.ones(len(rows), bool)
    starts[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in same])
    at = np.flatnonzero(starts)
    names = ("process", "op_id", "type", "idx", "time_ns")
    columns = (*same, rows["index"].to_numpy(), rows["time_ns"].to_numpy())
    return pa.table({name: column[at] for name, column in zip(names, columns, strict=True)})
