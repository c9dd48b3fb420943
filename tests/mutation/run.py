"""Remove each condition of each checker, one at a time: some golden history must notice.

    python -m tests.mutation [--only PATTERN] [--workers N]

Every relation and every query of a claim in the registry is mutated (operators.py), and the
functions of the modules that judge. A mutant that no history kills is a condition that no test
asks for: write the section that needs it, the nearest look-alike, or say in equivalent.py why no
history can tell. Exit code 1 where one survives without a reason, or a reason is no longer needed.
"""

from __future__ import annotations

import argparse
import inspect
import multiprocessing
import re
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kafkalab.checkers import protocol
from kafkalab.checkers.registry import CHECKERS, RELATIONS

from .equivalent import EQUIVALENT
from .operators import python_mutants, sql_mutants
from .stage import NoMutantError, Stage, changed_code, dependents, looking_at


class Result(NamedTuple):
    """What became of one mutant; `killer` is None where it survived."""

    owner: str
    name: str
    text: str
    killer: str | None


_stages: list[Stage] = []  # of this process


def main() -> int:
    """Run, report, and say whether all was killed or excused."""
    parser = argparse.ArgumentParser(
        prog="tests.mutation", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", default="", help="owners whose name this pattern finds")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    begin = time.monotonic()
    owners = [owner for owner in _owners() if re.search(options.only, owner)]
    results: list[Result] = []
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
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
        _say(f"\nNOT NEEDED in equivalent.py: {owner} | {name}")
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


def mutate(owner: str) -> list[Result]:
    """All mutants of one owner."""
    if not _stages:
        _stages.append(Stage())
    kind, _, name = owner.partition(" ")
    return list(_RUNS[kind](_stages[0], owner, name))


def _relation(stage: Stage, owner: str, name: str) -> Iterator[Result]:
    near = looking_at(name, *dependents(name))
    for mutant in sql_mutants(RELATIONS[name].sql):
        killer = _first(
            (n, lambda g=golden, m=mutant: g.kills_relation(name, m.text))
            for n, golden in stage.asked(owner, near)
        )
        yield from _result(stage, owner, mutant, killer)


def _claim(stage: Stage, owner: str, claim: str) -> Iterator[Result]:
    for mutant in sql_mutants(*stage.queries(claim)):
        killer = _first(
            (n, lambda g=golden, m=mutant: g.kills_query(claim, m.of, m.text))
            for n, golden in stage.asked(owner, [claim])
        )
        yield from _result(stage, owner, mutant, killer)


def _code(stage: Stage, owner: str, name: str) -> Iterator[Result]:
    module = sys.modules[name]
    own = [claim for claim, checker in CHECKERS.items() if checker.__module__ == name]
    for mutant in python_mutants(inspect.getsource(module)):
        with changed_code(module, mutant.text):
            killer = _first(
                (n, lambda g=golden: g.kills_code(own or [g.section.claim]))
                for n, golden in stage.asked(owner, own or list(CHECKERS))
            )
        yield from _result(stage, owner, mutant, killer)


def _first(asked: Iterable) -> int | None:
    """The first history that notices; -1 where the mutant does not compile."""
    try:
        return next((number for number, kills in asked if kills()), None)
    except NoMutantError:
        return -1


def _result(stage: Stage, owner: str, mutant, killer: int | None) -> Iterator[Result]:
    if killer == -1:
        return
    name = None if killer is None else stage.killed(owner, killer)
    yield Result(owner, mutant.name, mutant.text, name)


_RUNS = {"relation": _relation, "claim": _claim, "code": _code}
