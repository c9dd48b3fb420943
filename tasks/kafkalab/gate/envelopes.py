"""Compares metrics with the accepted envelope of their lane; pure.

A lane compares only with itself: workflow, broker, client's major.minor, engine and host class. An
envelope that was accepted for another lane is refused, whoever hands it over.

A metric that the run itself judged by pairs, candidate against baseline build interleaved on one
cluster (claim `regression`), is decided by that; the envelope then only warns, since absolute
numbers of two nights say less than pairs of one. Which metrics that were is read from the claim's
evidence; a claim that names none is taken to speak for every gated metric of its cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kafkalab.gate.facts import Facts
from kafkalab.gate.frames import Row, finite
from kafkalab.model.metric import METRICS, Metric
from kafkalab.model.run import Bound, Envelope, Lane, Run
from kafkalab.model.verdict import CellVerdict, Outcome

REGRESSION = "regression"

_VERSION = re.compile(r"^v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class Group:
    """What one lane measured in one scenario, with the bounds accepted for it."""

    lane: Lane
    scenario: str
    step: str
    facts: tuple[Facts, ...]
    envelope: Envelope | None  # None: the lane has no baseline
    bounds: Mapping[str, Bound]  # metric → bound, of this scenario

    @property
    def rows(self) -> list[Row]:
        """The frame `envelope`: cell × metric with a usable bound and a finite value."""
        return [
            {
                "scenario": self.scenario,
                "cell": f.id,
                "step": self.step,
                "metric": name,
                "value": float(f.verdict.metrics[name]),
            }
            for f in self.facts
            if f.verdict
            for name, bound in self.bounds.items()
            if usable(bound) and finite(f.verdict.metrics.get(name))
        ]

    @property
    def parameters(self) -> dict[str, float | None]:
        """Bounds by the names that rules give them; an open side is None."""
        values: dict[str, float | None] = {}
        for name, bound in self.bounds.items():
            if usable(bound):
                values[f"{name}_lower"] = bound.lower
                values[f"{name}_upper"] = bound.upper
                values[f"{name}_warn"] = warn_at(bound)
        return values


def client_line(subject: str) -> str:
    """`confluent-kafka@2.16.1` → `confluent-kafka@2.16`; what has no such version stays whole."""
    name, separator, version = subject.partition("@")
    found = _VERSION.match(version)
    return f"{name}{separator}{found[1]}.{found[2]}" if found else subject


def lane_of(run: Run, verdict: CellVerdict) -> Lane:
    """The lane that a cell's results belong to.

    What a driver really loaded counts, not what was asked for; but a paired cell also loads the
    baseline build, which is no subject, and a planted defect loads the client that it wraps and
    must never be taken for it. So the plan says who is meant, and the drivers say in which version.
    """
    planned = next(
        (c.clients for group in run.cells.values() for c in group if c.id == verdict.cell),
        verdict.clients,
    )
    lines = sorted({client_line(_loaded(subject, verdict.clients)) for subject in planned})
    return Lane(run.workflow, verdict.broker, "+".join(lines), verdict.engine, run.host_class)


def _loaded(subject: str, reported: Sequence[str]) -> str:
    """What was loaded for a planned subject, where that is certain; else the subject."""
    named = [r for r in reported if r.partition("@")[0] == subject.partition("@")[0]]
    return named[0] if len(named) == 1 else subject


def usable(bound: Bound) -> bool:
    """Whether a bound has the side on which its metric gets worse, as finite numbers."""
    metric = METRICS.get(bound.metric)
    if metric is None:
        return False
    worse = bound.lower if metric.higher_is_better else bound.upper
    sides = [side for side in (bound.lower, bound.upper, bound.baseline) if side is not None]
    return worse is not None and all(finite(side) for side in sides)


def warn_at(bound: Bound) -> float | None:
    """Where the warning begins; None for a metric that has no warning."""
    ratio = METRICS[bound.metric].warn_ratio
    return None if ratio is None else worsened(METRICS[bound.metric], bound.baseline, ratio)


def worsened(metric: Metric, value: float, ratio: float) -> float:
    """The value that is worse by a ratio: less where more is better."""
    return value * (1 - ratio if metric.higher_is_better else 1 + ratio)


def group(
    run: Run, facts: Sequence[Facts], envelopes: Callable[[Lane], Envelope | None]
) -> tuple[list[Group], list[tuple[Lane, Envelope]]]:
    """Judged cells by lane and scenario, and the envelopes that belong to another lane."""
    cells: dict[tuple[Lane, str], list[Facts]] = {}
    for f in facts:
        if f.state == "judged" and f.verdict:
            cells.setdefault((lane_of(run, f.verdict), f.scenario), []).append(f)
    accepted: dict[Lane, Envelope | None] = {lane: envelopes(lane) for lane, _ in cells}
    strangers = [(lane, e) for lane, e in accepted.items() if e is not None and e.lane != lane]
    for lane, _ in strangers:
        accepted[lane] = None
    groups = []
    for (lane, scenario), members in cells.items():
        envelope = accepted[lane]
        bounds = (
            {b.metric: b for b in envelope.bounds if b.scenario == scenario} if envelope else {}
        )
        groups.append(Group(lane, scenario, members[0].step, tuple(members), envelope, bounds))
    return groups, strangers


def is_gated(name: str) -> bool:
    """Whether a metric has a default threshold."""
    return name in METRICS and METRICS[name].fail_ratio is not None


def has_gated(facts: Facts) -> bool:
    """Whether a cell measured anything that an envelope would bound by default."""
    return facts.verdict is not None and any(is_gated(name) for name in facts.verdict.metrics)


def without_baseline(groups: Sequence[Group]) -> dict[Lane, list[str]]:
    """Lane → "scenario metric" that is gated and has no accepted bound yet."""
    found: dict[Lane, list[str]] = {}
    for g in groups:
        measured = dict.fromkeys(m for f in g.facts if f.verdict for m in f.verdict.metrics)
        for name in measured:
            if is_gated(name) and name not in g.bounds:
                found.setdefault(g.lane, []).append(f"{g.scenario} {name}")
    return found


def judged_by_pairs(verdict: CellVerdict, metric: str) -> bool:
    """Whether the run's own paired comparison has decided this metric."""
    for claim in verdict.claims:
        if claim.claim == REGRESSION and claim.outcome is not Outcome.UNKNOWN:
            named = {str(e["metric"]) for e in claim.evidence if "metric" in e}
            return not named or metric in named
    return False


def bound_in_words(bound: Bound, limit: float | None = None) -> str:
    """`≥ 120,000 records/s (−15 % of 141,176)`, for the side that matters or another limit."""
    metric = METRICS[bound.metric]
    side = bound.lower if metric.higher_is_better else bound.upper
    at = side if limit is None else limit
    if at is None:
        return "no bound"
    sign = "≥" if metric.higher_is_better else "≤"
    words = f"{sign} {number(at)} {metric.unit}"
    if bound.baseline:
        percent = (at / bound.baseline - 1) * 100
        minus = "−" if percent < 0 else "+"
        words += f" ({minus}{abs(percent):.3g} % of {number(bound.baseline)})"
    return words


def against(value: float, baseline: float) -> str:
    """`30 % below the baseline of 141,176`."""
    if not baseline:
        return f"the baseline is {number(baseline)}"
    percent = (value / baseline - 1) * 100
    side = "below" if percent < 0 else "above"
    return f"{abs(percent):.3g} % {side} the baseline of {number(baseline)}"


def number(value: float) -> str:
    """A number for a person: whole from 1,000 on, else four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
