"""Turns broken rules into findings that a person can act on; pure.

Noise: a number that came out badly against an envelope of other runs, on a host that was noisy,
says nothing about the subject; such a failure becomes `unknown`, with what disturbed it. One that
came out well stays: noise makes numbers worse, not better. The claim `regression` stands either
way: its pairs took turns on the same host, so noise falls on both builds and widens the interval;
what is confirmed was confirmed against that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kafkalab.gate.envelopes import (
    Group,
    against,
    bound_in_words,
    judged_by_pairs,
    number,
    usable,
    warn_at,
)
from kafkalab.gate.expectations import Check
from kafkalab.gate.facts import Facts
from kafkalab.gate.frames import Row
from kafkalab.gate.suites import Suite
from kafkalab.model.gate import FailureKind, Finding
from kafkalab.model.metric import METRICS
from kafkalab.model.run import Lane, Run
from kafkalab.model.scenario import Scenario
from kafkalab.model.verdict import CellVerdict, Outcome


@dataclass(frozen=True)
class Context:
    """What every finding needs beside its own row."""

    run: Run
    facts: Mapping[str, Facts]  # cell → facts

    def finding(
        self, kind: FailureKind, outcome: Outcome, row: Row, name: str, summary: str
    ) -> Finding:
        """A finding about the row's cell, with evidence and replay command."""
        cell = row["cell"]
        facts = self.facts.get(cell)
        verdict = facts.verdict if facts else None
        replay = f"kafkalab replay {self.run.run_id}/{cell}" if cell else ""
        return Finding(
            kind=kind,
            outcome=outcome,
            scenario=row["scenario"],
            cell=cell,
            name=name,
            summary=summary,
            evidence=facts.evidence if facts else "",
            replay=verdict.replay if verdict and verdict.replay else replay,
        )

    def settle(self, finding: Finding) -> Finding:
        """The finding, turned into `unknown` when the host was too noisy to say it."""
        facts = self.facts.get(finding.cell)
        sensitive = finding.kind == "envelope"
        if finding.outcome is not Outcome.FAIL or not sensitive or not facts or not facts.noise:
            return finding
        summary = f"{finding.summary}; not a result, the host was noisy: {'; '.join(facts.noise)}"
        return replace(finding, kind="evidence", outcome=Outcome.UNKNOWN, summary=summary)


def of_problem(check: Check) -> Finding:
    """A rule that could not be judged."""
    return Finding(
        kind="evidence",
        outcome=Outcome.UNKNOWN,
        scenario="",
        cell="",
        name=check.rule.name,
        summary=f"the rule '{check.rule.name}' of {check.rule.file} could not be judged on "
        f"{check.rows} rows: {check.problem}",
        bound=check.bound,
        why=check.rule.why,
    )


def of_quality(context: Context, checks: Iterable[Check]) -> list[Finding]:
    """Findings of the data-quality suite; a rule may say that it stands for a failure."""
    found = []
    for check in checks:
        rule = check.rule
        if check.problem:
            found.append(of_problem(check))
        outcome = Outcome.PASS if rule.warning else rule.outcome
        kind: FailureKind = "claim" if rule.outcome is Outcome.FAIL else "evidence"
        for row in check.broken:
            finding = context.finding(kind, outcome, row, rule.name, rule.says.format(**row))
            value = row[rule.column]
            shown = value if isinstance(value, float | int | str) else str(value)
            found.append(replace(finding, value=shown, bound=check.bound, why=rule.why))
    return found


def of_claims(context: Context, checks: Iterable[Check]) -> list[Finding]:
    """Broken claims, and claims about which too little was seen."""
    found: dict[tuple[str, str], Finding] = {}
    for check in checks:
        if check.problem:
            found["", check.rule.name] = of_problem(check)
        for row in check.broken:
            failed = row["outcome"] == Outcome.FAIL
            outcome = Outcome.FAIL if failed else Outcome.UNKNOWN
            finding = context.finding(
                "claim" if failed else "evidence",
                Outcome.PASS if check.rule.warning else outcome,
                row,
                row["claim"],
                check.rule.says.format(**row),
            )
            finding = replace(
                finding,
                value=row["count"],
                bound="must hold: no finding",
                evidence=_claim_evidence(context, row) or finding.evidence,
                why=check.rule.why,
            )
            found.setdefault((row["cell"], row["claim"]), context.settle(finding))
    return list(found.values())


def _claim_evidence(context: Context, row: Row) -> str:
    verdict = context.facts[row["cell"]].verdict
    claims = verdict.claims if verdict else ()
    return next((c.evidence_uri or "" for c in claims if c.claim == row["claim"]), "")


