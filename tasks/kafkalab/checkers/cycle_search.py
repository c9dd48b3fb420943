"""Looks for circles of reads, once a history; the argument stands in cycles.py."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kafkalab.checkers.graph import Edges, Mask, components, order_edges
from kafkalab.checkers.protocol import HistoryView

Step = tuple[str, int, int, int, int]  # claim, number of the cycle, step, node, next node

_ACTS = """
SELECT a.node, a.main, a.begin_ns, a.end_ns, c.code FROM acts a
JOIN (SELECT process, row_number() OVER (ORDER BY process) AS code FROM clients) c USING (process)
ORDER BY a.node
"""

# `future`: the reader had ended before the writer began; `own`: the same within one client.
_READS = """
WITH told AS (
    SELECT w.writer, w.reader,
           bool_or(a.main AND b.main AND b.end_ns >= 0 AND b.end_ns < a.begin_ns) AS future,
           bool_or(a.process = b.process AND b.end_ns >= 0 AND b.end_ns < a.begin_ns) AS own
    FROM wr w JOIN acts a ON a.node = w.writer JOIN acts b ON b.node = w.reader
    WHERE w.against GROUP BY w.writer, w.reader
)
SELECT w.writer, w.reader, w.early, w.against, coalesce(t.future, false) AS future,
       coalesce(t.own, false) AS own
FROM wr w LEFT JOIN told t ON t.writer = w.writer AND t.reader = w.reader
"""


def solve(view: HistoryView) -> None:
    """Look for circles of reads once, and leave what was found in `cycles` and `cyclic`."""
    if view.has("cyclic_reads"):
        return
    view.use("backward")
    if view.number("SELECT count(*) FROM backward"):
        _prove(view)
    view.use("cycles", "cycle_counts", "cyclic_reads")


def _prove(view: HistoryView) -> None:
    """The three forms, from the fewest kinds of dependencies to the most."""
    view.use("acts")
    found, orders = _Found(view), _orders(view.columns(_ACTS))
    wr = found.wr
    pairs = {"G1c": np.zeros_like(wr["own"]), "G1c-process": wr["own"]}
    pairs["G1c-realtime"] = wr["own"] | wr["future"]
    ceded = wr["early"] & ~pairs["G1c-realtime"] & view.judges("precommitted-read")
    for claim, pair in pairs.items():
        if view.judges(claim):
            found.take_pairs(claim, pair)
            if claim == "G1c":
                found.take_longer(claim, np.isin(wr["reader"], wr["writer"]), ())
            else:
                found.take_longer(claim, ~ceded, orders[claim])
    view.put("cycles", _step_table(found.steps))
    counts = {"claim": list(found.counts), "n": list(found.counts.values())}
    view.put("cycle_counts", pa.table(counts))
    taken = found.reads.where(found.taken)
    view.put("cyclic", pa.table({"writer": taken.sources, "reader": taken.targets}))


def _orders(acts: Mapping[str, Any]) -> Mapping[str, tuple[Edges, ...]]:
    """The edges that each form has beside the reads."""
    process = order_edges(acts["code"], acts["node"], acts["begin_ns"], acts["end_ns"])
    lowest = int(min(process.sources.min(initial=0), process.targets.min(initial=0)))
    node, begin, end = (acts[name][acts["main"]] for name in ("node", "begin_ns", "end_ns"))
    time = order_edges(np.zeros_like(node), node, begin, end, lowest - 1)
    return {"G1c-process": (process,), "G1c-realtime": (process, time)}


class _Found:
    """Circles found so far; a read that is on one is not looked at again."""

    def __init__(self, view: HistoryView) -> None:
        self.wr = view.columns(_READS)
        self.reads = Edges(self.wr["writer"], self.wr["reader"])
        self.taken = np.zeros_like(self.wr["own"])
        self.steps: list[Step] = []
        self.counts: dict[str, int] = {}
        self._kept_max = view.number("SELECT evidence_max FROM context")

    def take_pairs(self, claim: str, pairs: Mask) -> None:
        """Circles of two: the reader had ended before the writer began."""
        pairs &= ~self.taken
        self.taken |= pairs
        two = self.reads.where(pairs)
        for writer, reader in zip(two.sources.tolist(), two.targets.tolist(), strict=True):
            if not self._room(claim):
                break
            self._add(claim, [writer, reader])
        self.counts[claim] = len(two.sources)

    def take_longer(self, claim: str, allowed: Mask, orders: Sequence[Edges]) -> None:
        """Any other circles of `allowed` reads with `orders`; each has a read against time."""
        kept = allowed & ~self.taken
        back = self.reads.where(kept & self.wr["against"])
        if not len(back.sources):
            return
        edges = self.reads.where(kept)
        whole = components(_with(edges, orders))
        self.taken[kept] |= whole.within(edges)
        circles = whole.cyclic()
        for nodes in circles:
            if not self._room(claim):
                break
            self._add(claim, whole.cycle(nodes, back))
        self.counts[claim] += len(circles)

    def _room(self, claim: str) -> bool:
        return (
            not self.steps or self.steps[-1][0] != claim or self.steps[-1][1] + 1 < self._kept_max
        )

    def _add(self, claim: str, cycle: list[int]) -> None:
        before = self.steps[-1] if self.steps else None
        number = before[1] + 1 if before and before[0] == claim else 0
        around = itertools.pairwise([*cycle, cycle[0]])
        self.steps += [(claim, number, step, a, b) for step, (a, b) in enumerate(around)]


def _with(edges: Edges, orders: Sequence[Edges]) -> Edges:
    for order in orders:
        edges += order
    return edges


def _step_table(steps: list[Step]) -> pa.Table:
    types = (pa.string(), pa.int32(), pa.int32(), pa.int64(), pa.int64())
    columns = zip(*steps, strict=True) if steps else ((),) * len(types)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=["claim", "number", "step", "node", "next"])
