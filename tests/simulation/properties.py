"""The properties, on as many cases as wanted.

    python -m tests.simulation.properties --cases 100000

1. A healthy history is never red, and every claim that it can decide passes.
2. A planted anomaly makes its claim red, and no other one.
3. Both stay so when concurrent operations are written down in another order, and whether a screen
   tells partitions in order apart first (as in large histories) or not.
4. The live form gives the verdicts of the batch form, wherever the history is cut (live.py).

Cases are judged some hundreds at a time (batch.py), every batch in one of three WAYS. What is wrong
is printed as text, with what was planted and what the case came to when it was judged alone; the
exit code is 1. A batch follows from its number alone: `--seed` is that of the first, so that a run
can be split, and one that was cut short goes on where the last line of progress says.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np

from kafkalab.model.verdict import Outcome

from . import batch, live, text
from .cases import KINDS, Case
from .facts import Facts
from .frame import Frame
from .plants import LINGERING, of_kind, planted, sound
from .reorder import reordered

SIZE = 500  # cases of a batch: fewer cost more planning, more cost memory
ENOUGH = 100  # cases in which everything that is decidable must have happened
# how a batch is judged: whether in another order, and whether a screen looks first
WAYS = ((False, True), (True, True), (True, False))
GROWS = 4  # every so many batches are judged by the live form as well
LONG = 3  # every so many cases have groups that stay, or a scene, at their end
TRANSACTIONS = frozenset(
    {
        "precommitted-read", "torn-transaction", "zombie-write", "control-batch-leak", "G0",
        "G0-process", "G0-realtime", "G1c", "G1c-process",
    }
)  # fmt: skip
# what a batch of a kind offers nothing to judge for: a bound on fairness; and, where nothing was
# planted, samples and faults
NOWHERE = frozenset({"starved-partition", "deadlock", "unrecovered"})
UNDECIDED: Mapping[str, frozenset[str]] = {
    "strict": NOWHERE | TRANSACTIONS | {"paused-lost"},
    "txn": NOWHERE | {"zombie-write", "paused-lost"},
    "loose": NOWHERE | TRANSACTIONS | {"paused-lost"},
}


@dataclass(frozen=True)
class Probe:
    """One history that is judged, and what it must come to."""

    case: Case
    plant: str | None  # the claim that must be red
    frame: Frame

    @property
    def red(self) -> frozenset[str]:
        return frozenset([self.plant] if self.plant else [])


@dataclass
class Result:
    """What some batches came to."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Result) -> None:
        self.counts += other.counts
        self.wrong += other.wrong


def healthy(kind: str, first: int, size: int) -> list[Probe]:
    """Healthy cases, some of them with a legal look-alike after them."""
    probes = []
    for n in range(size):
        case = Case(first + n, kind)
        frame = batch.frame(case, n)
        if case.seed % LONG == 0:
            frame = sound(Facts(frame), kind, case.seed)
        probes.append(Probe(case, None, frame))
    return probes


def broken(
    kind: str, first: int, size: int, claims: tuple[str, ...] = (), each: int = 0
) -> tuple[list[Probe], Counter[str]]:
    """Cases with a plant each; and how often a claim found no place.

    A case is made for whichever of the claims was planted least and has a place in it; there are
    more than `size` where a claim would be planted less often than `each` else.
    """
    claims = claims or of_kind(kind)
    probes: list[Probe] = []
    nowhere: Counter[str] = Counter()
    done = Counter(dict.fromkeys(claims, 0))
    for seed in range(first, first + 100 * size):
        if len(probes) >= size and min(done.values()) >= each:
            break
        case = Case(seed, kind, lingers=seed % LONG == 0)
        facts = Facts(batch.frame(case, len(probes)))
        for claim in sorted(claims, key=lambda claim: done[claim]):
            full = len(probes) >= size and done[claim] >= each
            if full or (claim in LINGERING and not case.lingers):
                continue
            frame = planted(facts, claim, seed)
            if frame is not None:
                probes.append(Probe(case, claim, frame))
                done[claim] += 1
                break
            nowhere[claim] += 1
    return probes, nowhere


