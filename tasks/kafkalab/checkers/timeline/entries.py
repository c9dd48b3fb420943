"""The lines of a timeline: operations, or their two ends where something lies between.

What is marked (it holds a row that proves the finding) comes first where there is not room for all;
then what lies nearest to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafkalab.checkers.timeline.focus import Focus
from kafkalab.checkers.timeline.rows import Fields
from kafkalab.checkers.timeline.words import ended, operation

LINES_MAX = 32


@dataclass(frozen=True)
class Entry:
    """One line: an operation, or one end of it."""

    first: int  # index of its first row
    last: int
    at_ms: float  # since the history began
    client: str
    text: str
    names: tuple[str, ...]  # keys of the finding that name its rows
    marked: bool  # it is what the finding is about
    left_out: int = 0  # rows between the line before and this one


def entries(
    rows: Sequence[Fields], about: Focus, anchors: Sequence[int], first_ns: int
) -> tuple[Entry, ...]:
    """Lines from rows: whole operations, in order of index."""
    halves = _halves(rows)
    merged: list[list[Fields]] = []
    for half in halves:
        if merged and _same(merged[-1][-1], half[0]):
            merged[-1] = [*merged[-1], *half]
        else:
            merged.append(half)
    found: list[Entry] = []
    for part in _bounded(merged, set(anchors)):
        first, last = part[0]["index"], part[-1]["index"]
        names = dict.fromkeys(name for row in part for name in about.rows.get(row["index"], ()))
        found.append(
            Entry(
                first=first,
                last=last,
                at_ms=(part[0]["time_ns"] - first_ns) / 1e6,
                client=part[0]["process"],
                text=_text(part, about),
                names=tuple(names),
                marked=any(row["index"] in set(anchors) for row in part),
                left_out=max(0, first - found[-1].last - 1) if found else 0,
            )
        )
    return tuple(found)


def _halves(rows: Sequence[Fields]) -> list[list[Fields]]:
    """Invocations, ends and events, each as its rows, in order of their first row."""
    found: dict[tuple[Any, ...], list[Fields]] = defaultdict(list)
    for row in rows:
        own = row["time_ns"] if row["op_id"] < 0 else row["op_id"]
        found[row["process"], row["op"], own, row["type"] == "invoke"].append(row)
    return sorted(found.values(), key=lambda half: half[0]["index"])


def _same(before: Fields, after: Fields) -> bool:
    """Whether two rows are an operation's invocation and its end."""
    keys = ("process", "op", "op_id")
    return bool(
        before["op_id"] >= 0
        and before["type"] == "invoke" != after["type"]
        and all(before[key] == after[key] for key in keys)
    )


def _bounded(parts: list[list[Fields]], anchors: set[int]) -> list[list[Fields]]:
    """At most LINES_MAX of them: what is marked first, then the nearest to that."""
    marked = [any(row["index"] in anchors for row in part) for part in parts]
    spots = [i for i, yes in enumerate(marked) if yes] or [0]
    order = sorted(range(len(parts)), key=lambda i: (not marked[i], min(abs(i - s) for s in spots)))
    return [parts[i] for i in sorted(order[:LINES_MAX])]


def _text(part: Sequence[Fields], about: Focus) -> str:
    kinds = {row["type"] for row in part}
    words = operation(part, about)
    if kinds == {"event"}:
        return words
    if kinds == {"invoke"}:
        return f"{words} …"
    if "invoke" not in kinds:
        return f"… {words}  {ended(part)}"
    took = (part[-1]["time_ns"] - part[0]["time_ns"]) / 1e6
    return f"{words}  {ended(part)} after {took:.1f} ms"