def without_rule(
    context: Context, suite: Suite, frame: str, rows: Sequence[Row], column: str
) -> list[Finding]:
    """Rows that no rule judges: they would pass unseen."""
    rules = [rule for rule in suite.of_frame(frame) if not rule.warning]
    covered = {at for rule in rules for at in suite.rows_of(rule, rows)}
    return [
        context.finding(
            "evidence",
            Outcome.UNKNOWN,
            row,
            row[column],
            f"suites/{suite.file.name} has no rule for {column} '{row[column]}': add one",
        )
        for at, row in enumerate(rows)
        if at not in covered
    ]


def of_envelope(context: Context, group: Group, checks: Iterable[Check]) -> list[Finding]:
    """Metrics outside the lane's envelope, and those that come near."""
    if group.envelope is None:
        return []
    found: dict[tuple[str, str], Finding] = {}
    for check in sorted(checks, key=lambda c: c.rule.warning):
        if check.problem:
            found["", check.rule.name] = of_problem(check)
        for row in check.broken:
            finding = context.settle(_outside(context, group, check, row))
            # a metric that failed does not warn as well
            found.setdefault((row["cell"], row["metric"]), finding)
    return list(found.values())


def _outside(context: Context, group: Group, check: Check, row: Row) -> Finding:
    name, value = row["metric"], row["value"]
    bound, metric, warning = group.bounds[name], METRICS[row["metric"]], check.rule.warning
    verdict = context.facts[row["cell"]].verdict
    words = bound_in_words(bound, warn_at(bound) if warning else None)
    summary = check.rule.says.format(**{**row, "value": f"{number(value)} {metric.unit}"})
    summary += f", {against(value, bound.baseline)}"
    outcome = Outcome.FAIL
    if warning:
        outcome = Outcome.PASS
    elif verdict and judged_by_pairs(verdict, name):
        outcome = Outcome.PASS
        summary += "; the paired comparison of this run decides, this only warns"
    return replace(
        context.finding("envelope", outcome, row, name, summary),
        value=value,
        bound=words,
        baseline_run=_source(group),
        why=check.rule.why,
    )


def _source(group: Group) -> str:
    return group.envelope.runs[-1] if group.envelope and group.envelope.runs else ""


def unusable_bounds(
    context: Context, group: Group, scenarios: Mapping[str, Scenario]
) -> list[Finding]:
    """Accepted bounds that cannot be checked: null, not finite, or of what was not measured."""
    declared = scenarios[group.scenario].metrics if group.scenario in scenarios else ()
    found = []
    for f in group.facts:
        row = {"scenario": group.scenario, "cell": f.id}
        measured = f.verdict.metrics if f.verdict else {}
        for name, bound in group.bounds.items():
            if not usable(bound):
                text = (
                    f"the accepted envelope of {group.lane} has no usable bound for {name}: "
                    f"baseline {bound.baseline}, {bound.lower} to {bound.upper}; accept another"
                )
            elif name not in measured and name not in declared:
                text = f"{name} has an accepted bound and was not measured"
            else:
                continue
            finding = context.finding("evidence", Outcome.UNKNOWN, row, name, text)
            found.append(replace(finding, baseline_run=_source(group)))
    return found


def of_wrong_lane(lane: Lane, other: Lane) -> Finding:
    """An envelope that was accepted for another lane."""
    return Finding(
        kind="evidence",
        outcome=Outcome.UNKNOWN,
        scenario="",
        cell="",
        name="envelope-lane",
        summary=f"the envelope stored for {lane} was accepted for {other}; it was not used",
    )


def of_missing_bound(lane: Lane, what: str) -> Finding:
    """A gated metric that a lane with a baseline has no bound for yet."""
    scenario, _, metric = what.partition(" ")
    return Finding(
        kind="envelope",
        outcome=Outcome.PASS,
        scenario=scenario,
        cell="",
        name=metric,
        summary=f"{lane} has no accepted bound for {what} yet; the proposal holds one",
    )


def of_noisy(facts: Facts, verdict: CellVerdict) -> Finding:
    """A cell that ran on a noisy host: what it found stands with a warning."""
    return Finding(
        kind="evidence",
        outcome=Outcome.PASS,
        scenario=facts.scenario,
        cell=facts.id,
        name="noisy-host",
        summary="the host was noisy, so its numbers are not proposed as a baseline: "
        + "; ".join(facts.noise or ()),
        replay=verdict.replay,
    )
