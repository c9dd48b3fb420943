"""Proposes envelopes from a run, and checks what is about to be accepted; pure.

A proposal holds a bound for each gated metric that a lane measured in this run: the measured
value is the baseline, the default thresholds of model/metric.py give the side on which it may get
worse. The other side stays open: getting better needs no permission.

Not every cell may speak for a lane. A planted defect, a broken claim, too little evidence, or a
noisy host would make a baseline that hides the next regression, so such cells are left out; their
earlier bounds, where the lane has some, are carried over unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from kafkalab.gate.envelopes import is_gated, lane_of, usable, worsened
from kafkalab.gate.frames import finite
from kafkalab.model.errors import UsageError
from kafkalab.model.gate import GateResult
from kafkalab.model.metric import METRICS
from kafkalab.model.run import Bound, Envelope, Lane, Run
from kafkalab.model.verdict import CellVerdict, Outcome


def propose(
    run: Run, cells: Sequence[CellVerdict], lane: Lane, previous: Envelope | None
) -> Envelope | None:
    """The envelope that this run would make of a lane; None when it measured nothing for it.

    Args:
        run: the run; its prefix becomes the source of the bounds.
        cells: verdicts that may speak for the lane, noisy ones already left out.
        lane: the lane.
        previous: the lane's accepted envelope, if any.
    """
    values: dict[tuple[str, str], list[float]] = {}
    for cell in cells:
        if _may_speak(run, cell, lane):
            for name, value in cell.metrics.items():
                if is_gated(name) and finite(value) and value > 0:
                    values.setdefault((cell.scenario, name), []).append(float(value))
    if not values:
        return None
    new = {key: _bound(*key, found) for key, found in values.items()}
    old = {(b.scenario, b.metric): b for b in previous.bounds} if previous else {}
    carried = set(old) - set(new)
    sources = (*(previous.runs if previous and carried else ()), run.prefix)
    return Envelope(
        lane=lane,
        number=previous.number + 1 if previous else 1,
        bounds=tuple(bound for _, bound in sorted({**old, **new}.items())),
        runs=tuple(dict.fromkeys(sources)),
        accepted_by="",
        why="",
        accepted_at="",
    )


def _may_speak(run: Run, cell: CellVerdict, lane: Lane) -> bool:
    planned = [c for group in run.cells.values() for c in group if c.id == cell.cell]
    subjects = (*cell.clients, *(client for c in planned for client in c.clients))
    if any(subject.startswith("defect:") for subject in subjects):
        return False
    return cell.outcome is Outcome.PASS and lane_of(run, cell) == lane


def _bound(scenario: str, name: str, values: Sequence[float]) -> Bound:
    metric = METRICS[name]
    ratio = metric.fail_ratio
    if ratio is None:
        raise ValueError(f"{name} is not gated")
    # two patch releases of one line in one run: the worse one is the baseline, so both fall in
    value = min(values) if metric.higher_is_better else max(values)
    limit = worsened(metric, value, ratio)
    lower, upper = (limit, None) if metric.higher_is_better else (None, limit)
    return Bound(name, scenario, value, lower, upper)


def accept(
    proposal: Envelope, current: Envelope | None, accepted_by: str, why: str, accepted_at: str
) -> Envelope:
    """The envelope to store, once a proposal has passed the checks of `check_acceptance`."""
    accepted = replace(
        proposal, accepted_by=accepted_by.strip(), why=why.strip(), accepted_at=accepted_at
    )
    check_acceptance(accepted, current)
    return accepted


def check_run(result: GateResult) -> None:
    """Raise a `UsageError` unless this run may become a baseline.

    A run that is red only because metrics are outside their envelope may: that is how a wanted
    change gets in, and whoever accepts it says why. A broken claim or missing evidence is never a
    baseline, whichever cell it was in: the run as a whole was not what it should be.
    """
    red = [f for f in result.failures if f.kind != "envelope"]
    if not red and (result.outcome is Outcome.PASS or result.failures):
        return
    first = f": {red[0].scenario} {red[0].name}: {red[0].summary}" if red else f": {result.summary}"
    raise UsageError(
        f"run {result.run_id}: expected a run that passed, or whose only failures are metrics "
        f"outside their envelope; found {result.outcome}{first}. Accept a run without them."
    )


def check_acceptance(envelope: Envelope, current: Envelope | None) -> None:
    """Raise a `UsageError` unless this envelope may replace the lane's current one."""
    _check_signature(envelope)
    if current is not None and current.lane != envelope.lane:
        raise UsageError(
            f"envelope: expected one for lane {current.lane}, found one for {envelope.lane}."
        )
    expected = current.number + 1 if current else 1
    if envelope.number != expected:
        raise UsageError(
            f"envelope of {envelope.lane}: expected number {expected}, found {envelope.number}; "
            "the lane has moved on since it was proposed: run the gate again."
        )
    if not envelope.runs:
        raise UsageError(
            f"envelope of {envelope.lane}: expected the runs that it came from, found none."
        )
    _check_bounds(envelope)


def _check_signature(envelope: Envelope) -> None:
    for key, what in (("accepted_by", "who accepts it"), ("why", "the reason")):
        if not getattr(envelope, key).strip():
            raise UsageError(f"{key}: expected {what}, found nothing; a baseline needs both.")
    try:
        datetime.fromisoformat(envelope.accepted_at)
    except ValueError as error:
        raise UsageError(
            f"accepted_at: expected an ISO 8601 time, found '{envelope.accepted_at}'."
        ) from error


def _check_bounds(envelope: Envelope) -> None:
    if not envelope.bounds:
        raise UsageError(f"envelope of {envelope.lane}: expected at least one bound, found none.")
    seen: set[tuple[str, str]] = set()
    for bound in envelope.bounds:
        where = f"envelope of {envelope.lane}: {bound.scenario} {bound.metric}"
        if not usable(bound):
            raise UsageError(
                f"{where}: expected a known metric with a finite bound on the side where it gets "
                f"worse, found baseline {bound.baseline}, {bound.lower} to {bound.upper}."
            )
        if (bound.scenario, bound.metric) in seen:
            raise UsageError(f"{where}: expected one bound, found two.")
        seen.add((bound.scenario, bound.metric))
