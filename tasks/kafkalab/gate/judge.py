"""Judges a run: data quality, then claims, then envelopes, in this order.

The argument: a rule that looked at nothing must not count. So the planned cells are the rows to
begin with, whatever came back; each rule reports how many rows it judged, and that must be the
number counted by hand; and what is not covered by a rule is a finding of its own. Only then do
claims count, and only claims and metrics that were really there can pass.

A gate is red for three reasons only: a claim is broken, a metric is outside its envelope, or
there was not enough evidence. Outcomes merge by severity, fail > unknown > pass. Warnings do not
count.

What is not checked here: whether a claim was judged rightly (checkers/), and whether a fault had
its effect (the cell says so itself, as its reason).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kafkalab.gate import findings, frames
from kafkalab.gate.envelopes import Group, group, has_gated, without_baseline
from kafkalab.gate.expectations import Check, Expectations
from kafkalab.gate.facts import Facts, gather
from kafkalab.gate.proposals import propose
from kafkalab.gate.suites import QUALITY, Suite, load
from kafkalab.model.gate import Finding, GateResult
from kafkalab.model.run import Envelope, Lane, Manifest, Run
from kafkalab.model.scenario import Scenario
from kafkalab.model.verdict import CellVerdict, Outcome, Skipped, merge


@dataclass
class _Tally:
    """What was found so far."""

    findings: list[Finding] = field(default_factory=list)
    suites: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, suite: Suite, checks: Iterable[Check]) -> None:
        """Add checks to the suite's figures."""
        at = self.suites.setdefault(suite.name, {"evaluated": 0, "failed": 0, "rows": 0})
        for check in checks:
            at["evaluated"] += 1
            at["failed"] += bool(check.broken or check.problem)
            at["rows"] += check.rows


def judge_run(
    run: Run,
    manifests: Sequence[Manifest],
    cells: Sequence[CellVerdict],
    envelopes: Callable[[Lane], Envelope | None],
    suites: Path,
    docs_dir: Path | None,
    *,
    scenarios: Mapping[str, Scenario] | None = None,
) -> GateResult:
    """Judge everything that a run left.

    Args:
        run: what was planned.
        manifests: of all steps and all attempts.
        cells: the verdict of the latest attempt of each cell.
        envelopes: the accepted envelope of a lane, or None.
        suites: folder of the suite files; their schema is in `../schemas`.
        docs_dir: an empty folder for the Data Docs, which open without a network; None: none.
        scenarios: the catalogue. Without it, nobody knows which claims and metrics a cell
            must have, and the result warns so.

    Returns:
        The result; `data_docs` is relative to docs_dir.

    Raises:
        UsageError: a suite is missing or malformed; names file and key.
    """
    steps = dict.fromkeys(key.partition("/")[0] for key in run.cells)
    loaded = {name: load(suites, name) for name in (QUALITY, *steps)}
    facts = gather(run, manifests, cells)
    context = findings.Context(run, {f.id: f for f in facts})
    expectations = Expectations(docs_dir, run.run_id)
    tally = _Tally()

    _judge_quality(tally, context, expectations, loaded[QUALITY], manifests, scenarios)
    for step in steps:
        _judge_claims(tally, context, expectations, loaded[step])
    groups, strangers = group(run, facts, envelopes)
    tally.findings += [findings.of_wrong_lane(lane, e.lane) for lane, e in strangers]
    for at, one in enumerate(groups):
        _judge_envelope(tally, context, expectations, loaded[one.step], one, scenarios or {}, at)
    missing = without_baseline(groups)
    lanes = {g.lane: g.envelope for g in groups}
    tally.findings += [
        findings.of_missing_bound(lane, what)
        for lane, found in missing.items()
        if lanes[lane] is not None
        for what in found
    ]
    tally.findings += [
        findings.of_noisy(f, f.verdict) for f in facts if f.noise and f.verdict and has_gated(f)
    ]
    first = tuple(sorted(str(lane) for lane in missing if lanes[lane] is None))
    return _result(
        run, facts, tally, first, _proposals(run, facts, tally.findings, lanes), expectations
    )


def _judge_quality(
    tally: _Tally,
    context: findings.Context,
    expectations: Expectations,
    suite: Suite,
    manifests: Sequence[Manifest],
    scenarios: Mapping[str, Scenario] | None,
) -> None:
    facts = tuple(context.facts.values())
    catalogue = scenarios or {}
    rows = {
        "run": frames.run_rows(facts, manifests),
        "cells": frames.cell_rows(facts, catalogue),
        "samples": frames.sample_rows(facts),
        "metrics": frames.metric_rows(facts, catalogue),
        "manifests": frames.manifest_rows(context.run, manifests),
    }
    for frame, of_frame in rows.items():
        checks = expectations.evaluate(suite, frame, of_frame)
        tally.count(suite, checks)
        tally.findings += findings.of_quality(context, checks)
    if scenarios is None:
        tally.findings.append(_without_catalogue())


