"""The rows of a history that lie around findings, fetched by a few scans however many there are.

acts       rows that carry no record; few, so each finding looks through all of them.
held       every row that holds a value that one of the findings names, or an offset in a place, or
           the offset below or above it: who went past a record is told by its neighbours.
anchors    the rows that prove a finding: those that it names; else those among `held`; else, for a
           finding that only names a place or a client, the first and the last there.
near       rows of a finding's places and clients within WINDOW rows of an anchor, and what is held;
           a `sample` only where it proves the finding: two a second would leave room for nothing.
whole      all rows of the operations that were chosen among these.

Distances are in rows, because rows are in order of observation. A scan reads few and narrow columns
and finds indexes; whole rows are then taken by position (15 M rows: 0.5 s a scan; to have the
engine read all columns of what it filters took four times as long).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kafkalab.checkers.timeline.focus import Focus

WINDOW = 3_000
ANCHORS_MAX = 12
ROWS_MAX = 2_000
ACTS_MAX = 400
HELD_MAX = 5_000
_STEPS = (-1, 0, 1)

Row = dict[str, Any]
Fields = Mapping[str, Any]
Operation = tuple[str, str, int]  # process, op, op_id

_ACTS = """
SELECT "index" FROM history WHERE op NOT IN ('send', 'poll', 'sample') ORDER BY "index"
"""
_HELD = """
SELECT "index" FROM history WHERE list_contains($values, value)
   OR (list_contains($offsets, "offset") AND list_contains($places, topic || '/' || "partition"))
ORDER BY "index" LIMIT {limit}
"""
_HOLDERS = 'SELECT "index" FROM held WHERE {holds} ORDER BY "index" LIMIT {limit}'
_ENDS = """
SELECT min("index") AS "index" FROM history WHERE {about} UNION ALL
SELECT max("index") FROM history WHERE {about}
"""
_WHOLE = """
SELECT "index" FROM history WHERE list_contains($ids, op_id) AND list_contains($processes, process)
"""
_PLACE = "list_contains($places, topic || '/' || \"partition\")"
_CLIENT = "list_contains($clients, process)"
_HOLDS = (
    "coalesce(list_contains($values, value)"
    f' OR (list_contains($offsets, "offset") AND {_PLACE}), false)'
)
_IS = _HOLDS.replace("$offsets", "$exact")
_MEMBERS = """
SELECT DISTINCT process FROM acts WHERE op = 'open' AND type = 'invoke'
AND list_contains($groups, detail ->> '$.config.group') ORDER BY process
"""
_NAMED = """
SELECT DISTINCT process FROM (SELECT process FROM acts UNION ALL SELECT process FROM held)
WHERE list_contains($names, process) ORDER BY process
"""
_CONCERNED = """
SELECT * FROM (
    SELECT *, {distance} AS distance FROM acts
    WHERE {place} OR {client} OR op = 'fault'
       OR process IN (SELECT process FROM acts WHERE {place})
    ORDER BY distance, "index" LIMIT {limit}
) ORDER BY "index"
"""
_NEAR = """
SELECT *, {distance} AS distance, {holds} AS holds FROM (
    SELECT DISTINCT process, op, op_id, "index", topic, "partition", "offset", value FROM (
        FROM around UNION ALL FROM held))
