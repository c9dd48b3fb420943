"""What happened around a finding, as a person can follow it.

A finding proves that a promise was broken and names rows of a history; whoever has to mend it needs
what came before and between. A timeline shows the operations that hold what the finding names, then
those nearest to them on the same places and by the same clients; who owned each place when, and
what was committed there. It is bounded: LINES_MAX lines, the rest is counted.

An operation is one line where nothing that is shown lies between its invocation and its end, else
two: whether a poll was in flight when a commit was made is often the whole point. Its rows are
indexes of the history, so that the rest can be looked up.

Which rows are fetched stands in rows.py, how an operation reads in words.py, how
a finding is read in focus.py.

Not shown: operations of other places and clients, even when they caused it (a slow broker, a
neighbour that took the memory): the report's plots and the logs have those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from kafkalab.checkers.timeline.entries import LINES_MAX, Entry, entries
from kafkalab.checkers.timeline.focus import Focus, focus
from kafkalab.checkers.timeline.lanes import commits, owners
from kafkalab.checkers.timeline.rows import Fields, Operation, Rows
from kafkalab.checkers.timeline.words import LEGEND
from kafkalab.model.verdict import ClaimVerdict, Outcome

TIMELINES_MAX = 3  # of a claim, in a verdict: what else is red is seldom another story
ACTS_KEPT = 10
GAP_ROWS_MIN = 10  # a gap that is worth a line of its own
LINE_CHARS_MAX = 180


_Asked = tuple[str, Mapping[str, Any]]  # claim, finding
_Which = tuple[Operation, int]  # an operation and −1, or an event's key and its index


@dataclass(frozen=True)
class _Draft:
    """What is known of a timeline before its operations were read in whole."""

    claim: str
    about: Focus
    clients: tuple[str, ...]
    anchors: tuple[int, ...]
    acts: tuple[Fields, ...]
    chosen: tuple[_Which, ...]


@dataclass(frozen=True)
class Timeline:
    """One finding, told."""

    title: str
    lanes: tuple[str, ...]  # what else was found, who owned what, and what was committed
    entries: tuple[Entry, ...]

    def lines(self) -> tuple[str, ...]:
        """As text, one string a line, at most LINE_CHARS_MAX characters each."""
        rows = [_span(entry) for entry in self.entries]
        wide = max(map(len, rows), default=0)
        far = max((len(f"{entry.at_ms:.1f}") for entry in self.entries), default=0)
        name = max((len(entry.client) for entry in self.entries), default=0)
        found = [self.title, *(f"  {lane}" for lane in self.lanes)]
        for entry, span in zip(self.entries, rows, strict=True):
            if entry.left_out >= GAP_ROWS_MIN:
                found.append(f"  … {entry.left_out:,} rows")
            named = f"  ← {', '.join(entry.names)}" if entry.names else ""
            found.append(
                f"{'>' if entry.marked else ' '} {entry.at_ms:>{far}.1f} ms  {span:<{wide}}"
                f"  {entry.client:<{name}}  {entry.text}{named}".rstrip()
            )
        return tuple(_cut(line) for line in (*found, f"  ({LEGEND})"))


def explain(
    table: pa.Table, verdicts: Iterable[ClaimVerdict], most: int = TIMELINES_MAX
) -> tuple[ClaimVerdict, ...]:
    """The verdicts, each failed one with the timelines of its first findings.

    Args:
        table: the history that they were judged on; a valid one, else nothing failed on it.
        verdicts: of `compose.judge`.
        most: timelines a claim.
    """
    given = tuple(verdicts)
    if not any(verdict.outcome is Outcome.FAIL for verdict in given):
        return given
    asked = [
        (verdict.claim, finding)
        for verdict in given
        if verdict.outcome is Outcome.FAIL
        for finding in verdict.evidence[:most]
    ]
    told = iter(_told(table, asked))
    return tuple(
        replace(verdict, timelines=tuple(next(told) for _ in verdict.evidence[:most]))
        if verdict.outcome is Outcome.FAIL
        else verdict
        for verdict in given
    )


def timeline(table: pa.Table, claim: str, finding: Mapping[str, Any]) -> Timeline:
    """The timeline of one finding."""
    return next(iter(_timelines(table, [(claim, finding)])))


def _told(table: pa.Table, asked: Sequence[_Asked]) -> list[tuple[str, ...]]:
    try:
        return [each.lines() for each in _timelines(table, asked)]
    except Exception as error:  # noqa: BLE001 - the verdict stands; only its picture is missing
        why = f"no timeline ({type(error).__name__}: {error}): a defect of the lab, please report"
        return [(f"{claim}: {why}",) for claim, _ in asked]


def _timelines(table: pa.Table, asked: Sequence[_Asked]) -> list[Timeline]:
    subjects = [focus(finding) for _, finding in asked]
    with Rows(table, subjects) as rows:
        drafts = [
            _draft(rows, claim, about) for (claim, _), about in zip(asked, subjects, strict=True)
        ]
        chosen = [which for draft in drafts for which in draft.chosen]
        whole = rows.whole({key for key, _ in chosen if key[2] >= 0}, {i for _, i in chosen} - {-1})
        return [_finished(draft, whole, rows.first_ns) for draft in drafts]


def _draft(rows: Rows, claim: str, about: Focus) -> _Draft:
    clients = rows.clients(about)
    anchors = rows.anchors(about, clients)
    if not anchors:
        return _Draft(claim, about, clients, (), (), ())
    acts = rows.acts(about, clients, anchors)
    chosen = _chosen(rows.near(about, clients, anchors), acts, anchors, clients)
    return _Draft(claim, about, clients, anchors, tuple(acts), tuple(chosen))


def _finished(draft: _Draft, whole: Sequence[Fields], first_ns: int) -> Timeline:
    about, anchors = draft.about, draft.anchors
    if not anchors:
        return Timeline(f"{draft.claim}: the finding names nothing that the history holds", (), ())
    wanted = set(draft.chosen)
    rows = [row for row in whole if _which(row) in wanted]
    lanes = (
        *_found(about, draft.clients),
        *owners(draft.acts, about, anchors, first_ns),
        *commits(draft.acts, about, anchors, first_ns),
    )
    title = _title(draft.claim, about, draft.clients)
    return Timeline(title, lanes, entries(rows, about, anchors, first_ns))


def _title(claim: str, about: Focus, clients: Sequence[str]) -> str:
    places = ", ".join(f"{topic}/{part}" for topic, part in about.places)
    parts = [
        places,
        f"offset {_listed(about.offsets)}" if about.offsets else "",
        f"value {_listed(about.values)}" if about.values else "",
        f"client {', '.join(clients)}" if clients else "",
    ]
    return f"{claim}: {' · '.join(filter(None, parts))}"


def _found(about: Focus, clients: Sequence[str]) -> Iterable[str]:
    facts = [f"{key} {text}" for key, text in about.facts if text not in clients]
    return (f"found: {' · '.join(facts)}",) if facts else ()


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _chosen(
    near: Sequence[Fields], acts: Sequence[Fields], anchors: Sequence[int], clients: Sequence[str]
) -> list[_Which]:
    """Operations and events to show: the nearest of each rank."""
    ranked: dict[_Which, tuple[int, int, int]] = {}
    lives = _lives(acts, anchors, clients)
    near_acts = sorted(acts, key=lambda row: row["distance"])[:ACTS_KEPT]
    ranks = [(row, 0 if not row["distance"] else 1 if row["holds"] else 3) for row in near]
    ranks += [(row, 2) for row in (*lives, *near_acts)]
    for row, rank in ranks:
        which = _which(row)
        place = (rank, row["distance"], row["index"])
        ranked[which] = min(ranked.get(which, place), place)
    return sorted(ranked, key=lambda which: ranked[which])[:LINES_MAX]


def _which(row: Fields) -> _Which:
    key = (row["process"], row["op"], row["op_id"])
    return key, row["index"] if row["op_id"] < 0 else -1


def _lives(acts: Sequence[Fields], anchors: Sequence[int], clients: Sequence[str]) -> list[Fields]:
    """The last `open` of each client before the finding: it says how the client was configured."""
    opened = {
        row["process"]: row
        for row in acts
        if row["op"] == "open" and row["type"] == "invoke" and row["index"] <= max(anchors)
    }
    return [row for process, row in opened.items() if process in clients][:4]


def _span(entry: Entry) -> str:
    return str(entry.first) if entry.first == entry.last else f"{entry.first}–{entry.last}"


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARS_MAX else f"{line[: LINE_CHARS_MAX - 1]}…"