def _judge_claims(
    tally: _Tally, context: findings.Context, expectations: Expectations, suite: Suite
) -> None:
    facts = [f for f in context.facts.values() if f.step == suite.name]
    rows = frames.claim_rows(facts)
    checks = expectations.evaluate(suite, "claims", rows)
    tally.count(suite, checks)
    tally.findings += findings.of_claims(context, checks)
    tally.findings += findings.without_rule(context, suite, "claims", rows, "claim")


def _judge_envelope(
    tally: _Tally,
    context: findings.Context,
    expectations: Expectations,
    suite: Suite,
    one: Group,
    scenarios: Mapping[str, Scenario],
    at: int,
) -> None:
    tally.findings += findings.unusable_bounds(context, one, scenarios)
    rows = one.rows
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{suite.name}-envelope-{one.scenario}-{at}")
    checks = expectations.evaluate(suite, "envelope", rows, one.parameters, name)
    tally.count(suite, checks)
    tally.findings += findings.of_envelope(context, one, checks)
    tally.findings += findings.without_rule(context, suite, "envelope", rows, "metric")


def _without_catalogue() -> Finding:
    return Finding(
        kind="evidence",
        outcome=Outcome.PASS,
        scenario="",
        cell="",
        name="catalogue",
        summary="the gate was not given the catalogue: claims and metrics that a cell left out "
        "were not looked for",
    )


def _proposals(
    run: Run,
    facts: Sequence[Facts],
    found: Sequence[Finding],
    lanes: Mapping[Lane, Envelope | None],
) -> tuple[Envelope, ...]:
    """Of every lane; a cell that the gate itself doubts, or a noisy one, does not speak for it."""
    doubted = {
        f.cell for f in found if f.outcome is not Outcome.PASS and f.kind in ("evidence", "claim")
    }
    speakers = [
        f.verdict
        for f in facts
        if f.verdict and f.state == "judged" and not f.noise and f.id not in doubted
    ]
    proposed = (propose(run, speakers, lane, accepted) for lane, accepted in lanes.items())
    return tuple(p for p in proposed if p is not None)


def _result(
    run: Run,
    facts: Sequence[Facts],
    tally: _Tally,
    first: tuple[str, ...],
    proposals: tuple[Envelope, ...],
    expectations: Expectations,
) -> GateResult:
    failures = [f for f in tally.findings if f.outcome is not Outcome.PASS]
    warnings = [f for f in tally.findings if f.outcome is Outcome.PASS]
    if not failures and not any(f.state == "judged" for f in facts):
        # whatever the suites say: who has seen nothing cannot pass
        failures.append(_nothing_judged())
    failures.sort(key=lambda f: (f.outcome is not Outcome.FAIL, f.cell == ""))
    outcome = merge(f.outcome for f in failures) if failures else Outcome.PASS
    skipped = [
        Skipped(f"{f.id}: {s.what}", s.needs) for f in facts if f.verdict for s in f.verdict.skipped
    ]
    result = GateResult(
        run_id=run.run_id,
        outcome=outcome,
        summary="",
        failures=tuple(failures),
        warnings=tuple(warnings),
        skipped=(*run.skipped, *skipped),
        proposals=proposals,
        lanes_without_baseline=first,
        suites=tally.suites,
        data_docs=expectations.build_docs(),
    )
    return replace(result, summary=summarise(result, len(facts)))


def _nothing_judged() -> Finding:
    return Finding(
        kind="evidence",
        outcome=Outcome.UNKNOWN,
        scenario="",
        cell="",
        name="judged",
        summary="no cell was judged: nothing was seen, so nothing can pass",
    )


def summarise(result: GateResult, cells: int) -> str:
    """One sentence beside the verdict: why, and what else to know."""
    kinds = {"claim": "broken claim", "envelope": "metric outside its envelope"}
    parts = []
    for kind, what in kinds.items():
        if n := sum(f.kind == kind for f in result.failures):
            parts.append(_plural(n, what))
    if n := sum(f.kind == "evidence" for f in result.failures):
        parts.append(f"not enough evidence in {_plural(n, 'place')}")
    if not parts:
        parts.append(f"every rule holds on {_plural(cells, 'cell')}")
    if result.warnings:
        parts.append(_plural(len(result.warnings), "warning"))
    if result.skipped:
        parts.append(f"{len(result.skipped)} skipped")
    if n := len(result.lanes_without_baseline):
        proposed = {str(e.lane) for e in result.proposals} & set(result.lanes_without_baseline)
        parts.append(
            f"{_plural(n, 'lane')} without a baseline, judged by claims only "
            f"({len(proposed) or 'no'} proposed)"
        )
    return ", ".join(parts)


def _plural(n: int, what: str) -> str:
    if n == 1:
        return f"1 {what}"
    if what == "metric outside its envelope":
        return f"{n} metrics outside their envelopes"
    return f"{n} {what}s"
