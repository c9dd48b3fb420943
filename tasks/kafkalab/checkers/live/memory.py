"""Rows that are settled, kept aside: what the live form (judge.py) looks up when it must look back.

segments   settled rows, each with the place of the record that it belongs to (`place_part`,
           `place_off`; the topic is the row's own), oldest first; in files: segments.py.
extents    per segment and partition the offsets that may be in it, and under topic −1 the values,
           so that few are searched.
runs       which offsets of a partition are settled, and under topic −1 which values, as intervals
           [lo, hi]: never dropped, and few, since offsets and values are counted upwards.

What is looked for stands in `wanted` (topic, part, off) and `wanted_values` (value): see
watch.py.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kafkalab.checkers.budget import Budget
from kafkalab.checkers.live.columns import in_one, ints
from kafkalab.checkers.live.segments import OPEN, Segments
from kafkalab.checkers.live.store import Store
from kafkalab.checkers.live.watch import WANTED, WANTED_VALUES
from kafkalab.checkers.screen.arrays import arrow, numbers

_SEARCHED = ("kind", "value", "topic", "place_part", "place_off")

_TABLES = (
    "CREATE TABLE runs (topic INTEGER, part INTEGER, lo HUGEINT, hi HUGEINT)",
    "CREATE TABLE extents (segment BIGINT, topic INTEGER, part INTEGER, lo HUGEINT, hi HUGEINT)",
    "CREATE TABLE taken (value UBIGINT, topic INTEGER, part INTEGER, off BIGINT)",
    "CREATE TABLE wanted (topic INTEGER, part INTEGER, off BIGINT)",
    "CREATE TABLE wanted_values (value UBIGINT)",
)

# counters of the screen (HistoryView.quiet), and the settled rows that they count
COUNTERS = ("delivered", "delivered_after", "acknowledged", "sends_after", "ordered_after")

_CAME_BACK = """
SELECT count(*) FILTER (kind > 4), count(*) FILTER (kind > 4), count(*) FILTER (kind = 1 AND acked),
       count(*) FILTER (followed), count(*) FILTER (followed AND ordered) FROM moving
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
FROM segment s SEMI JOIN near n
  ON n.topic = s.topic AND n.part = s.place_part AND n.off = s.place_off
