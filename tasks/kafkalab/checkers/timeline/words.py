"""One operation of a history in one line of words, records in a row drawn together.

Records are `value@offset`, `1@0…42@41` where offsets follow each other, so that a record that is
missing shows as a break. What the finding is about stands in brackets. `!` names a problem, `<` the
place that the payload says it was sent to, `~` marks a record that is not plain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kafkalab.checkers.timeline.focus import Focus, Place

Fields = Mapping[str, Any]  # one row of a history: column → value

LEGEND = (
    "ms since the history began; rows of the history; value@offset, … offsets in a row; "
    "[..] what the finding is about; > what proves it"
)
PIECES_MAX = 12
WORDS_MAX = 100
RUN_MIN = 4


class Piece(NamedTuple):
    """One record, or several in a row."""

    text: str
    records: int
    marked: bool


def operation(rows: Sequence[Fields], focus: Focus) -> str:
    """An operation, or one end of it: `rows` are of one op, in order of index."""
    op = rows[0]["op"]
    ends = [row for row in rows if row["type"] != "invoke"]
    if op == "send":
        return f"send {_sent(rows, focus)}"
    if op == "poll":
        return f"poll {_given(ends, focus)}" if ends else "poll"
    if op == "open":
        return f"open {_opened(rows[0])}".rstrip()
    if op == "error":  # of the client itself, of no operation
        return _cut(f"error {rows[0]['error'] or ''}".rstrip())
    if op == "sample":
        return f"sample {_pairs(_json(rows[0]['detail']))}"
    places = _places(ends or rows)
    return " ".join(filter(None, (op, _detail(rows), places)))


def ended(rows: Sequence[Fields]) -> str:
    """How the rows say that an operation ended: ok, or the outcome and its error."""
    found = dict.fromkeys(row["type"] for row in rows if row["type"] not in ("invoke", "event"))
    single = rows[0]["op"] != "send"  # a send names the error of each record
    errors = dict.fromkeys(row["error"] for row in rows if row["error"] and single)
    return " ".join(("/".join(found), *errors)).strip()


def _opened(row: Fields) -> str:
    detail = _json(row["detail"])
    config = detail.get("config") or {}
    words = [str(detail.get("role") or "")]
    words += [_pairs({key: value for key, value in config.items() if key != "bootstrap"})]
    return _cut(" ".join(filter(None, words)))


def _pairs(given: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={_plain(value)}" for key, value in given.items())


def _detail(rows: Sequence[Fields]) -> str:
    detail = _json(rows[0]["detail"])
    words = [
        " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for value in detail.values()
        if value and not isinstance(value, dict)
    ]
    generation = next((r["generation"] for r in rows if r["generation"] is not None), None)
    words += [] if generation is None else [f"generation {generation}"]
    return _cut(" ".join(words))


def _places(rows: Iterable[Fields]) -> str:
    words = []
    for row in rows:
        if row["topic"] is not None:
            offset = "" if row["offset"] is None else f"={row['offset']}"
            words.append(f"{place(row)}{offset}")
    return _cut(" ".join(dict.fromkeys(words)))


def place(row: Fields) -> str:
    """`topic/partition`, with - where the client was to choose."""
    return f"{row['topic']}/{'-' if row['partition'] is None else row['partition']}"


def _sent(rows: Sequence[Fields], focus: Focus) -> str:
    """What was asked for where nothing came back, else what came back."""
    done = {row["value"]: row for row in rows if row["type"] != "invoke"}
    asked = [row for row in rows if row["type"] == "invoke"]
    shown = [done.get(row["value"], row) for row in asked] or list(done.values())
    return _by_place(shown, focus)


def _given(ends: Sequence[Fields], focus: Focus) -> str:
    return _by_place([row for row in ends if row["topic"] is not None], focus) or "nothing"


def _by_place(rows: Sequence[Fields], focus: Focus) -> str:
    groups: dict[str, list[Fields]] = {}
    for row in rows:
        groups.setdefault(place(row), []).append(row)
    near = {f"{topic}/{part}" for topic, part in focus.places}
    shown = [
        name for name in groups if name in near or any(_marked(r, focus) for r in groups[name])
    ]
    shown = shown or list(groups)[:3]
    words = [f"{name} {_records(groups[name], focus)}" for name in shown]
    rest = [name for name in groups if name not in shown]
    count = sum(len(groups[name]) for name in rest)
    return "  ".join([*words, *([f"(+ {count:,} in {len(rest)} other places)"] if rest else [])])


def _records(rows: Sequence[Fields], focus: Focus) -> str:
    pieces = list(_pieces(rows, focus))
    if len(pieces) > PIECES_MAX:
        pieces = list(_thinned(pieces))
    return " ".join(piece.text for piece in pieces)


def _pieces(rows: Sequence[Fields], focus: Focus) -> Iterable[Piece]:
    run: list[Fields] = []
    for row in rows:
        marked = _marked(row, focus)
        loner = marked or _note(row) or row["offset"] is None
        if run and (loner or row["offset"] != run[-1]["offset"] + 1):
            yield from _run(run)
            run = []
        if loner:
            yield Piece(f"[{_record(row)}]" if marked else _record(row), 1, marked)
        else:
            run.append(row)
    yield from _run(run)


def _run(rows: Sequence[Fields]) -> Iterable[Piece]:
    if len(rows) < RUN_MIN:
        return (Piece(_record(row), 1, False) for row in rows)
    return (Piece(f"{_record(rows[0])}…{_record(rows[-1])}", len(rows), False),)


def _thinned(pieces: Sequence[Piece]) -> Iterable[Piece]:
    """The pieces at both ends and around what is marked, and how many records lie between."""
    kept = {0, 1, len(pieces) - 2, len(pieces) - 1}
    for at in [i for i, piece in enumerate(pieces) if piece.marked][:3]:
        kept.update(range(max(0, at - 1), min(len(pieces), at + 2)))
    left = 0
    for at, piece in enumerate(pieces):
        if at not in kept:
            left += piece.records
            continue
        if left:
            yield Piece(f"({left:,} more)", left, False)
            left = 0
        yield piece


def _record(row: Fields) -> str:
    value = "?" if row["value"] is None else str(row["value"])
    where = "" if row["offset"] is None else f"@{row['offset']}"
    return f"{value}{where}{_note(row)}"


def _note(row: Fields) -> str:
    """What is odd about a record, or the empty string."""
    if row["op"] == "send":
        failed = row["type"] in ("info", "fail")
        return f" {row['type']} {row['error'] or ''}".rstrip() if failed else _content(row)
    problem = f"!{row['problem']}" if row["problem"] else ""
    elsewhere = row["intended"] is not None and row["intended"] != place(row)
    return f"{problem}{'<' + row['intended'] if elsewhere else ''}{_content(row)}"


def _content(row: Fields) -> str:
    return "~" if row["detail"] else ""


def _any_marked(rows: Iterable[Fields], focus: Focus) -> bool:
    return any(_marked(row, focus) for row in rows)


def _marked(row: Fields, focus: Focus) -> bool:
    if row["index"] in focus.rows or row["value"] in focus.values:
        return True
    where: Place = (row["topic"], row["partition"])
    return row["offset"] in focus.offsets and where in focus.places


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cut(text: str) -> str:
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX - 1]}…"


def _json(detail: str | None) -> Mapping[str, Any]:
    found = json.loads(detail) if detail else {}
    return found if isinstance(found, dict) else {}
