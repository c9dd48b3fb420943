"""Do operations depend on each other in a circle? G0 and G1c, each in three forms.

Operations: `txn`, `send`, `poll`. A node is a transaction that was not aborted, with the polls that
belong to it (by its own client while it ran, or by the client whose offsets it sent), or a single
send or poll command outside of one. Dependencies:

    ww       both wrote to a partition, this one lower. Judged on lowest and highest offsets.
    wr       that one was given a record that this one wrote. Reads of a transaction count if the
             reader was opened with isolation read_committed.
    process  one client did this, it ended, then the client did that.
    realtime this ended before that began, whoever did it.

Kafka isolates reads, not writes: transactions append to the same partitions at the same time, so a
circle with ww in it is legal. It is counted and reported. A read is isolated: it shows a
transaction only after its commit was asked for, so a transaction that reads another comes after it,
and no circle of reads can close. Nor can one that time is a part of.

    G0            a circle of ww: two transactions lie in each other. Reported, and legal.
    G0-process    the same with process order. Reported, and legal.
    G0-realtime   the same with real time. Reported, and legal.
    G1c           a circle of wr: transactions that read each other.
    G1c-process   a circle of wr and process order: a client was given what it wrote later.
    G1c-realtime  a circle of wr and real time: somebody was given what was written later.

*Screen*: give each node a moment: a transaction when its commit was first asked for, a send when it
began, a poll when it ended. Real time and process order lead to later moments only, and a read of
what was there, too. So a circle holds at least one read that leads back: of a transaction, or a
send, whose moment lies after the reader's. Without such a read nothing needs to be proven.

*Proof*: a read that had ended before its writer began is a circle of two. What is longer are
strongly connected components (graph.py), with a short circle of each as evidence. Each is counted
once, by the first form that shows it. An early read is precommitted-read's, if that is judged,
unless it lies on a circle of wr, or ended before the transaction began.

Operations whose end nobody knows (`info`) have nothing after them in process order or real time.

Not checked: circles with anti-dependencies (a poll that did not see what it should: loss.py and
order.py look at each partition); ww of single sends; which of a client's polls a transaction that
sends its offsets really used: all since they were last sent count.

Source: Jepsen's Kafka workload, https://github.com/jepsen-io/redpanda, which allows the same; Adya,
Weak Consistency, 1999 (G0, G1c).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from kafkalab.checkers.cycle_search import solve
from kafkalab.checkers.graph import Edges, components, order_edges
from kafkalab.checkers.protocol import Findings, HistoryView, decided, unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome

EXAMPLES = 3  # of what is legal
ROWS_MAX = 8  # rows that an evidence names; all operations stand in its sentences

_COUNT = "SELECT n FROM cycle_counts WHERE claim = '{claim}'"
_STEPS = """
SELECT c.number, c.node, c.next, a.what, a.process, w.value, w.topic, w.part, w.off, w.row_read
FROM cycles c JOIN acts a ON a.node = c.node AND a.main
LEFT JOIN wr w ON w.writer = c.node AND w.reader = c.next
WHERE c.claim = '{claim}' ORDER BY c.number, c.step
"""

_WRITERS = """
SELECT t.txn AS node, t.begin_ns, CASE WHEN t.state = 'committed' THEN t.end_ns ELSE -1
       END AS end_ns, c.code FROM txns t
JOIN (SELECT process, row_number() OVER (ORDER BY process) AS code FROM clients) c USING (process)
WHERE t.txn IN (SELECT txn FROM extents)
"""

_WW_STEP = """
SELECT t.txn AS node, 'transaction' AS what, t.process, NULL AS value, w.topic, w.part, w.off,
       w.later_off FROM txns t LEFT JOIN ww w ON w.writer = t.txn AND w.later = $after
WHERE t.txn = $node ORDER BY w.topic, w.part LIMIT 1
"""

_TXN_WR = """
SELECT DISTINCT r.txn AS writer, m.txn AS reader FROM txn_reads r
JOIN txn_polls m ON m.process = r.process AND m.op_id = r.op_id
"""

_READING_TXNS = "SELECT count(DISTINCT txn) FROM txn_polls"
_BOTH_WAYS = """
SELECT count(*) FROM (
    SELECT process FROM txn_polls UNION SELECT process FROM clients WHERE given AND sends
)
"""


def g0(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Transactions that lie in each other: counted, and legal."""
    return _written(view, context, "G0")