WHERE s.kind = 0
"""

_SEARCH_VALUES = """
INSERT INTO taken SELECT DISTINCT s.value, s.topic, s.place_part, s.place_off
FROM segment s SEMI JOIN wanted_values w USING (value) WHERE s.kind = 0
"""

_EXTENTS = """
INSERT INTO extents
SELECT $segment, topic, place_part, min(place_off), max(place_off) FROM segment GROUP BY ALL
UNION ALL SELECT $segment, -1, -1, min(value), max(value) FROM segment
"""

# The full segments that may hold what is near, and what is wanted.
_HOLDING_PLACES = """
SELECT DISTINCT e.segment FROM extents e JOIN near n
ON n.topic = e.topic AND n.part = e.part AND n.off BETWEEN e.lo AND e.hi
"""
_HOLDING_VALUES = """
SELECT DISTINCT e.segment FROM extents e JOIN wanted_values w
ON e.topic = -1 AND w.value BETWEEN e.lo AND e.hi
"""

_REMEMBERED_VALUES = """
SELECT count(*) FROM (SELECT DISTINCT CAST(value AS HUGEINT) AS x FROM wanted_values) p
ASOF JOIN (SELECT lo, hi FROM runs WHERE topic = -1) r ON r.lo <= p.x WHERE r.hi >= p.x
"""


class Memory:
    """The settled rows of one live judge.

    Args:
        store: where its tables live.
        budget: of its files.
        rows_max: rows that are kept; the oldest are given up beyond that.
    """

    def __init__(self, store: Store, budget: Budget, rows_max: int) -> None:
        self._store = store
        self._segments = Segments(budget, rows_max)
        self.beyond = False  # something was looked for that had been given up
        self.counts = dict.fromkeys(COUNTERS, 0)  # what settled rows add to the numbers of claims
        for sql in _TABLES:
            self._store.run(sql)

    def add(self, rows: pa.Table, records: pa.Table) -> None:
        """Take over rows that are settled, and count what they stand for.

        Args:
            rows: those of holding.py, each with what it stands for: watch.py, LEAVING.
            records: one row a record: tables.py, settling.
        """
        full = self._segments.add(rows)
        if full is not None:
            self._extend(full)
        for number in self._segments.drop():
            self._store.run("DELETE FROM extents WHERE segment = ?", [number])
        self._count(records)
        self._store.given("offsets", _offsets(records))
        self._store.given("contents", _values(records))
        self._store.run("INSERT INTO runs SELECT * FROM offsets")
        self._store.run("INSERT INTO runs SELECT -1, -1, lo, hi FROM contents")
        self._store.run(_JOIN_RUNS)

    def look_back(self, since: int) -> None:
        """Move back the settled rows that held rows from `since` on put in question."""
        self._store.run("DELETE FROM wanted")
        self._store.run(WANTED, {"since": since})
        if self._store.number("SELECT count(*) FROM wanted"):
            self._store.run(_NEAR)
            self._bring_back(_HOLDING_PLACES, _SEARCH, "SELECT count(*) FROM near")
        self._store.run("DELETE FROM wanted_values")
        self._store.run(WANTED_VALUES, {"since": since})
        if self._store.number(_REMEMBERED_VALUES):
            self._bring_back(_HOLDING_VALUES, _SEARCH_VALUES, _REMEMBERED_VALUES)

    def clear(self) -> None:
        """Let everything go."""
        self._segments.clear()

    def _bring_back(self, holding: str, search: str, expected: str) -> None:
        """Find the records that `search` takes, in the segments that may hold them."""
        self._store.run("DELETE FROM taken")
        numbers_ = {number for (number,) in self._store.rows(holding)} | {OPEN}
        numbers_ &= set(self._segments)
        for number in numbers_:
            self._store.given("segment", self._segments.read(number, _SEARCHED))
            self._store.run(search)
        found = self._store.number("SELECT count(*) FROM taken")
        self.beyond = self.beyond or found < self._store.number(expected)
        if found:
            values = self._store.table("SELECT value FROM taken")["value"]
            for number in numbers_:
                self._return(number, values)
            self._store.run(_CUT_RUNS)
        self._store.forget("segment")

    def _return(self, number: int, values: pa.ChunkedArray) -> None:
        """Give the rows with these values back to those that are held."""
        rows = self._segments.read(number)
        back = pc.is_in(rows["value"], value_set=values)
        if not pc.any(back).as_py():
            return
        self._segments.replace(number, rows.filter(pc.invert(back)))
        moving = rows.filter(back)
        self._store.given("moving", moving)
        (counts,) = self._store.rows(_CAME_BACK)
        self._store.forget("moving")
        self._tally(-count for count in counts)
        held = self._store.recs
        self._store.recs = pa.concat_tables([held, moving.select(held.column_names)])

    def _extend(self, number: int) -> None:
        self._store.given("segment", self._segments.read(number, _SEARCHED))
        self._store.run(_EXTENTS, {"segment": number})
        self._store.forget("segment")

    def _count(self, records: pa.Table) -> None:
        followed = pc.filter(records["ordered"], records["followed"])
        given = pc.sum(records["given"]).as_py()
        flags = (records["acked"], records["followed"], followed)
        self._tally([given, given, *(pc.sum(flag).as_py() or 0 for flag in flags)])

    def _tally(self, changes: Iterable[int]) -> None:
        for name, change in zip(COUNTERS, changes, strict=True):
            self.counts[name] += change


def _offsets(records: pa.Table) -> pa.Table:
    """The places of records in intervals without gaps: topic, part, lo, hi."""
    topic, part, off = (ints(records[name]) for name in ("topic", "part", "off"))
    order = np.lexsort((off, part, topic))
    topic, part, off = topic[order], part[order], off[order]
    starts = np.append(True, (np.diff(off) != 1) | (np.diff(part) != 0) | (np.diff(topic) != 0))
    ends = np.append(starts[1:], True)
    columns = (topic[starts], part[starts], off[starts], off[ends])
    return pa.table(dict(zip(("topic", "part", "lo", "hi"), map(arrow, columns), strict=True)))


def _values(records: pa.Table) -> pa.Table:
    """The values of records in intervals without gaps: lo, hi."""
    value = np.sort(numbers(in_one(records["value"]), 0))
    starts = np.append(True, np.diff(value) != 1)
    return pa.table({"lo": arrow(value[starts]), "hi": arrow(value[np.append(starts[1:], True)])})
