"""One cell as the page shows it: claims, metrics against baseline, attempts, host. Pure.

Nothing is judged here. Whether a metric is outside its envelope is what the gate found; the bounds
beside it are shown so that a person can see how near it was. A cell whose claims hold is still red
on the page when the gate found one of its numbers outside: its outcome is the worse of the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafkalab.model.claim import CLAIMS
from kafkalab.model.gate import Finding, GateResult
from kafkalab.model.metric import METRICS
from kafkalab.model.run import Bound, Envelope, Lane, Manifest, Run
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome, Skipped, merge
from kafkalab.report.text import Link, artifact, change, quantity, seconds, shorten, utc

EVIDENCE_SHOWN = 8  # findings of a claim on the page; all of them are in its evidence file
EVIDENCE_CHARS_MAX = 400
TIMELINE_LINES_MAX = 60
TEXT_CHARS_MAX = 1_500
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class ClaimRow:
    """One claim of a cell."""

    claim: str
    outcome: Outcome
    count: int
    summary: str
    meaning: str  # what must not be found
    evidence: tuple[str, ...]
    evidence_left_out: int
    timelines: tuple[tuple[str, ...], ...]  # of the first findings: lines of text
    link: Link


@dataclass(frozen=True)
class MetricRow:
    """One metric of a cell."""

    name: str
    what: str
    value: str
    baseline: str
    change: str
    bounds: str
    judgement: str  # as `_judgement` words it
    tone: str  # CSS class: pass | fail | unknown | warn | plain


@dataclass(frozen=True)
class AttemptRow:
    """One attempt of one step; none is ever hidden."""

    step: str
    attempt: int
    outcome: Outcome
    seconds: str
    started_at: str
    reason: str
    links: tuple[tuple[str, Link], ...]
    host: str


@dataclass(frozen=True)
class CellView:
    """One cell."""

    anchor: str  # unique on the page, safe in an id
    cell: str
    scenario: str
    clients: str
    broker: str
    engine: str
    outcome: Outcome
    seconds: str
    reason: str
    replay: str
    claims: tuple[ClaimRow, ...] = ()
    metrics: tuple[MetricRow, ...] = ()
    samples: tuple[tuple[str, str], ...] = ()
    skipped: tuple[Skipped, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    findings: tuple[Finding, ...] = ()  # of the gate; those about a claim also stand in `claims`
    links: tuple[tuple[str, Link], ...] = ()

    @property
    def other_findings(self) -> tuple[Finding, ...]:
        """What the gate found that the table of claims does not already say."""
        return tuple(f for f in self.findings if not _is_claim(f))

    @property
    def red(self) -> tuple[str, ...]:
        """Names of what is not a pass, worst first: for a line of a table."""
        named = {
            c.claim: f"{c.claim} ({c.count})" for c in self.claims if c.outcome is Outcome.FAIL
        }
        for finding in self.findings:
            named.setdefault(finding.name, finding.name)
        for claim in self.claims:
            if claim.outcome is Outcome.UNKNOWN:
                named[claim.claim] = f"{claim.claim}: unknown"
        return tuple(named.values()) or ((self.reason,) if self.reason else ())


def anchor(position: int, cell: str) -> str:
    """An element id for a cell: unique by position, readable by name."""
    return f"cell-{position}-" + re.sub(r"[^A-Za-z0-9.]+", "-", cell)[:80].strip("-")


def cell_view(
    position: int,
    verdict: CellVerdict,
    run: Run,
    gate: GateResult,
    *,
    manifests: Sequence[Manifest],
    envelopes: Sequence[Envelope],
) -> CellView:
    """Everything the page says about one judged cell."""
    findings = tuple(f for f in gate.failures if f.cell == verdict.cell)
    warnings = tuple(f for f in gate.warnings if f.cell == verdict.cell)
    return CellView(
        anchor=anchor(position, verdict.cell),
        cell=verdict.cell,
        scenario=verdict.scenario,
        clients=" + ".join(verdict.clients),
        broker=verdict.broker,
        engine=verdict.engine,
        outcome=merge((verdict.outcome, *(f.outcome for f in findings))),
        seconds=seconds(verdict.seconds),
        reason=shorten(verdict.reason, TEXT_CHARS_MAX),
        replay=verdict.replay,
        claims=tuple(_claim(c, run.prefix) for c in verdict.claims),
        metrics=tuple(metric_rows(run, verdict, (*findings, *warnings), envelopes)),
        samples=tuple((name, f"{count:,}") for name, count in verdict.samples.items()),
        skipped=verdict.skipped,
        attempts=attempt_rows((m for m in manifests if m.cell == verdict.cell), run.prefix),
        findings=findings,
        links=tuple((name, artifact(str(key), run.prefix)) for name, key in verdict.series.items()),
    )


def attempt_rows(manifests: Iterable[Manifest], prefix: str) -> tuple[AttemptRow, ...]:
    """Attempts in the order in which they began."""
    return tuple(
        AttemptRow(
            step=m.step,
            attempt=m.attempt,
            outcome=m.outcome,
            seconds=seconds(m.seconds),
            started_at=utc(m.started_at),
            reason=shorten(m.reason, TEXT_CHARS_MAX),
            links=tuple((name, artifact(key, prefix)) for name, key in m.artifacts.items()),
            host=host_line(m.host),
        )
        for m in sorted(manifests, key=lambda m: (m.started_at, m.step, m.attempt))
    )


def host_line(host: Mapping[str, Any]) -> str:
    """The host noise of an attempt, one line."""
    return " · ".join(f"{name} {_plain(value)}" for name, value in host.items())


def metric_rows(
    run: Run, verdict: CellVerdict, findings: Sequence[Finding], envelopes: Sequence[Envelope]
) -> Iterable[MetricRow]:
    """The cell's metrics, in the order in which the model lists them."""
    lane = lane_of(run, verdict)
    accepted = [b for e in envelopes if e.lane == lane for b in e.bounds]
    bounds = {b.metric: b for b in accepted if b.scenario == verdict.scenario}
    found = {f.name: f for f in findings if f.kind != "claim"}
    order = {name: i for i, name in enumerate(METRICS)}
    for name, value in sorted(verdict.metrics.items(), key=lambda m: order.get(m[0], len(order))):
        yield _metric(name, value, bounds.get(name), found.get(name))


