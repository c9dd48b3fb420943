"""Rows that are settled, kept aside: what the live form (judge.py) looks up when it must look back.

settled_N  segments of settled rows, each with the place of the record that it belongs to
           (`place_part`, `place_off`; the topic is the row's own). The oldest segment is dropped
           when all hold more than `rows_max`. Beyond its memory limit DuckDB writes them to disk.
extents    per segment and partition the offsets that may be in it, so that few are searched.
runs       which offsets of a partition are settled, and under topic −1 which values, as intervals
           [lo, hi]: never dropped, and few, since offsets and values are counted upwards.

The caller fills `settling` (value, topic, part, off, and what it counts for) with what goes in.
What is looked for stands in `wanted` (topic, part, off) and `wanted_values` (value): see
watch.py.
"""

from __future__ import annotations

from kafkalab.checkers.live.rows import COLUMNS
from kafkalab.checkers.live.store import Store
from kafkalab.checkers.live.watch import WANTED, WANTED_VALUES

SEGMENT_ROWS = 2_000_000
ROW = (
    f"{COLUMNS}, stretch BIGINT, place_part INTEGER, place_off BIGINT, followed BOOLEAN,"
    " ordered BOOLEAN, acked BOOLEAN"
)

# counters of the screen (HistoryView.quiet), and the settled rows that they count
COUNTERS = ("delivered", "delivered_after", "acknowledged", "sends_after", "ordered_after")
_GONE = """
SELECT sum(given), sum(given), count(*) FILTER (acked), count(*) FILTER (followed),
       count(*) FILTER (followed AND ordered) FROM settling
"""
_CAME_BACK = """
SELECT count(*) FILTER (kind > 4), count(*) FILTER (kind > 4), count(*) FILTER (kind = 1 AND acked),
       count(*) FILTER (followed), count(*) FILTER (followed AND ordered) FROM moving
"""

_ADD_RUNS = """
INSERT INTO runs SELECT topic, part, min(off), max(off) FROM (
    SELECT topic, part, off,
           off - row_number() OVER (PARTITION BY topic, part ORDER BY off) AS run FROM settling
) GROUP BY topic, part, run
UNION ALL
SELECT -1, -1, min(value), max(value) FROM (
    SELECT value, CAST(value AS HUGEINT) - row_number() OVER (ORDER BY value) AS run FROM settling
) GROUP BY run
"""

_JOIN_RUNS = """
CREATE OR REPLACE TABLE runs AS
WITH marked AS (
    SELECT *, coalesce(lo > max(hi) OVER (PARTITION BY topic, part ORDER BY lo
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) + 1, true) AS starts FROM runs
), numbered AS (
    SELECT *, count(*) FILTER (starts) OVER (PARTITION BY topic, part ORDER BY lo) AS run
    FROM marked
)
SELECT topic, part, min(lo) AS lo, max(hi) AS hi FROM numbered GROUP BY topic, part, run
"""

# Each run without the points taken out of it: what lies between two of them, or it and an end.
_CUT_RUNS = """
CREATE OR REPLACE TABLE runs AS
WITH points AS (
    SELECT topic, part, CAST(off AS HUGEINT) AS x FROM taken
    UNION ALL SELECT -1, -1, CAST(value AS HUGEINT) FROM taken
), cuts AS (
    SELECT r.topic, r.part, r.lo, r.hi, p.x
    FROM points p ASOF JOIN runs r ON r.topic = p.topic AND r.part = p.part AND r.lo <= p.x
    WHERE p.x <= r.hi
), pieces AS (
    SELECT topic, part, coalesce(lag(x) OVER run + 1, lo) AS lo, x - 1 AS hi
    FROM cuts WINDOW run AS (PARTITION BY topic, part, lo ORDER BY x)
    UNION ALL
    SELECT topic, part, max(x) + 1, any_value(hi) FROM cuts GROUP BY topic, part, lo
)
SELECT * FROM pieces WHERE lo <= hi
UNION ALL
SELECT * FROM runs ANTI JOIN cuts USING (topic, part, lo)
"""

# The settled places at, next below and next above each point that is looked for.
_NEAR = """
CREATE OR REPLACE TEMP TABLE near AS
WITH points AS (SELECT DISTINCT topic, part, CAST(off AS HUGEINT) AS x FROM wanted)
SELECT DISTINCT topic, part, CAST(off AS BIGINT) AS off FROM (
    SELECT p.topic, p.part, p.x AS off FROM points p
    ASOF JOIN runs r ON r.topic = p.topic AND r.part = p.part AND r.lo <= p.x WHERE r.hi >= p.x
    UNION ALL
    SELECT p.topic, p.part, least(r.hi, p.x - 1) FROM points p
    ASOF JOIN runs r ON r.topic = p.topic AND r.part = p.part AND r.lo < p.x
    UNION ALL
    SELECT p.topic, p.part, greatest(r.lo, p.x + 1) FROM points p
    ASOF JOIN runs r ON r.topic = p.topic AND r.part = p.part AND r.hi > p.x
)
"""

_SEARCH = """
INSERT INTO taken SELECT DISTINCT s.value, s.topic, s.place_part, s.place_off
FROM {segment} s SEMI JOIN near n
  ON n.topic = s.topic AND n.part = s.place_part AND n.off = s.place_off
WHERE s.kind = 0
"""

_SEARCH_VALUES = """
INSERT INTO taken SELECT DISTINCT s.value, s.topic, s.place_part, s.place_off
FROM {segment} s SEMI JOIN wanted_values w USING (value) WHERE s.kind = 0
"""