def check(
    probes: list[Probe], kind: str, *, order: int | None = None, screened: bool = False
) -> list[str]:
    """What is wrong with how these came out; `order` is the seed of another order."""
    frames = [probe.frame for probe in probes]
    if order is not None:
        random = np.random.default_rng(order)
        frames = [reordered(frame, random) for frame in frames]
    judged = batch.judged(frames, kind, screened=screened)
    wrong = [
        told(
            probe,
            frames[n],
            judged.red.get(n, frozenset()),
            f"place {n}, order {order}, {screened=}",
        )
        for n, probe in enumerate(probes)
        if judged.red.get(n, frozenset()) != probe.red
    ]
    planted_too = any(probe.plant for probe in probes)
    for verdict in judged.verdicts:
        fine = verdict.outcome is Outcome.PASS or verdict.claim in UNDECIDED[kind]
        fine |= len(probes) < ENOUGH and verdict.outcome is Outcome.UNKNOWN
        if not fine and (verdict.outcome is Outcome.UNKNOWN or (not planted_too and not wrong)):
            wrong.append(f"{verdict.claim} is {verdict.outcome} in a batch: {verdict}")
    return wrong


def told(probe: Probe, frame: Frame, found: frozenset[str], where: str) -> str:
    """A case that came out wrong, for a person."""
    alone = batch.judged([frame], probe.case.kind)
    evidence = [f"  {v.claim}: {row}" for v in alone.verdicts for row in v.evidence[:3]]
    head = (
        f"{probe.case}: planted {probe.plant}, found {sorted(found)};"
        f" alone {sorted({c for claims in alone.red.values() for c in claims})}"
        f" ({where})"
    )
    return "\n".join([head, *text.lines(frame), *evidence])


def run_batch(number: int, size: int = SIZE) -> Result:
    """Batch `number`: kinds in turn, healthy and broken ones in turn."""
    kind, result = KINDS[number % len(KINDS)], Result()
    first = number * size * 10
    another, screened = WAYS[number // (2 * len(KINDS)) % len(WAYS)]
    if number // len(KINDS) % 2:
        probes, nowhere = broken(kind, first, size, of_kind(kind, screened=screened))
        result.counts.update({f"no place for {claim}": n for claim, n in nowhere.items()})
    else:
        probes = healthy(kind, first, size)
    result.counts.update(f"{kind}, {probe.plant or 'healthy'}" for probe in probes)
    result.counts["rows"] += sum(len(probe.frame) for probe in probes)
    result.counts["in another order"] += len(probes) * another
    result.counts["without a screen"] += len(probes) * (not screened)
    result.wrong = check(probes, kind, order=number if another else None, screened=screened)
    if number // (2 * len(KINDS)) % GROWS == 0:
        result.counts["while they grow"] += len(probes)
        apart = live.of_frames([probe.frame for probe in probes], kind, number)
        result.wrong += [f"batch {number}, {kind}: {one}" for one in apart]
    return result


def results(cases: int, seed: int, jobs: int) -> Iterator[Result]:
    """Batches until there were enough cases."""
    numbers = range(seed, seed + -(-cases // SIZE))
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(run_batch, numbers)


def main() -> int:
    """Run them; 0 when all came out as they must."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first batch")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    total, done = Result(), 0
    for result in results(options.cases, options.seed, options.jobs):
        total.add(result)
        done += SIZE
        for one in result.wrong:
            sys.stdout.write(f"{one}\n\n")
        if done % (10 * SIZE) == 0:
            after = options.seed + done // SIZE
            sys.stderr.write(f"{done:,} cases, {len(total.wrong)} wrong; next is --seed {after}\n")
    for name, count in sorted(total.counts.items()):
        sys.stdout.write(f"{count:>12,}  {name}\n")
    sys.stdout.write(f"{done:,} cases from seed {options.seed}: {len(total.wrong)} wrong\n")
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