WHERE ({holds} OR {about} OR {distance} = 0) AND (op <> 'sample' OR {distance} = 0)
ORDER BY {distance} = 0 DESC, holds DESC, distance, "index" LIMIT {limit}
"""


class Rows:
    """A history on a connection of its own; use it as a context manager.

    Args:
        table: a valid history.
        findings: all that will be asked about.
    """

    def __init__(self, table: pa.Table, findings: Iterable[Focus]) -> None:
        self._table = _in_order(table)
        self._batches = self._table.to_batches()
        sizes = [batch.num_rows for batch in self._batches]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self._connection = duckdb.connect(":memory:", config={"threads": 2})
        self._connection.register("history", self._table)
        self._connection.register("acts", self._take(_ACTS, {}))
        asked = _parameters(findings)
        self._connection.register("held", self._take(_HELD.format(limit=HELD_MAX), asked))
        self.first_ns: int = pc.min(table["time_ns"]).as_py() or 0

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def clients(self, focus: Focus) -> tuple[str, ...]:
        """The clients that the finding names, or whose group it names."""
        named = self._ask(_NAMED, {"names": list(focus.names)}) if focus.names else []
        members = self._ask(_MEMBERS, {"groups": list(focus.groups)}) if focus.groups else []
        return tuple(dict.fromkeys(row["process"] for row in (*named, *members)))

    def anchors(self, focus: Focus, clients: Collection[str]) -> tuple[int, ...]:
        """Indexes of the rows that prove the finding, or that lie nearest to what it names."""
        if focus.rows:
            return tuple(sorted(row for row in focus.rows if 0 <= row < self._table.num_rows))
        given = _parameters([focus], clients)
        held = _HOLDERS.format(holds=_IS, limit=ANCHORS_MAX)
        found = self._ask(held, given) or self._ask(_ENDS.format(about=_about(focus)), given)
        return tuple(sorted({row["index"] for row in found if row["index"] is not None}))

    def acts(self, focus: Focus, clients: Collection[str], anchors: Iterable[int]) -> list[Row]:
        """Rows without records that concern the finding, nearest kept, in order of index."""
        sql = _CONCERNED.format(
            distance=_distance(anchors), place=_PLACE, client=_CLIENT, limit=ACTS_MAX
        )
        return self._ask(sql, _parameters([focus], clients))

    def near(self, focus: Focus, clients: Collection[str], anchors: Iterable[int]) -> list[Row]:
        """Rows around the anchors, nearest first, with columns `distance` and `holds`."""
        spots = tuple(anchors)[:ANCHORS_MAX]
        self._connection.register("around", self._around(spots))
        sql = _NEAR.format(
            distance=_distance(spots), holds=_HOLDS, about=_about(focus), limit=ROWS_MAX
        )
        return self._ask(sql, _parameters([focus], clients))

    def whole(self, operations: Collection[Operation], events: Collection[int]) -> list[Row]:
        """All rows of operations, and of events by index, in order of index."""
        given = {
            "ids": sorted({op_id for _, _, op_id in operations}),
            "processes": sorted({process for process, _, _ in operations}),
        }
        found = [*self._take(_WHOLE, given).to_pylist(), *self._at(list(events)).to_pylist()]
        wanted = set(operations)
        rows = {
            row["index"]: row
            for row in found
            if row["op_id"] < 0 or (row["process"], row["op"], row["op_id"]) in wanted
        }
        return [rows[index] for index in sorted(rows)]

    def _around(self, anchors: Iterable[int]) -> pa.Table:
        seen, parts = 0, [self._table.slice(0, 0)]
        for anchor in sorted(anchors):
            low, high = max(seen, anchor - WINDOW), anchor + WINDOW + 1
            parts.append(self._table.slice(low, max(0, high - low)))
            seen = max(seen, high)
        return pa.concat_tables(parts)

    def _take(self, sql: str, given: Mapping[str, Any]) -> pa.Table:
        return self._at([row["index"] for row in self._ask(sql, given)])

    def _at(self, indexes: list[int]) -> pa.Table:
        """Rows by index, batch by batch: `Table.take` would copy every string of the history."""
        wanted = np.array(sorted(indexes), np.int64)
        first = np.searchsorted(wanted, self._starts)
        last = np.append(first[1:], len(wanted))
        taken = [
            batch.take(pa.array(wanted[low:high] - start))
            for batch, start, low, high in zip(
                self._batches, self._starts, first, last, strict=True
            )
            if high > low
        ]
        return pa.Table.from_batches(taken, self._table.schema)

    def _ask(self, sql: str, given: Mapping[str, Any]) -> list[Row]:
        used = {name: value for name, value in given.items() if f"${name}" in sql}
        result = self._connection.execute(sql, used)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _in_order(table: pa.Table) -> pa.Table:
    """The table with row N at position N, as every recorded history is."""
    index = table["index"].to_numpy()
    steps = bool((index[1:] > index[:-1]).all())
    return table if steps else table.sort_by("index")


def _parameters(findings: Iterable[Focus], clients: Collection[str] = ()) -> dict[str, Any]:
    found = tuple(findings)
    return {
        "places": sorted({f"{topic}/{part}" for each in found for topic, part in each.places}),
        "clients": sorted(clients),
        "values": sorted({value for each in found for value in each.values}),
        "exact": sorted({offset for each in found for offset in each.offsets}),
        "offsets": sorted(
            {o + step for each in found for o in each.offsets for step in (-1, 0, 1)}
        ),
    }


def _about(focus: Focus) -> str:
    """A finding without a place is about its clients, whatever they did."""
    return f"({_PLACE} OR ({_CLIENT} AND topic IS NULL))" if focus.places else _CLIENT


def _distance(anchors: Iterable[int]) -> str:
    steps = [f'abs("index" - {int(anchor)})' for anchor in anchors][:ANCHORS_MAX]
    return f"least({', '.join(steps)})" if steps else '"index"'
