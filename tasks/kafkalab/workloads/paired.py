"""Candidate and baseline build on one cluster in one run: the frame of P02, P03 and P04.

What is driven: pairs of trials. In each pair both builds run the same loop, each in a fresh
process: in short turns, so that a disturbance of the host falls on both (throughput, where two at
once would share what is measured), or at the same time (latency at a rate that the host holds
easily). Who begins alternates. The unit of repetition is the process
(docs/decisions/0004-paired-benchmark.md). What is claimed: `regression`
when the ratio of the candidate to the baseline is beyond the metric's bound with confidence; it
passes when it is within with confidence. Pairs are added until one of the two, or until
`pairs_max`: then it is undecided, and so unknown. Not checked: absolute values; the lane's
envelope looks at those, across runs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafkalab.clients.driver import Driver
from kafkalab.measure import paired
from kafkalab.model.metric import METRICS
from kafkalab.model.verdict import ClaimVerdict, Outcome
from kafkalab.workloads import loops, roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import Driven, Lab
from kafkalab.workloads.sampler import cpu_seconds

_OUTCOMES = {
    "confirmed regression": Outcome.FAIL,
    "within bounds": Outcome.PASS,
    "undecided": Outcome.UNKNOWN,
}


@dataclass(frozen=True)
class Trial:
    """What one fresh process did; `values` are by metric name."""

    values: Mapping[str, float]
    records: int
    cpu_s: float
    corrupt: int
    latency_us: str | None = None
    claims: tuple[ClaimVerdict, ...] = ()


@dataclass
class Trials:
    """All trials of both builds, pair by pair."""

    baseline: str
    ours: list[Trial] = field(default_factory=list)
    theirs: list[Trial] = field(default_factory=list)

    def compare(self, metric: str, looks_max: int) -> paired.Comparison:
        """Compare one metric over all pairs so far."""
        return paired.compare(
            [trial.values[metric] for trial in self.ours],
            [trial.values[metric] for trial in self.theirs],
            bound=METRICS[metric].fail_ratio or 0.0,
            higher_is_better=METRICS[metric].higher_is_better,
            looks_max=looks_max,
        )


RunPair = Callable[[Sequence[tuple[str, str]]], list[Trial]]
"""Runs one pair, (subject, a name that is unique in the cell) each, and gives its trials in the
same order."""


def together(lab: Lab, trial: Callable[[str, str], Trial]) -> RunPair:
    """Both builds at the same time."""

    def run_pair(order: Sequence[tuple[str, str]]) -> list[Trial]:
        with lab.threads(len(order)) as pool:
            return [future.result() for future in [pool.submit(trial, *who) for who in order]]

    return run_pair


class Racer(Protocol):
    """One build's fresh process in a pair."""

    def turn(self) -> loops.Totals:
        """Do a part of the trial while the other build waits."""

    def end(self, turns: Sequence[loops.Totals]) -> Trial:
        """End the process; what its turns add up to."""


def one_by_one(begin: Callable[[str, str], Racer]) -> RunPair:
    """Both builds one after the other, the second process begins when the first has ended.

    For readers: with both processes up, the first of two equal builds read 25 % faster (18 of 24
    pairs; why was not found).
    """

    def run_pair(order: Sequence[tuple[str, str]]) -> list[Trial]:
        done = []
        for who in order:
            racer = begin(*who)
            done.append(racer.end([racer.turn()]))
        return done

    return run_pair


def in_turns(begin: Callable[[str, str], Racer], turns: int) -> RunPair:
    """Both builds one after the other, a part at a time: A B B A, A B B A, ...

    Equal builds, produce in 2 s each: sd of the log ratio 17 % in one piece, 8 % in 4 turns.
    """

    def run_pair(order: Sequence[tuple[str, str]]) -> list[Trial]:
        racers = [begin(subject, name) for subject, name in order]
        done: list[list[loops.Totals]] = [[] for _ in racers]
        for number in range(turns):
            for i in range(len(racers)) if number % 2 == 0 else reversed(range(len(racers))):
                done[i].append(racers[i].turn())
        return [racer.end(parts) for racer, parts in zip(racers, done, strict=True)]

    return run_pair


def rate(turns: Sequence[loops.Totals]) -> float:
    """Records per second over all turns of one process."""
    return sum(turn.records for turn in turns) / sum(turn.seconds for turn in turns)


