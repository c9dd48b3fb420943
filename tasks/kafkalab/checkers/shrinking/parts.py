"""A history as parts that can be left out, and the history that is left without them.

Every row belongs to one part of each kind, or to none (−1):

    client     the client whose row it is.
    operation  an invocation with its completion; events of one kind, client and time together.
    place      the partition that a record lies in or a row is about; of a send that was asked for
               and placed elsewhere, where it landed.
    record     a record's whole life: its send and every delivery of it, or of what lies at its
               offset. Without its send a delivery is corrupt, without its delivery a send is lost:
               left out apart, each would make a finding of its own.
    piece      one record, or one partition, within one operation.

What makes a client what it is (`open`, `subscribe`) goes only with the client: a member that never
subscribed is another kind of reader, not a smaller history.

What is left stays a valid history: an operation whose completion lost all its rows keeps an empty
one (a poll that gave nothing), and so does one whose invocation did; rows are numbered anew. Times
stay as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kafkalab.checkers.history import schema

Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SETUP = ("open", "subscribe")
_BLANKED = ("topic", "partition", "offset", "value", "intended", "problem", "generation")

_LABELS = """
WITH landed AS (
    SELECT value, any_value(topic || '/' || "partition") AS place, any_value("offset") AS off
    FROM history WHERE op = 'send' AND type <> 'invoke' AND "partition" IS NOT NULL GROUP BY value
), sent AS (
    SELECT DISTINCT value FROM history WHERE op = 'send'
), occupied AS (
    SELECT place, off, min(value) AS value FROM landed WHERE off >= 0 GROUP BY ALL
), rows AS (
    SELECT h.*, CASE WHEN op = 'send' THEN coalesce(l.place, topic || '/' || "partition")
                     ELSE topic || '/' || "partition" END AS place,
           s.value IS NOT NULL AS known
    FROM history h LEFT JOIN landed l ON l.value = h.value AND h.op = 'send'
    LEFT JOIN sent s ON s.value = h.value
), named AS (
    SELECT r.*, CASE WHEN r.op IN ('send', 'poll') THEN coalesce(
               CASE WHEN r.known THEN CAST(r.value AS VARCHAR) END, CAST(o.value AS VARCHAR),
               r.place || '@' || r."offset") END AS record,
           CASE WHEN op = 'send' THEN CAST(r.value AS VARCHAR)
                WHEN op = 'poll' THEN CASE WHEN topic IS NOT NULL THEN CAST("index" AS VARCHAR) END
                ELSE r.place END AS piece
    FROM rows r LEFT JOIN occupied o ON o.place = r.place AND o.off = r."offset" AND r.op = 'poll'
), grouped AS (
    SELECT *, dense_rank() OVER (ORDER BY process, op, op_id,
               CASE WHEN op_id < 0 THEN time_ns END) - 1 AS operation FROM named
)
SELECT "index", type = 'invoke' AS invokes, type IN ('ok', 'fail', 'info') AS completes,
       op = 'poll' AS polls, op IN ('open', 'subscribe') AS setup, operation,
       dense_rank() OVER (ORDER BY process) - 1 AS client,
       CASE WHEN place IS NULL THEN -1 ELSE dense_rank() OVER (ORDER BY place) - 1 END AS place,
       CASE WHEN record IS NULL THEN -1 ELSE dense_rank() OVER (ORDER BY record) - 1 END AS record,
       CASE WHEN piece IS NULL THEN -1
            ELSE dense_rank() OVER (ORDER BY operation, piece) - 1 END AS piece
FROM grouped ORDER BY "index"
"""


@dataclass(frozen=True)
class Parts:
    """A history in order of index, and the parts of its rows."""

    table: pa.Table
    client: Labels
    operation: Labels
    place: Labels
    record: Labels
    piece: Labels
    setup: Mask
    _invokes: Mask
    _completes: Mask
    _polls: Mask

    def mask(self, kept: Mask) -> tuple[Mask, Mask]:
        """(rows of the history that is left, those of them that are emptied)."""
        invoked = self._has(self._invokes & kept)
        completed = self._has(self._completes & kept)
        hollow = np.concatenate(
            [
                self._firsts(self._completes, invoked & ~completed),
                self._firsts(self._invokes, completed & ~invoked),
            ]
        )
        emptied = np.zeros(len(kept), bool)
        emptied[hollow] = True
        return kept | emptied, emptied

    def build(self, kept: Mask) -> pa.Table:
        """The history of the rows that are kept."""
        left, emptied = self.mask(kept)
        table = self.table.filter(pa.array(left))
        blank = emptied[left]
        if blank.any():
            polls = self._polls[left]
            for name in _BLANKED:
                table = _blanked(table, name, blank)
            table = _blanked(table, "detail", blank & polls)
        index = pa.array(np.arange(table.num_rows), pa.int64())
        return table.set_column(0, schema().field("index"), index).cast(schema())

    def _has(self, rows: Mask) -> Mask:
        return np.bincount(self.operation[rows], minlength=self.operation.max(initial=0) + 1) > 0

    def _firsts(self, rows: Mask, operations: Mask) -> Labels:
        """The first such row of each such operation."""
        spots = np.flatnonzero(rows & operations[self.operation])
        _, first = np.unique(self.operation[spots], return_index=True)
        return spots[first]


def parts(table: pa.Table) -> Parts:
    """Label every row of a valid history."""
    ordered = table.sort_by("index")
    with duckdb.connect(":memory:") as connection:
        connection.register("history", ordered)
        columns: dict[str, Any] = connection.execute(_LABELS).fetchnumpy()
    label = {name: np.ma.getdata(column).astype(np.int64) for name, column in columns.items()}
    return Parts(
        table=ordered,
        client=label["client"],
        operation=label["operation"],
        place=label["place"],
        record=label["record"],
        piece=label["piece"],
        setup=label["setup"] > 0,
        _invokes=label["invokes"] > 0,
        _completes=label["completes"] > 0,
        _polls=label["polls"] > 0,
    )


def _blanked(table: pa.Table, name: str, rows: Mask) -> pa.Table:
    place = table.schema.get_field_index(name)
    column = pc.if_else(pa.array(rows), pa.scalar(None, table.schema.field(name).type), table[name])
    return table.set_column(place, table.schema.field(name), column)
