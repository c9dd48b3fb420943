"""Many cases in one history, judged at once, and each finding traced to its case.

A judgement of a small history is mostly the planning of its queries, so cases share one. Their
names begin with `kN.` and their values lie in a range of their own, N being the case's place
in the batch; a finding shows the names, or at least the values, of what it is about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome

from .cases import Case
from .frame import Frame, concat

SPAN = 100_000  # values, and ids of the admin's commands, of one case
_NAME = re.compile(r"\bk(\d+)\.")
EVERYTHING = 10**6


@dataclass(frozen=True)
class Judged:
    """What a batch came to."""

    verdicts: tuple[ClaimVerdict, ...]
    red: Mapping[int, frozenset[str]]  # place of a case in the batch → its red claims

    def outcome(self, claim: str) -> Outcome:
        return next(v.outcome for v in self.verdicts if v.claim == claim)


def frame(case: Case, place: int) -> Frame:
    """The history of a case as one of a batch."""
    return case.frame(f"k{place}.", place * SPAN)


def context(table: pa.Table, kind: str) -> CheckContext:
    """What histories of a kind are judged with."""
    last = table.column("time_ns").to_numpy().max()
    return CheckContext(
        finished_ns=int(last) + 1_000_000, redelivery_allowed=kind == "loose",
        evidence_max=EVERYTHING,
    )  # fmt: skip


def judged(frames: Sequence[Frame], kind: str, *, screened: bool = False) -> Judged:
    """Judge frames as one history; each was made for its place in the sequence.

    Args:
        frames: what to judge.
        kind: of their cases.
        screened: whether partitions in order are told apart first, as in large histories.
    """
    table = concat(frames).table()
    worth_rows = 0 if screened else len(table) + 1
    verdicts = judge(table, CHECKERS, context(table, kind), worth_rows=worth_rows)
    red: dict[int, set[str]] = {}
    for verdict in verdicts:
        for found in verdict.evidence if verdict.outcome is Outcome.FAIL else ():
            for place in _places(found):
                red.setdefault(place, set()).add(verdict.claim)
    return Judged(verdicts, {place: frozenset(claims) for place, claims in red.items()})


def _places(found: Mapping[str, object]) -> set[int]:
    text = json.dumps(found, default=str)
    named = {int(number) for number in _NAME.findall(text)}
    value = found.get("value")
    return named or ({(int(str(value)) - 1) // SPAN} if value else set())