def run(
    lab: Lab, load: Any, run_pair: RunPair, metrics: Sequence[str]
) -> tuple[Trials, ClaimVerdict]:
    """Run pairs until the first of `metrics` is decided; the others only fail when confirmed."""
    trials = Trials(lab.baseline)
    _warm_up(lab, run_pair)
    looks = load.pairs_max - load.pairs_min + 1
    for number in range(1, load.pairs_max + 1):
        lab.check_time()
        lab.mark(f"pair {number}")
        _pair(lab, trials, run_pair, number)
        pair = trials.ours[-1].values[metrics[0]], trials.theirs[-1].values[metrics[0]]
        lab.progress(f"pair {number}: {metrics[0]} {pair[0]:,.1f}, baseline {pair[1]:,.1f}")
        if number < load.pairs_min:
            continue
        if trials.compare(metrics[0], looks).decision != "undecided":
            break
    compared = {name: trials.compare(name, looks) for name in metrics}
    return trials, _verdict(compared, trials)


def _pair(lab: Lab, trials: Trials, run_pair: RunPair, number: int) -> None:
    order = [
        (trials.ours, lab.subjects[0], f"candidate-{number}"),
        (trials.theirs, lab.baseline, f"baseline-{number}"),
    ]
    if number % 2 == 0:
        order.reverse()
    done = run_pair([(subject, name) for _, subject, name in order])
    for (into, _, _), trial in zip(order, done, strict=True):
        into.append(trial)


def _warm_up(lab: Lab, run_pair: RunPair) -> None:
    """A pair that is not counted.

    The first seconds of load compile the brokers' hot paths: the first pair on a cold cluster was
    seen 30 % apart between equal builds, later ones 5 %.
    """
    lab.mark("warm-up, not counted")
    run_pair([(lab.baseline, "baseline-warm-up"), (lab.subjects[0], "candidate-warm-up")])


def _verdict(compared: Mapping[str, paired.Comparison], trials: Trials) -> ClaimVerdict:
    first = next(iter(compared))
    worse = [name for name, c in compared.items() if c.decision == "confirmed regression"]
    decisive = worse[0] if worse else first
    comparison = compared[decisive]
    outcome = _OUTCOMES[comparison.decision]
    summary = (
        f"{comparison.decision}: {decisive} is {comparison.effect:+.1%} of {trials.baseline}, "
        f"95 % confidence {comparison.low:+.1%} to {comparison.high:+.1%}, "
        f"{len(trials.ours)} pairs"
    )
    evidence = tuple(
        {
            "metric": name,
            "decision": c.decision,
            "candidate": [trial.values[name] for trial in trials.ours],
            "baseline": [trial.values[name] for trial in trials.theirs],
            "effect": c.effect,
            "low": c.low,
            "high": c.high,
        }
        for name, c in compared.items()
    )
    return ClaimVerdict("regression", outcome, len(worse), summary, evidence)


def ended(
    lab: Lab, driver: Driver, client: Client, done: Sequence[loops.Totals], **values: float
) -> Trial:
    """Close a trial's client, end its process, and keep what it did."""
    cpu_s = cpu_seconds(lab, driver)
    client.close(roles.CLOSE_S)
    lab.host.stop(driver)
    records, corrupt = sum(d.records for d in done), sum(d.corrupt for d in done)
    return Trial(values, records, cpu_s, corrupt, done[-1].latency_us)


def driven(trials: Trials, metrics: Mapping[str, float], *claims: ClaimVerdict) -> Driven:
    """What the candidate's trials leave: medians, CPU, and what was damaged on the way."""
    ours = trials.ours
    records = sum(trial.records for trial in ours)
    corrupt = sum(trial.corrupt for trial in ours)
    medians = {name: statistics.median(t.values[name] for t in ours) for name in ours[0].values}
    cpu = sum(trial.cpu_s for trial in ours) / max(1, records) * 100_000
    outcome = Outcome.FAIL if corrupt else Outcome.PASS
    damaged = ClaimVerdict("corrupt-value", outcome, corrupt, f"{corrupt} of {records:,} records")
    found = {claim.claim: claim for claim in (damaged, *claims)}
    return Driven(
        roles.context(),
        {**medians, "cpu_s_per_100k_records": cpu, **metrics},
        {"records": records, "trials": len(ours)},
        tuple(found.values()),
    )