def _metric(name: str, value: float, bound: Bound | None, finding: Finding | None) -> MetricRow:
    metric = METRICS.get(name)
    unit = metric.unit if metric else ""
    judgement, tone = _judgement(name, value, bound, finding)
    limits = _limits(bound, unit) if bound else ""
    return MetricRow(
        name=name,
        what=metric.what if metric else "",
        value=quantity(value, unit),
        baseline=quantity(bound.baseline, unit) if bound else "",
        change=change(value, bound.baseline) if bound else "",
        bounds=limits or (finding.bound if finding else ""),
        judgement=judgement,
        tone=tone,
    )


def _judgement(
    name: str, value: float, bound: Bound | None, finding: Finding | None
) -> tuple[str, str]:
    if finding is not None:
        words = {
            Outcome.FAIL: ("outside", "fail"),
            Outcome.UNKNOWN: ("not enough evidence", "unknown"),
            Outcome.PASS: ("warning", "warn"),
        }
        return words[finding.outcome]
    if bound is not None and _inside(value, bound):
        return "within", "pass"
    if bound is not None:  # such as where the run's own paired comparison decided instead
        return "outside, not red", "warn"
    metric = METRICS.get(name)
    gated = metric is not None and metric.fail_ratio is not None
    return ("no baseline" if gated else "not gated"), "plain"


def _inside(value: float, bound: Bound) -> bool:
    above = bound.lower is None or value >= bound.lower
    return above and (bound.upper is None or value <= bound.upper)


def _limits(bound: Bound, unit: str) -> str:
    parts = []
    if bound.lower is not None:
        parts.append(f"≥ {quantity(bound.lower, unit)}")
    if bound.upper is not None:
        parts.append(f"≤ {quantity(bound.upper, unit)}")
    return " and ".join(parts)


def lane_of(run: Run, verdict: CellVerdict) -> Lane:
    """The lane of a cell, as the gate names it (`gate.envelopes.lane_of`; a test compares them).

    The plan says which clients are meant (a paired cell also loads its baseline build), what was
    loaded says in which version.
    """
    planned = next(
        (c.clients for group in run.cells.values() for c in group if c.id == verdict.cell),
        verdict.clients,
    )
    lines = sorted({_line(subject, verdict.clients) for subject in planned})
    return Lane(run.workflow, verdict.broker, "+".join(lines), verdict.engine, run.host_class)


def _line(subject: str, reported: Sequence[str]) -> str:
    named = [r for r in reported if r.partition("@")[0] == subject.partition("@")[0]]
    loaded = named[0] if len(named) == 1 else subject
    name, separator, version = loaded.partition("@")
    found = _VERSION.match(version)
    return f"{name}{separator}{found[1]}.{found[2]}" if found else loaded


def _claim(verdict: ClaimVerdict, prefix: str) -> ClaimRow:
    shown = verdict.evidence[:EVIDENCE_SHOWN]
    return ClaimRow(
        claim=verdict.claim,
        outcome=verdict.outcome,
        count=verdict.count,
        summary=shorten(verdict.summary, TEXT_CHARS_MAX),
        meaning=CLAIMS.get(verdict.claim, ""),
        evidence=tuple(
            shorten(json.dumps(e, ensure_ascii=False, default=str), EVIDENCE_CHARS_MAX)
            for e in shown
        ),
        evidence_left_out=max(verdict.count, len(verdict.evidence)) - len(shown),
        timelines=tuple(
            tuple(shorten(line, EVIDENCE_CHARS_MAX) for line in lines[:TIMELINE_LINES_MAX])
            for lines in verdict.timelines[:EVIDENCE_SHOWN]
        ),
        link=artifact(verdict.evidence_uri or "", prefix),
    )


def _is_claim(finding: Finding) -> bool:
    return finding.kind == "claim"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{k} {_plain(v)}" for k, v in value.items()) + ")"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