def g0_process(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """The same with the order of each client."""
    return _written(view, context, "G0-process")


def g0_realtime(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """The same with real time."""
    return _written(view, context, "G0-realtime")


def g1c(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Transactions that read each other."""
    del context
    lacking = "no transaction read anything (by polls of its own, or by send_offsets)"
    return _read(view, "G1c", _READING_TXNS, lacking)


def g1c_process(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A client was given what it wrote later."""
    del context
    lacking = "no client both read and wrote"
    return _read(view, "G1c-process", _BOTH_WAYS, lacking)


def g1c_realtime(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Somebody was given what was written later."""
    del context
    lacking = "nothing was delivered whose send is known"
    count = "SELECT count(*) FROM deliveries WHERE known"
    return _read(view, "G1c-realtime", count, lacking, view.quiet("delivered"))


def _read(view: HistoryView, claim: str, count: str, lacking: str, quiet: int = 0) -> ClaimVerdict:
    view.use("deliveries", "clients", "txn_polls")
    judged = view.number(count) + quiet
    if not judged:
        return unknown(claim, f"{lacking}: there is nothing to judge")
    solve(view)
    found = view.number(_COUNT.format(claim=claim))
    evidence: tuple[Mapping[str, Any], ...] = ()
    if found:
        evidence = _evidence(view.rows(_STEPS.format(claim=claim)))
    note = _with_ww(view) if claim == "G1c" else ""
    return decided(
        claim,
        Findings(found, evidence),
        "{count} sets of operations depend on each other in a circle",
        f"no circle of reads; {judged:,} could be on one{note}",
    )


def _with_ww(view: HistoryView) -> str:
    """How many circles there are of reads and writes: legal, since writes are not isolated."""
    view.use("ww")
    ww, wr = view.columns("SELECT writer, later FROM ww"), view.columns(_TXN_WR)
    circles = len(components(Edges(ww["writer"], ww["later"])).cyclic())
    whole = Edges(ww["writer"], ww["later"]) + Edges(wr["writer"], wr["reader"])
    more = sum(1 for _ in components(whole).cyclic())
    return f"; {more:,} of reads and writes ({circles:,} of writes alone), which is legal"


def _written(view: HistoryView, context: CheckContext, claim: str) -> ClaimVerdict:
    """Circles of ww are counted, never red."""
    view.use("ww", "clients")
    writers = view.columns(_WRITERS)
    if len(writers["node"]) < 2:
        return unknown(claim, "fewer than two transactions wrote: there is nothing to judge")
    ww = view.columns("SELECT writer, later FROM ww")
    edges = Edges(ww["writer"], ww["later"])
    if claim != "G0":
        group = writers["code"] if claim == "G0-process" else np.zeros_like(writers["node"])
        edges += order_edges(group, writers["node"], writers["begin_ns"], writers["end_ns"])
    found = components(edges)
    circles = found.cyclic()
    text = f"{len(circles):,} circles among {len(writers['node']):,} transactions, which is legal"
    shown = [found.cycle(nodes) for nodes in circles[: min(EXAMPLES, context.evidence_max)]]
    return ClaimVerdict(claim, Outcome.PASS, 0, text, tuple(_example(view, c) for c in shown))


def _example(view: HistoryView, cycle: list[int]) -> Mapping[str, Any]:
    """A circle with ww, told as the others are."""
    steps = []
    for node, after in itertools.pairwise([*cycle, cycle[0]]):
        steps += view.rows(_WW_STEP, {"node": node, "after": after})
    return _told(steps)


def _evidence(rows: list[dict[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    groups = itertools.groupby(rows, key=lambda row: row["number"])
    return tuple(_told(list(steps)) for _, steps in groups)


def _told(steps: list[dict[str, Any]]) -> Mapping[str, Any]:
    shown = {f"row_{i}": step["node"] for i, step in enumerate(steps[:ROWS_MAX], start=1)}
    return {"operations": len(steps), **shown, "because": _because(steps)}


def _because(steps: list[dict[str, Any]]) -> list[str]:
    """One sentence a step: what the next operation depends on."""
    texts = []
    for step, after in itertools.pairwise([*steps, steps[0]]):
        one, other = _named(step), _named(after)
        if step.get("later_off") is not None:
            place = f"{step['topic']}/{step['part']}@{step['off']}"
            texts.append(f"{one} wrote at {place}, and {other} at {step['later_off']}")
        elif step["value"] is not None:
            place = f"{step['topic']}/{step['part']}@{step['off']}"
            texts.append(f"{one} wrote {step['value']}, which {other} was given from {place}")
        else:
            texts.append(f"{one} ended before {other} began")
    return texts


def _named(step: Mapping[str, Any]) -> str:
    return f"the {step['what']} of {step['process']} at row {step['node']}"
