"""Who owned a place when, and what was committed there: one line each, for a timeline.

A client owns a partition from `assigned` (or its own `assign`) until `revoked`, `lost`, the next
`assign` without it, `close`, `kill`, or its next `open`. A client that gives partitions up without
saying so (`silent-close`) is shown as owner until it closes: that is what the history knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kafkalab.checkers.timeline.focus import Focus, Place
from kafkalab.checkers.timeline.rows import Fields

PLACES_MAX = 3
STRETCHES_MAX = 6
READINGS_MAX = 6


def owners(
    acts: Sequence[Fields], about: Focus, anchors: Sequence[int], first_ns: int
) -> Iterable[str]:
    """A line a place: its owners, from when to when, nearest to the finding."""
    for place in about.places[:PLACES_MAX]:
        stretches = _stretches(acts, place)
        if stretches:
            shown = _nearest(stretches, anchors, STRETCHES_MAX)
            words = [_stretch(begin, end, first_ns) for begin, end in shown]
            dots = "… · " if len(shown) < len(stretches) else ""
            yield f"{place[0]}/{place[1]} owned by {dots}{' · '.join(words)}"


def commits(
    acts: Sequence[Fields], about: Focus, anchors: Sequence[int], first_ns: int
) -> Iterable[str]:
    """A line a place: offsets that were committed or read there, nearest to the finding."""
    for place in about.places[:PLACES_MAX]:
        found = [
            (row, row)
            for row in acts
            if row["op"] in ("commit", "committed", "group_offsets") and row["type"] == "ok"
            and _at(row, place)
        ]  # fmt: skip
        if found:
            shown = _nearest(found, anchors, READINGS_MAX)
            dots = "… · " if len(shown) < len(found) else ""
            words = [_reading(row, first_ns) for row, _ in shown]
            yield f"{place[0]}/{place[1]} committed {dots}{' · '.join(words)}"


def _stretches(acts: Sequence[Fields], place: Place) -> list[tuple[Fields, Fields | None]]:
    found: list[tuple[Fields, Fields | None]] = []
    owned: dict[str, Fields] = {}
    for row in acts:
        client = row["process"]
        if _begins(row) and _at(row, place):
            owned.setdefault(client, row)
        elif client in owned and _ends(row, place):
            found.append((owned.pop(client), row))
    return sorted([*found, *((row, None) for row in owned.values())], key=lambda s: s[0]["index"])


def _begins(row: Fields) -> bool:
    return bool(row["op"] == "assigned" or (row["op"] == "assign" and row["type"] == "ok"))


def _ends(row: Fields, place: Place) -> bool:
    if row["op"] in ("revoked", "lost"):
        return _at(row, place)
    ends = row["op"] in ("close", "open", "unsubscribe") and row["type"] == "invoke"
    return bool(ends or row["op"] == "kill")


def _at(row: Fields, place: Place) -> bool:
    return (row["topic"], row["partition"]) == place


def _nearest(
    spans: Sequence[tuple[Fields, Fields | None]], anchors: Sequence[int], most: int
) -> list[tuple[Fields, Fields | None]]:
    def distance(span: tuple[Fields, Fields | None]) -> int:
        begin, end = span[0]["index"], span[1]["index"] if span[1] else max(anchors)
        return min(max(int(begin) - a, a - int(end), 0) for a in anchors)

    near = sorted(range(len(spans)), key=lambda i: (distance(spans[i]), i))[:most]
    return [spans[i] for i in sorted(near)]


def _stretch(begin: Fields, end: Fields | None, first_ns: int) -> str:
    number = "" if begin["generation"] is None else f" (generation {begin['generation']})"
    until = f"–{_ms(end, first_ns)} ms ({end['op']})" if end else " ms to the end"
    return f"{begin['process']}{number} {_ms(begin, first_ns)}{until}"


def _reading(row: Fields, first_ns: int) -> str:
    verb = "by" if row["op"] == "commit" else "read by"
    return f"{row['offset']} {verb} {row['process']} at {_ms(row, first_ns)} ms"


def _ms(row: Fields, first_ns: int) -> str:
    return f"{(row['time_ns'] - first_ns) / 1e6:.1f}"