_KEEP = """
INSERT INTO {segment} SELECT r.*, s.part, s.off, s.followed AND r.kind = 1, s.ordered, s.acked
FROM recs r JOIN settling s USING (value)
"""

_RETURN = """
INSERT INTO recs SELECT * EXCLUDE (place_part, place_off, followed, ordered, acked) FROM moving
"""
_REMOVE = "DELETE FROM {segment} WHERE value IN (SELECT value FROM taken)"

_BACK = """
INSERT INTO moving SELECT s.* FROM {segment} s SEMI JOIN taken t USING (value)
"""

_REMEMBERED_VALUES = """
SELECT count(*) FROM (SELECT DISTINCT CAST(value AS HUGEINT) AS x FROM wanted_values) p
ASOF JOIN (SELECT lo, hi FROM runs WHERE topic = -1) r ON r.lo <= p.x WHERE r.hi >= p.x
"""


class Memory:
    """The settled rows of one live judge, on its connection.

    Args:
        store: where the tables live.
        rows_max: rows that are kept; the oldest are given up beyond that.
    """

    def __init__(self, store: Store, rows_max: int) -> None:
        self._store = store
        self._rows_max = rows_max
        self._segments: list[tuple[str, int]] = []  # name and rows, oldest first
        self._made = 0
        self.beyond = False  # something was looked for that had been given up
        columns = "topic INTEGER, part INTEGER, off BIGINT"
        self.counts = dict.fromkeys(COUNTERS, 0)  # what settled rows add to the numbers of claims
        self._store.run("CREATE TABLE runs (topic INTEGER, part INTEGER, lo HUGEINT, hi HUGEINT)")
        self._store.run(
            "CREATE TABLE extents (segment VARCHAR, topic INTEGER, part INTEGER, lo BIGINT,"
            " hi BIGINT)"
        )
        self._store.run(f"CREATE TABLE taken (value UBIGINT, {columns})")
        self._store.run(f"CREATE TABLE wanted ({columns})")
        self._store.run("CREATE TABLE wanted_values (value UBIGINT)")
        self._store.run(f"CREATE TABLE moving ({ROW})")

    def add(self) -> None:
        """Take over the rows of `recs` whose value is in `settling`."""
        if not self._segments or self._segments[-1][1] >= SEGMENT_ROWS:
            self._open()
        name, rows = self._segments.pop()
        self._store.run(_KEEP.format(segment=name))
        self._tally(_GONE, 1)
        moved = self._store.number("SELECT count(*) * 2 + sum(given) FROM settling")
        self._segments.append((name, rows + moved))
        self._store.run(
            "INSERT INTO extents SELECT ?, topic, part, min(off), max(off) FROM settling"
            " GROUP BY topic, part",
            [name],
        )
        self._store.run(_ADD_RUNS)
        self._store.run(_JOIN_RUNS)
        while sum(rows for _, rows in self._segments) > self._rows_max and self._segments[1:]:
            oldest, _ = self._segments.pop(0)
            self._store.run(f"DROP TABLE {oldest}")
            self._store.run("DELETE FROM extents WHERE segment = ?", [oldest])

    def look_back(self, since: int) -> None:
        """Move back to `recs` the settled rows that rows from `since` on put in question."""
        self._store.run("DELETE FROM wanted")
        self._store.run(WANTED, {"since": since})
        if self._store.number("SELECT count(*) FROM wanted"):
            self._look_at_places()
        self._store.run("DELETE FROM wanted_values")
        self._store.run(WANTED_VALUES, {"since": since})
        if self._store.number("SELECT count(*) FROM wanted_values"):
            self._look_for_values()

    def _look_at_places(self) -> None:
        self._store.run("DELETE FROM taken")
        self._store.run(_NEAR)
        names = self._store.rows(
            "SELECT DISTINCT e.segment FROM extents e JOIN near n"
            " ON n.topic = e.topic AND n.part = e.part AND n.off BETWEEN e.lo AND e.hi"
        )
        for (name,) in names:
            self._store.run(_SEARCH.format(segment=name))
        self._bring_back([name for (name,) in names], "SELECT count(*) FROM near")

    def _look_for_values(self) -> None:
        self._store.run("DELETE FROM taken")
        names = [name for name, _ in self._segments]
        if self._store.number(_REMEMBERED_VALUES):
            for name in names:
                self._store.run(_SEARCH_VALUES.format(segment=name))
        self._bring_back(names, _REMEMBERED_VALUES)

    def clear(self) -> None:
        """Let everything go."""
        for name, _ in self._segments:
            self._store.run(f"DROP TABLE {name}")
        self._segments = []

    def _bring_back(self, segments: list[str], expected: str) -> None:
        found = self._store.number("SELECT count(*) FROM taken")
        self.beyond = self.beyond or found < self._store.number(expected)
        if not found:
            return
        for name in segments:
            self._store.run(_BACK.format(segment=name))
            self._store.run(_REMOVE.format(segment=name))
        self._tally(_CAME_BACK, -1)
        self._store.run(_RETURN)
        self._store.run("DELETE FROM moving")
        self._store.run(_CUT_RUNS)

    def _tally(self, count: str, sign: int) -> None:
        (found,) = self._store.rows(count)
        for name, number in zip(COUNTERS, found, strict=True):
            self.counts[name] += sign * int(number or 0)

    def _open(self) -> None:
        self._made += 1
        name = f"settled_{self._made}"
        self._store.run(f"CREATE TABLE {name} ({ROW})")
        self._segments.append((name, 0))
