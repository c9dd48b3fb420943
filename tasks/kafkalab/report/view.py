"""The page as data: what stands where, decided before any HTML is written. Pure.

The gate's word is the verdict of the page. Where the parts contradict it (a planned cell without a
verdict, a red cell under a green gate) the page says so in `contradictions`: a report that is
greener than its parts would hide the very defect of the lab that one has to see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafkalab.model.gate import Finding, GateResult
from kafkalab.model.metric import METRICS
from kafkalab.model.run import Envelope, Manifest, Run
from kafkalab.model.scenario import Cell
from kafkalab.model.verdict import CellVerdict, Outcome, Skipped
from kafkalab.report.cells import (
    TEXT_CHARS_MAX,
    AttemptRow,
    CellView,
    anchor,
    attempt_rows,
    cell_view,
)
from kafkalab.report.text import Link, artifact, number, quantity, seconds, shorten, utc

FINDINGS_MAX = 100  # on the page; gate.json has all
KINDS = {
    "claim": "a claim is broken",
    "envelope": "outside its envelope",
    "evidence": "not enough evidence",
}
WARNING_KINDS = {
    "claim": "about a claim",
    "envelope": "near its bound",
    "evidence": "about the evidence",
}
NO_VERDICT = "planned, but it left no verdict: see the log of its task"


@dataclass(frozen=True)
class FindingView:
    """One red thing or warning, complete enough to act on."""

    outcome: Outcome
    kind: str
    name: str
    scenario: str
    where: str  # clients on broker
    anchor: str  # of its cell, or ""
    summary: str
    value: str
    bound: str
    baseline: Link
    evidence: Link
    why: str
    replay: str


@dataclass(frozen=True)
class Matrix:
    """Scenarios × (clients, broker) → the cells there (several when it ran more than once)."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[tuple[CellView, ...], ...]], ...]


@dataclass(frozen=True)
class Page:
    """Everything on the page but the plots."""

    title: str
    outcome: Outcome
    summary: str
    counts: str
    contradictions: tuple[str, ...]
    repeat: str
    facts: tuple[tuple[str, str], ...]
    lanes_without_baseline: tuple[str, ...]
    proposals: tuple[tuple[str, int], ...]  # lane, bounds proposed
    accept: str  # command that accepts the proposal
    failures: tuple[FindingView, ...]
    failures_left_out: int
    warnings: tuple[FindingView, ...]
    warnings_left_out: int
    skipped: tuple[Skipped, ...]
    matrix: Matrix
    cells: tuple[CellView, ...]
    steps: tuple[AttemptRow, ...]
    suites: tuple[tuple[str, str], ...]
    data_docs: Link
    run_id: str


def build(
    run: Run,
    gate: GateResult,
    cells: Sequence[CellVerdict],
    manifests: Sequence[Manifest],
    repeat: str,
    *,
    envelopes: Sequence[Envelope] = (),
) -> Page:
    """Arrange a run's artifacts as a page."""
    views = [
        cell_view(i, c, run, gate, manifests=manifests, envelopes=envelopes)
        for i, c in enumerate(cells)
    ]
    views += _missing(run, cells, manifests)
    by_cell = {v.cell: v for v in views}
    rank = {"claim": 0, "envelope": 1, "evidence": 2}
    failures = sorted(gate.failures, key=lambda f: (f.outcome is not Outcome.FAIL, rank[f.kind]))
    own = {v.cell for v in views}
    return Page(
        title=f"{gate.outcome.value.upper()}: {run.workflow} · {', '.join(run.subjects)}",
        outcome=gate.outcome,
        summary=shorten(gate.summary, TEXT_CHARS_MAX),
        counts=_counts(views, gate),
        contradictions=tuple(_contradictions(gate, views)),
        repeat=repeat,
        facts=tuple(_facts(run, cells, manifests)),
        lanes_without_baseline=gate.lanes_without_baseline,
        proposals=tuple((str(e.lane), len(e.bounds)) for e in gate.proposals),
        accept=accept_command(run),
        failures=tuple(_finding(f, run, by_cell) for f in failures[:FINDINGS_MAX]),
        failures_left_out=max(0, len(failures) - FINDINGS_MAX),
        warnings=tuple(_finding(f, run, by_cell) for f in gate.warnings[:FINDINGS_MAX]),
        warnings_left_out=max(0, len(gate.warnings) - FINDINGS_MAX),
        skipped=tuple(dict.fromkeys((*run.skipped, *gate.skipped))),
        matrix=matrix(views),
        cells=tuple(views),
        steps=attempt_rows((m for m in manifests if m.cell not in own), run.prefix),
        suites=tuple((name, _suite(result)) for name, result in gate.suites.items()),
        data_docs=artifact(gate.data_docs, run.prefix),
        run_id=run.run_id,
    )


def accept_command(run: Run) -> str:
    """The command that makes this run's proposal the lane's baseline."""
    return f"kafkalab baseline --run {run.prefix} --accepted-by YOU --why 'WHY IT IS RIGHT'"


