"""The smallest part of a red history that is still red, for the same reason.

A red history of a night has millions of rows; the few that matter can be read, kept beside the
golden histories and judged again for ever. `shrink` leaves parts of it out as long as the finding
stays: places, clients, records, operations, then what is within operations (parts.py), each
by delta debugging (ddmin.py), again and again until nothing more can go.

*The same reason* is strict, because leaving out an observation can break a promise by itself (a
poll that was left out makes its records unread). A part of a history holds if

- the finding that was chosen (the claim's first) is found in it: the same rows, records, offsets
  and clients, with the same numbers, but for counts and durations, which shrink with the history;
- and whatever else any claim finds in it was found in the whole history as well.

So nothing is red in the result because of what was left out, and a claim that was green stays so.
All claims are judged together as they were on the whole history, with the same context: a finding
that another claim would take over stays where it was. To save time a part is first judged by the
claim and by those that ever said no; what is left by one kind of parts is confirmed by all of them,
and given back where one says no.

The result is 1-minimal where the bounds allowed: no place, client, record, operation or piece of it
can be left out. Another order might end with a smaller one. Deterministic: the same history and
claims give the same result, unless `go_on` ends it.

Not done: values, offsets and times are not made smaller; two findings are never merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from kafkalab.checkers.budget import Budget, out_of_budget
from kafkalab.checkers.protocol import HistoryView, unknown
from kafkalab.checkers.registry import CHECKERS, RELATIONS
from kafkalab.checkers.shrinking.ddmin import ddmin
from kafkalab.checkers.shrinking.parts import Labels, Mask, Parts, parts
from kafkalab.checkers.timeline.focus import focus, leaves
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome

JUDGEMENTS_MAX = 1_000
FINDINGS_MAX = 10_000  # of a claim, compared between the whole history and its parts

Finding = Mapping[str, Any]
Identity = frozenset[tuple[str, int | str]]


@dataclass(frozen=True)
class Shrunk:
    """What is left of a history."""

    table: pa.Table
    finding: Finding  # the one that was kept, with rows as the whole history counts them
    part_finding: Finding  # the same with rows of `table`
    judgements: int
    minimal: bool  # False: a bound ended it, and more could be left out


class NotRedError(ValueError):
    """The claim does not fail on the whole history: there is nothing to shrink."""


class _SpentError(Exception):
    """A bound was reached."""


class Case:
    """A finding of a history, and whether a part of the history still shows it.

    Args:
        table: a valid history.
        claim: the claim whose first finding is kept.
        claims: all that are judged together; `claim` is one of them.
        context: what they are judged with.
        budget: what one judgement may take; default: `Budget()`.

    Raises:
        NotRedError: the claim does not fail.
    """

    def __init__(
        self, table: pa.Table, claim: str, claims: Iterable[str], context: CheckContext,
        budget: Budget | None = None,
    ) -> None:  # fmt: skip
        self._claim, self._budget = claim, budget or Budget()
        self._claims = tuple(dict.fromkeys((claim, *claims)))
        self._doubters: list[str] = []  # claims that said no before: asked first
        self._context = replace(context, evidence_max=FINDINGS_MAX)
        self.parts: Parts = parts(table)
        whole = np.arange(table.num_rows, dtype=np.int64)
        with self._view(self.parts.table) as view:
            verdicts = {name: self._judge(view, name) for name in self._claims}
        found = verdicts[claim]
        if found.outcome is not Outcome.FAIL or not found.evidence:
            raise NotRedError(f"'{claim}' is {found.outcome} on the whole history: {found.summary}")
        self.finding: Finding = found.evidence[0]
        self._target = _identity(self.finding, whole)
        self._known = {
            name: frozenset(_identity(each, whole) for each in verdict.evidence)
            for name, verdict in verdicts.items()
        }
        self.judgements = 1

    def holds(self, kept: Mask) -> bool:
        """Whether the rows that are kept still show the finding, and nothing new in any claim."""
        return self._holds(kept, self._claims)

    def may_hold(self, kept: Mask) -> bool:
        """The same by the claims that ever said no: sooner answered, and a no is certain."""
        return self._holds(kept, (self._claim, *self._doubters))

    def _holds(self, kept: Mask, claims: Iterable[str]) -> bool:
        table, rows = self.parts.build(kept), np.flatnonzero(self.parts.mask(kept)[0])
        if not table.num_rows:
            return False
        self.judgements += 1
        with self._view(table) as view:
            for name in claims:
                verdict = self._judge(view, name)
                found = frozenset(_identity(each, rows) for each in verdict.evidence)
                lost = name == self._claim and self._target not in found
                if lost or not found <= self._known[name]:
                    if name not in (self._claim, *self._doubters):
                        self._doubters.append(name)
                    return False
        return True

    def _view(self, table: pa.Table) -> HistoryView:
        return HistoryView(table, self._context, self._claims, RELATIONS, budget=self._budget)

    def _judge(self, view: HistoryView, claim: str) -> ClaimVerdict:
        try:
            return CHECKERS[claim](view, self._context)
        except Exception as error:  # noqa: BLE001 - as in compose: a crash is no finding
            why = f"the checker crashed: {error}"
            return unknown(claim, self._budget.exceeded() if out_of_budget(error) else why)


def shrink(
    case: Case,
    judgements_max: int = JUDGEMENTS_MAX,
    go_on: Callable[[], bool] = lambda: True,
) -> Shrunk:
    """Leave out whatever can be left out.

    Args:
        case: the finding that must stay.
        judgements_max: parts of the history to judge at most.
        go_on: asked before each; False ends it with what it has by then.
    """
    state = _State(case, judgements_max, go_on)
    try:
        state.cut()
        while state.pass_over():
            pass
        minimal = True
    except _SpentError:
        minimal = False
    left, _ = case.parts.mask(state.sure)
    return Shrunk(
        table=case.parts.build(state.sure),
        finding=case.finding,
        part_finding=_renumbered(case.finding, np.cumsum(left) - 1),
        judgements=case.judgements,
        minimal=minimal,
    )


class _State:
    """The rows that are left so far."""

    def __init__(self, case: Case, judgements_max: int, go_on: Callable[[], bool]) -> None:
        self._case = case
        self._parts = case.parts
        self._judgements_max = judgements_max
        self._go_on = go_on
        self._refused: set[bytes] = set()
        self.kept: Mask = np.ones(case.parts.table.num_rows, bool)
        self.sure = self.kept  # the last of them that every claim confirmed

    def cut(self) -> None:
        """Keep what the finding names, if that is enough: most of a history goes in one step."""
        about = focus(self._case.finding)
        rows = np.array([row for row in about.rows if row < len(self.kept)], np.int64)
        seen = self._parts
        places = _named(seen, about.places)
        held = np.isin(seen.table["value"].to_numpy(zero_copy_only=False), list(about.values))
        held[rows] = True
        records = np.isin(seen.record, seen.record[held & (seen.record >= 0)])
        plain = seen.record < 0
        operations = np.isin(seen.operation, seen.operation[held])
        clients = np.isin(seen.client, seen.client[records | operations])
        here = (seen.place < 0) | np.isin(seen.place, places)
        for candidate in (
            (records | operations | plain) & clients & here,
            (records | operations | plain) & here,
            clients & here,
            here,
        ):
            if self._try(candidate):
                if self._case.holds(self.kept):
                    self.sure = self.kept
                    return
                self.kept = self.sure

    def pass_over(self) -> bool:
        """Go over every kind of part once; whether anything could be left out."""
        before = int(self.kept.sum())
        labels = self._parts
        self._over(labels.place)
        self._over(labels.client)
        self._over(labels.record)
        self._over(np.where(labels.setup, -1, labels.operation))
        self._over(labels.piece)
        return int(self.kept.sum()) < before

    def _over(self, labels: Labels) -> None:
        """Leave out parts of one kind; what the claim itself allows, the others then confirm."""
        while True:
            self._minimize(labels)
            if bool((self.kept == self.sure).all()):
                return
            if self._case.holds(self.kept):
                self.sure = self.kept
                return
            self.kept = self.sure  # some claim is red that was not: it is asked from now on

    def _minimize(self, labels: Labels) -> None:
        base = self.kept
        live = labels[base & (labels >= 0)]
        _, first = np.unique(live, return_index=True)
        ordered = live[np.sort(first)]  # in order of appearance: neighbours belong together

        def holds(elements: Sequence[int]) -> bool:
            return self._try(base & ((labels < 0) | np.isin(labels, elements)))

        ddmin([int(label) for label in ordered], holds)

    def _try(self, kept: Mask) -> bool:
        if bool((kept == self.kept).all()):
            return True
        key = np.packbits(kept).tobytes()
        if key in self._refused:
            return False
        if self._case.judgements >= self._judgements_max or not self._go_on():
            raise _SpentError
        if self._case.may_hold(kept):
            self.kept = kept
            return True
        self._refused.add(key)
        return False


def _named(seen: Parts, places: Iterable[tuple[str, int]]) -> Labels:
    """Labels of places that have these names."""
    wanted = {f"{topic}/{part}" for topic, part in places}
    live = np.flatnonzero(seen.place >= 0)
    labels, first = np.unique(seen.place[live], return_index=True)
    rows = seen.table.take(pa.array(live[first]))
    names = zip(rows["topic"].to_pylist(), rows["partition"].to_pylist(), strict=True)
    return np.array(
        [label for label, (t, p) in zip(labels, names, strict=True) if f"{t}/{p}" in wanted],
        np.int64,
    )


def _identity(finding: Finding, rows: Labels) -> Identity:
    """What makes a finding the same one in a part of its history; rows as the whole counts them."""
    found: set[tuple[str, int | str]] = set()
    for key, leaf in leaves(finding):
        if key.startswith("row") and isinstance(leaf, int):
            found.add((key, int(rows[leaf]) if 0 <= leaf < len(rows) else -1))
        elif key in finding and finding[key] == leaf and not _grows(key):
            found.add((key, leaf))
    return frozenset(found)


def _renumbered(node: Any, places: Labels, key: str = "") -> Any:
    """A finding whose rows are counted as the part of the history counts them."""
    if isinstance(node, Mapping):
        return {name: _renumbered(child, places, name) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return [_renumbered(child, places, key) for child in node]
    if key.startswith("row") and isinstance(node, int) and 0 <= node < len(places):
        return int(places[node])
    return node


def _grows(key: str) -> bool:
    """A count or a duration: it shrinks with the history, and the finding is the same."""
    return (
        key in ("skipped", "delivered", "available", "expected")
        or key.startswith("records")
        or key.endswith(("_ms", "_ns", "_count"))
    )
