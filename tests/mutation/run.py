"""Remove each condition of each checker, one at a time: some golden history must notice.

    python -m tests.mutation [--only PATTERN] [--workers N] [--results FILE] [--excused]

Every relation and every query of a claim in the registry is mutated (operators.py), and the
functions of the modules that judge. A mutant that no history kills is a condition that no test
asks for: write the section that needs it, the nearest look-alike, or say in excused.txt why no
history can tell; one that has a reason is asked of every history only with `--excused`. Exit code 1
where one survives without a reason, or a reason is no longer needed.
"""

from __future__ import annotations

import argparse
import inspect
import multiprocessing
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kafkalab.checkers import protocol
from kafkalab.checkers.registry import CHECKERS, RELATIONS

from .equivalent import EQUIVALENT
from .found import digest
from .operators import Mutant, python_mutants, sql_mutants
from .rests import dependents, looking_at, rests_on
from .stage import Golden, NoMutantError, Stage, changed_code


class Result(NamedTuple):
    """What became of one mutant; `killer` is None where it survived."""

    owner: str
    name: str
    text: str
    killer: str | None


_stages: list[Stage] = []  # of this process
_excused: set[tuple[str, str]] = set()  # mutants that are not asked of any history


def main() -> int:
    """Run, report, and say whether all was killed or excused."""
    parser = argparse.ArgumentParser(
        prog="tests.mutation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", default="", help="owners whose name this pattern finds")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--results", type=Path, help="go on from what this file says, and add to it (found.py)"
    )
    parser.add_argument(
        "--excused", action="store_true", help="also ask whether each reason is still needed"
    )
    options = parser.parse_args()
    begin = time.monotonic()
    owners = [owner for owner in _owners() if re.search(options.only, owner)]
    results: list[Result] = []
    with multiprocessing.get_context("spawn").Pool(
        options.workers, _begin, (options.results, options.excused)
    ) as pool:
        for number, found in enumerate(pool.imap_unordered(mutate, owners), 1):
            results += found
            alive = [r for r in found if r.killer is None and (r.owner, r.name) not in EQUIVALENT]
            if found:
                _say(f"[{number}/{len(owners)}] {found[0].owner}: {len(found)} mutants")
            for result in alive:
                _say(f"SURVIVED {result.owner} | {result.name}\n    {result.text}")
    return _report(results, bool(options.only), time.monotonic() - begin)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _report(results: list[Result], partial: bool, seconds: float) -> int:
    survived = {(r.owner, r.name): r for r in results if r.killer is None}
    fresh = [key for key in survived if key not in EQUIVALENT]
    judged = {(r.owner, r.name) for r in results}
    stale = [key for key in EQUIVALENT if key not in survived and (key in judged or not partial)]
    for owner, name in stale:
        _say(f"\nNOT NEEDED in excused.txt: {owner} | {name}")
    _say(
        f"\n{len(results):,} mutants in {seconds:.0f} s: {len(results) - len(survived):,} killed, "
        f"{len(survived) - len(fresh):,} excused, {len(fresh):,} survived"
    )
    return 1 if fresh or stale else 0


def _owners() -> list[str]:
    modules = {checker.__module__ for checker in CHECKERS.values()} | {protocol.__name__}
    return [
        *(f"relation {name}" for name in RELATIONS),
        *(f"claim {name}" for name in CHECKERS),
        *(f"code {name}" for name in sorted(modules)),
    ]


def _begin(results: Path | None, excused_too: bool) -> None:
    _stages.append(Stage(results))
    if not excused_too:
        _excused.update(EQUIVALENT)


def mutate(owner: str) -> list[Result]:
    """All mutants of one owner."""
    kind, _, name = owner.partition(" ")
    return list(_RUNS[kind](_stages[0], owner, name))


def _relation(stage: Stage, owner: str, name: str) -> Iterator[Result]:
    near = looking_at(name, *dependents(name))
    for mutant in sql_mutants(RELATIONS[name].sql):
        yield from _ask(stage, owner, mutant, near, lambda g, m=mutant: g.kills_relation(name, m))


def _claim(stage: Stage, owner: str, claim: str) -> Iterator[Result]:
    for mutant in sql_mutants(*stage.queries(claim)):
        yield from _ask(stage, owner, mutant, [claim], lambda g, m=mutant: g.kills_query(claim, m))


def _code(stage: Stage, owner: str, name: str) -> Iterator[Result]:
    module = sys.modules[name]
    own = [claim for claim, checker in CHECKERS.items() if checker.__module__ == name]
    for mutant in python_mutants(inspect.getsource(module)):
        with changed_code(module, mutant.text):
            yield from _ask(
                stage, owner, mutant, own or list(CHECKERS),
                lambda g: g.kills_code(own or [g.section.claim]),
            )  # fmt: skip


def _ask(
    stage: Stage, owner: str, mutant: Mutant, near: Sequence[str], kills: Callable[[Golden], bool]
) -> Iterator[Result]:
    """What became of a mutant; nothing where it does not even compile."""
    rests = digest(mutant.text, rests_on(*owner.split(" ")))
    killer = stage.found.killer(owner, mutant.name, rests)
    if killer is None and (owner, mutant.name) not in _excused:
        asked = stage.asked(owner, mutant.name, rests, near)
        try:
            number = next((n for n, golden in asked if kills(golden)), None)
        except NoMutantError:
            return
        killer = None if number is None else stage.killed(owner, number)
        stage.found.add(owner, mutant.name, rests, killer)
    yield Result(owner, mutant.name, mutant.text, killer)


_RUNS = {"relation": _relation, "claim": _claim, "code": _code}
