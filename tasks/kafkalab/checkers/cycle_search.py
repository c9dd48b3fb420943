"""Looks for circles of reads, once a history; the argument stands in cycles.py."""

from __future__ import annotations

import itertools
from collections import Counter

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
    SELECT w.writer, w.reader, bool_or(a.main) AS future, bool_or(a.process = b.process) AS own
    FROM wr w JOIN acts a ON a.node = w.writer JOIN acts b ON b.node = w.reader
    WHERE w.against AND b.end_ns >= 0 AND b.end_ns < a.begin_ns GROUP BY w.writer, w.reader
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
    """The three forms, the plainest first: a read is counted by the first that shows it."""
    view.use("acts")
    found = _Found(view)
    wr = found.wr
    again = wr["own"] | wr["future"]
    ceded = wr["early"] & ~again & view.judges("precommitted-read")
    found.take_longer("G1c", np.isin(wr["reader"], wr["writer"]))
    found.take_pairs("G1c-process", wr["own"])
    found.take_pairs("G1c-realtime", again)
    found.take_longer("G1c-process", ~ceded)
    found.take_longer("G1c-realtime", ~ceded)
    view.put("cycles", _step_table(found.steps))
    counts = {"claim": list(found.counts), "n": list(found.counts.values())}
    view.put("cycle_counts", pa.table(counts))
    taken = found.reads.where(found.taken)
    view.put("cyclic", pa.table({"writer": taken.sources, "reader": taken.targets}))


class _Found:
    """Circles found so far; a read that is on one is not looked at again."""

    def __init__(self, view: HistoryView) -> None:
        self._view = view
        self.wr = view.columns(_READS)
        self.reads = Edges(self.wr["writer"], self.wr["reader"])
        self.taken = np.zeros_like(self.wr["own"])
        self.steps: list[Step] = []
        self.counts: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._kept_max = view.number("SELECT evidence_max FROM context")

    def take_pairs(self, claim: str, pairs: Mask) -> None:
        """Circles of two: the reader had ended before the writer began."""
        if not self._view.judges(claim):
            return
        pairs = pairs & ~self.taken
        self.taken |= pairs
        two = self.reads.where(pairs)
        for writer, reader in zip(two.sources.tolist(), two.targets.tolist(), strict=True):
            if not self._room(claim):
                break
            self._add(claim, [writer, reader])
        self.counts[claim] += len(two.sources)

    def take_longer(self, claim: str, allowed: Mask) -> None:
        """Any other circles of `allowed` reads; each has a read against time."""
        kept = allowed & ~self.taken
        back = self.reads.where(kept & self.wr["against"])
        if not len(back.sources) or not self._view.judges(claim):
            return
        edges = self.reads.where(kept)
        whole = components(self._with_orders(claim, edges))
        self.taken[kept] |= whole.within(edges)
        circles = whole.cyclic()
        for nodes in circles:
            if not self._room(claim):
                break
            self._add(claim, whole.cycle(nodes, back))
        self.counts[claim] += len(circles)

    def _with_orders(self, claim: str, edges: Edges) -> Edges:
        if claim == "G1c":
            return edges
        acts = self._view.columns(_ACTS)
        process = order_edges(acts["code"], acts["node"], acts["begin_ns"], acts["end_ns"])
        if claim == "G1c-process":
            return edges + process
        lowest = int(min(process.sources.min(initial=0), process.targets.min(initial=0)))
        node, begin, end = (acts[name][acts["main"]] for name in ("node", "begin_ns", "end_ns"))
        return edges + process + order_edges(np.zeros_like(node), node, begin, end, lowest - 1)

    def _room(self, claim: str) -> bool:
        return self._told[claim] < self._kept_max

    def _add(self, claim: str, cycle: list[int]) -> None:
        around = itertools.pairwise([*cycle, cycle[0]])
        number = self._told[claim]
        self.steps += [(claim, number, step, a, b) for step, (a, b) in enumerate(around)]
        self._told[claim] += 1


def _step_table(steps: list[Step]) -> pa.Table:
    types = (pa.string(), pa.int32(), pa.int32(), pa.int64(), pa.int64())
    columns = zip(*steps, strict=True) if steps else ((),) * len(types)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return pa.table(arrays, names=["claim", "number", "step", "node", "next"])