def matrix(views: Sequence[CellView]) -> Matrix:
    """Verdicts by scenario (rows) and clients on a broker (columns)."""
    columns = tuple(sorted({(v.clients, v.broker) for v in views}))
    scenarios = sorted({v.scenario for v in views})
    rows = tuple(
        (
            scenario,
            tuple(
                tuple(v for v in views if (v.scenario, v.clients, v.broker) == (scenario, *column))
                for column in columns
            ),
        )
        for scenario in scenarios
    )
    return Matrix(columns, rows)


def planned(run: Run) -> tuple[Cell, ...]:
    """Every cell that the run planned, in order."""
    return tuple(cell for group in run.cells.values() for cell in group)


def _missing(
    run: Run, cells: Sequence[CellVerdict], manifests: Sequence[Manifest]
) -> list[CellView]:
    judged = {c.cell for c in cells}
    missing = [cell for cell in planned(run) if cell.id not in judged]
    attempts = {
        cell.id: attempt_rows((m for m in manifests if m.cell == cell.id), run.prefix)
        for cell in missing
    }
    return [
        CellView(
            anchor=anchor(len(cells) + i, cell.id),
            cell=cell.id,
            scenario=cell.scenario,
            clients=" + ".join(cell.clients),
            broker=cell.broker,
            engine=run.engine,
            outcome=Outcome.UNKNOWN,
            seconds="",
            reason=next((a.reason for a in attempts[cell.id][::-1] if a.reason), NO_VERDICT),
            attempts=attempts[cell.id],
            replay=f"kafkalab replay {run.run_id}/{cell.id}",
        )
        for i, cell in enumerate(missing)
    ]


def _contradictions(gate: GateResult, views: Sequence[CellView]) -> list[str]:
    if gate.outcome is Outcome.FAIL:
        return []
    worse = [v for v in views if v.outcome is Outcome.FAIL]
    if gate.outcome is Outcome.PASS:
        worse += [v for v in views if v.outcome is Outcome.UNKNOWN]
    return [
        f"The gate says {gate.outcome.value}, but cell {v.cell} is {v.outcome.value}. "
        "One of the two is wrong: do not trust this verdict."
        for v in worse
    ]


def _counts(views: Sequence[CellView], gate: GateResult) -> str:
    by = Counter(v.outcome for v in views)
    parts = [f"{len(views)} cell{'' if len(views) == 1 else 's'}"]
    order = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS)
    parts += [f"{by[o]} {o.value}" for o in order if by[o]]
    if gate.warnings:
        parts.append(f"{len(gate.warnings)} warned")
    if gate.skipped:
        parts.append(f"{len(gate.skipped)} skipped")
    return " · ".join(parts)


def _facts(
    run: Run, cells: Sequence[CellVerdict], manifests: Sequence[Manifest]
) -> list[tuple[str, str]]:
    trigger = dict(run.trigger)
    loaded = sorted({client for c in cells for client in c.clients})
    facts = [
        ("subjects", ", ".join(run.subjects)),
        ("clients loaded", ", ".join(loaded)),
        ("brokers", ", ".join(f"{broker} ({role})" for role, broker in run.brokers.items())),
        ("branch", trigger.pop("branch", "")),
        ("commit", trigger.pop("sha", "")),
        ("trigger", ", ".join(f"{k} {v}" for k, v in trigger.items() if v)),
        ("engine", run.engine),
        ("host class", run.host_class),
        ("profile", run.profile),
        ("seed", str(run.seed)),
        ("started", utc(run.started_at)),
        ("time in steps", seconds(sum(m.seconds for m in manifests)) if manifests else ""),
        ("run", run.run_id),
        ("artifacts", run.prefix),
    ]
    return [(name, value) for name, value in facts if value]


def _finding(finding: Finding, run: Run, by_cell: Mapping[str, CellView]) -> FindingView:
    cell = by_cell.get(finding.cell)
    return FindingView(
        outcome=finding.outcome,
        kind=(WARNING_KINDS if finding.outcome is Outcome.PASS else KINDS)[finding.kind],
        name=finding.name,
        scenario=finding.scenario,
        where=f"{cell.clients} on {cell.broker}" if cell else (finding.cell or "the whole run"),
        anchor=cell.anchor if cell else "",
        summary=shorten(finding.summary, TEXT_CHARS_MAX),
        value=_value(finding),
        bound=shorten(finding.bound, TEXT_CHARS_MAX),
        baseline=artifact(finding.baseline_run, ""),
        evidence=artifact(finding.evidence, run.prefix),
        why=shorten(finding.why, TEXT_CHARS_MAX),
        replay=finding.replay or (cell.replay if cell else ""),
    )


def _value(finding: Finding) -> str:
    if finding.value is None:
        return ""
    if isinstance(finding.value, str):
        return shorten(finding.value, TEXT_CHARS_MAX)
    metric = METRICS.get(finding.name)
    return quantity(finding.value, metric.unit) if metric else number(finding.value)


def _suite(result: object) -> str:
    if isinstance(result, Mapping):
        return ", ".join(f"{key} {value}" for key, value in result.items())
    return str(result)
