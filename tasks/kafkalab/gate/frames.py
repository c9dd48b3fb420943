"""Turns a run's documents into the rows that the rules judge; pure.

Great Expectations passes on an empty frame and skips nulls, so everything that must be counted is
counted here, by hand, and arrives as a value in a row that exists in any case: a cell that was
planned is a row whether or not anything came back from it.

Frames, one row per:

    run        the run
    cells      cell that was planned, and verdict that was not
    samples    judged cell × count that it reported
    metrics    judged cell × metric that its scenario declares or that it reported
    manifests  manifest, every attempt
    claims     cell with a verdict × claim
    envelope   cell × metric that has an accepted bound (built in envelopes.py)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kafkalab.gate.facts import Facts
from kafkalab.model.run import Manifest, Run
from kafkalab.model.scenario import Scenario
from kafkalab.model.verdict import CellVerdict, Outcome

Row = dict[str, Any]

_CELL = ("scenario", "cell", "step")
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "run": (*_CELL, "planned", "provisioned"),
    "cells": (
        *_CELL,
        "state",
        "verdicts",
        "manifests",
        "claims",
        "claims_missing",
        "consistent",
        "samples_total",
        "seconds",
        "noise_recorded",
        "reason",
    ),
    "samples": (*_CELL, "sample", "value"),
    "metrics": (*_CELL, "metric", "finite", "shown"),
    "manifests": (
        *_CELL,
        "attempt",
        "which",
        "outcome",
        "seconds",
        "since_start_s",
        "reason",
    ),
    "claims": (*_CELL, "claim", "outcome", "count", "summary"),
    "envelope": (*_CELL, "metric", "value"),
}


def run_rows(facts: Sequence[Facts], manifests: Sequence[Manifest]) -> list[Row]:
    """The frame `run`."""
    return [
        {
            "scenario": "",
            "cell": "",
            "step": "",
            "planned": sum(f.state != "unplanned" for f in facts),
            "provisioned": sum(m.step == "provision" for m in manifests),
        }
    ]


def cell_rows(facts: Sequence[Facts], scenarios: Mapping[str, Scenario]) -> list[Row]:
    """The frame `cells`."""
    return [_cell_row(f, scenarios.get(f.scenario)) for f in facts]


def _cell_row(facts: Facts, scenario: Scenario | None) -> Row:
    verdict = facts.verdict
    row = _identity(facts) | {
        "state": facts.state,
        "verdicts": len(facts.verdicts),
        "manifests": len(facts.manifests),
        "claims": 0,
        "claims_missing": "",
        "consistent": True,
        "samples_total": 0,
        "seconds": 0.0,
        "noise_recorded": facts.noise is not None,
        "reason": facts.reason,
    }
    if verdict is not None:
        row["claims"] = len(verdict.claims)
        row["claims_missing"] = ", ".join(_claims_missing(verdict, scenario))
        row["consistent"] = verdict.outcome is not Outcome.FAIL or any(
            c.outcome is Outcome.FAIL for c in verdict.claims
        )
        row["samples_total"] = sum(max(0, int(n)) for n in verdict.samples.values())
        row["seconds"] = float(verdict.seconds)
    return row


def _claims_missing(verdict: CellVerdict, scenario: Scenario | None) -> list[str]:
    if scenario is None:
        return []
    present = {c.claim for c in verdict.claims}
    return [c for c in scenario.claims if c not in present and not _was_skipped(c, verdict)]


def _was_skipped(name: str, verdict: CellVerdict) -> bool:
    """Whether the cell says that it left a claim or metric out for want of a capability."""
    return any(name in s.what.replace(",", " ").split() for s in verdict.skipped)


def sample_rows(facts: Sequence[Facts]) -> list[Row]:
    """The frame `samples`."""
    return [
        _identity(f) | {"sample": name, "value": float(count)}
        for f in facts
        if f.state == "judged" and f.verdict
        for name, count in f.verdict.samples.items()
    ]


def metric_rows(facts: Sequence[Facts], scenarios: Mapping[str, Scenario]) -> list[Row]:
    """The frame `metrics`: what a scenario declares and a cell does not have is not finite."""
    rows = []
    for f in facts:
        if f.state != "judged" or f.verdict is None:
            continue
        scenario = scenarios.get(f.scenario)
        declared = (
            [m for m in scenario.metrics if not _was_skipped(m, f.verdict)] if scenario else []
        )
        for name in dict.fromkeys((*declared, *f.verdict.metrics)):
            value = f.verdict.metrics.get(name)
            shown = "no value" if value is None else f"the value {value}"
            rows.append(_identity(f) | {"metric": name, "finite": finite(value), "shown": shown})
    return rows


def finite(value: Any) -> bool:
    """Whether a value is a number that can be compared."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def manifest_rows(run: Run, manifests: Sequence[Manifest]) -> list[Row]:
    """The frame `manifests`. `since_start_s` is 0 where a time is not recorded."""
    last: dict[tuple[str, str], int] = {}
    for m in manifests:
        last[m.step, m.cell] = max(m.attempt, last.get((m.step, m.cell), 0))
    return [
        {
            "scenario": _scenario_of(run, m.cell),
            "cell": m.cell,
            "step": m.step,
            "attempt": m.attempt,
            "which": "latest" if m.attempt == last[m.step, m.cell] else "earlier",
            "outcome": str(m.outcome),
            "seconds": float(m.seconds),
            "since_start_s": _seconds_between(run.started_at, m.started_at),
            "reason": m.reason or "no reason given",
        }
        for m in manifests
    ]


def _scenario_of(run: Run, cell_id: str) -> str:
    cells = (c for group in run.cells.values() for c in group)
    return next((c.scenario for c in cells if c.id == cell_id), "")


def _seconds_between(earlier: str, later: str) -> float:
    """Seconds; NaN, which no rule accepts, when a time cannot be read."""
    if not earlier or not later:
        return 0.0
    try:
        first, second = datetime.fromisoformat(earlier), datetime.fromisoformat(later)
    except ValueError:
        return math.nan
    return (_utc(second) - _utc(first)).total_seconds()


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def claim_rows(facts: Sequence[Facts]) -> list[Row]:
    """The frame `claims`.

    A cell that says itself why it is unknown is one finding already: its unknown claims are left
    out, its failed ones stay.
    """
    return [
        _identity(f)
        | {
            "claim": c.claim,
            "outcome": str(c.outcome),
            "count": int(c.count),
            "summary": c.summary,
        }
        for f in facts
        if f.verdict and f.step
        for c in f.verdict.claims
        if not (f.state == "unknown" and c.outcome is Outcome.UNKNOWN)
    ]


def _identity(facts: Facts) -> Row:
    return {"scenario": facts.scenario, "cell": facts.id, "step": facts.step}
