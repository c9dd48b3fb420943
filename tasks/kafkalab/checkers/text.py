"""A history in the language of the golden histories: one operation a line, for a person to check.

A history that was shrunk can be kept as a test: this writes it as a section of
`tests/histories/CLAIM.txt`, and `tests/unit/checkers/conftest.py` reads it and explains the
language. The writer stands here because the command line needs it; the reader stands with the
tests because only they need it. A test reads back what this writes.

What the language cannot say is left out: times below a millisecond, error names of records, what
the payload of a damaged record still showed, the bootstrap address. A golden that says too little
for its claim is not red, and its own test tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa

from kafkalab.model.history import CheckContext

MS = 1_000_000
Row = Mapping[str, Any]

_MOVES = ("assign", "seek", "pause", "resume")
_NOTES = {"fault": ("fault", "phase"), "sample": ("cpu_ms", "clients"), "thread_dump": ("text",)}
_PLACED = ("assigned", "revoked", "lost")


def to_text(
    table: pa.Table,
    name: str,
    outcome: str,
    context: CheckContext,
    claims: Sequence[str] = (),
) -> str:
    """The history as a section of a golden file.

    Args:
        table: a valid, small history.
        name: the section's name.
        outcome: what its claim should be found to be.
        context: what it is judged with; fields that are not the default are written down.
        claims: those that are judged together; empty: all.
    """
    rows = table.sort_by("index").to_pylist()
    settings = [*_settings(context), *([f"claims={_compact(list(claims))}"] if claims else [])]
    heads = [f"== {name}", outcome, *([" ".join(settings)] if settings else [])]
    clock = _Clock(rows[0]["time_ns"] if rows else 0)
    lines: list[str] = []
    steps = _steps(rows)
    for at, step in enumerate(steps):
        end = steps[at + 1] if at + 1 < len(steps) and _ends(step, steps[at + 1]) else None
        if at and _ends(steps[at - 1], step):
            continue
        lines += clock.until(step[0]["time_ns"])
        later = end is None and any(_ends(step, other) for other in steps[at + 1 :])
        lines.append(_line(step, _closing(steps, at), end, clock, later=later))
    lines += clock.until(context.finished_ns + MS)
    return "\n".join([" | ".join(heads), *lines]) + "\n"


class _Clock:
    """The reader's clock: every line takes a millisecond, and so does every end."""

    def __init__(self, first_ns: int) -> None:
        self._behind_ns = first_ns - MS
        self._now_ns = 0

    def until(self, time_ns: int) -> list[str]:
        """The line that lets time pass up to just before `time_ns`, and the step of the next."""
        left = (time_ns - self._behind_ns - self._now_ns) // MS - 1
        self._now_ns += MS * (max(0, left) + 1)
        return [f"+{left}ms"] if left > 0 else []

    def ends(self, time_ns: int) -> str:
        """The word for an end at `time_ns`."""
        left = max(1, (time_ns - self._behind_ns - self._now_ns) // MS)
        self._now_ns += MS * left
        return f"+{left}ms " if left > 1 else ""


def _steps(rows: Sequence[Row]) -> list[list[Row]]:
    """Invocations, ends and events in order: each the rows of one of them."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        moment = row["time_ns"] if row["op_id"] < 0 else None
        key = (row["process"], row["op"], row["op_id"], row["type"] == "invoke", moment)
        found.setdefault(key, []).append(row)
    return sorted(found.values(), key=lambda step: step[0]["index"])


def _ends(step: Sequence[Row], other: Sequence[Row]) -> bool:
    one, two = step[0], other[0]
    same = all(one[key] == two[key] for key in ("process", "op", "op_id"))
    return bool(one["op_id"] >= 0 and same and one["type"] == "invoke" != two["type"])


def _closing(steps: Sequence[Sequence[Row]], at: int) -> Sequence[Row]:
    return next((other for other in steps[at + 1 :] if _ends(steps[at], other)), ())


def _line(
    step: Sequence[Row],
    closing: Sequence[Row],
    end: Sequence[Row] | None,
    clock: _Clock,
    *,
    later: bool,
) -> str:
    first = step[0]
    client, op = first["process"], first["op"]
    if first["type"] == "event":
        return " ".join([client, op, *_event(step)])
    if first["type"] != "invoke":
        return f"{client} ends {op}"
    told = " ".join([client, op, *_words(step, closing)])
    answer = _answer(step, closing)
    if not closing:
        clock.ends(0)
        return f"{told} -> never"
    if later:
        return f"{told} -> later {_outcome(closing)}{answer}"
    took = clock.ends(end[0]["time_ns"]) if end else ""
    outcome = _outcome(closing)
    plain = outcome == "ok" or op == "send"
    return told if plain and not took and not answer else f"{told} -> {took}{outcome}{answer}"


def _outcome(closing: Sequence[Row]) -> str:
    if closing[0]["op"] == "send":
        return "ok"  # each record has its own
    return str(closing[0]["type"])


def _answer(step: Sequence[Row], closing: Sequence[Row]) -> str:
    """What came back, where it is not what was asked for."""
    op = step[0]["op"]
    if op == "txn" and closing and closing[0]["error"]:
        return f" {closing[0]['error']}"
    if op not in ("commit", *_MOVES) or not closing or closing[0]["type"] != "ok":
        return ""
    given, asked = _offsets(closing, "="), _offsets(step, "=")
    return "" if given == asked else "".join(f" {word}" for word in given)


def _words(step: Sequence[Row], closing: Sequence[Row]) -> list[str]:
    op, detail = step[0]["op"], _json(step[0]["detail"])
    match op:
        case "open":
            config = (detail.get("config") or {}).items()
            pairs = [_pair(key, value) for key, value in config if value is not None]
            words = [detail.get("role") or "client", *pairs]
        case "subscribe":
            words = list(detail.get("topics") or ())
        case "send":
            words = _sent(step, closing)
        case "poll":
            words = _given(closing)
        case "txn":
            named = [str(detail[key]) for key in ("action", "group_of") if detail.get(key)]
            words = named + _offsets(step, "=")
        case "offset_commits":
            words = [str(detail.get("group")), *_stored(closing)]
        case "committed" | "group_offsets":
            words = ([detail["group"]] if detail.get("group") else []) + _offsets(closing, "=")
        case _:
            mode = ["async"] if op == "commit" and detail.get("mode") == "async" else []
            words = mode + _offsets(step, "@" if op in _MOVES else "=")
    return words


def _stored(closing: Sequence[Row]) -> list[str]:
    words = _offsets(closing, "=")
    ago = [row["time_ns"] - _json(row["detail"])["at_ns"] for row in closing if row["topic"]]
    return [f"{word}@{ns // MS}" for word, ns in zip(words, ago, strict=True)]


def _event(step: Sequence[Row]) -> list[str]:
    op, detail = step[0]["op"], _json(step[0]["detail"])
    if op in _PLACED:
        generation = step[0]["generation"]
        number = [] if generation is None else [f"gen={generation}"]
        return [_place(row) for row in step if row["topic"] is not None] + number
    return [str(detail[key]) for key in _NOTES.get(op, ()) if key in detail]


def _sent(step: Sequence[Row], closing: Sequence[Row]) -> list[str]:
    done = {row["value"]: row for row in closing}
    words: list[str] = []
    for row in step:
        place, end = _place(row), done.get(row["value"])
        if place != _last_place(words):
            words.append(place)
        if end is None or end["type"] != "ok":
            landed = end["type"] if end else "info"
        else:
            offset = -1 if end["offset"] is None else end["offset"]
            moved = end["partition"] not in (None, row["partition"])
            landed = f"{end['partition']}:{offset}" if moved else str(offset)
        words.append(f"{row['value']}@{landed}{_content(row)}")
    return words


def _given(closing: Sequence[Row]) -> list[str]:
    words: list[str] = []
    for row in closing:
        if row["topic"] is None:
            continue
        place = _place(row)
        if place != _last_place(words):
            words.append(place)
        problem = f"!{row['problem']}" if row["problem"] else ""
        elsewhere = not problem and row["intended"] not in (None, place)
        intended = f"<{row['intended']}" if elsewhere else ""
        value = row["value"] or 0
        words.append(f"{value}@{row['offset']}{problem}{intended}{_content(row)}")
    return words


def _last_place(words: Sequence[str]) -> str | None:
    return next((word for word in reversed(words) if "@" not in word), None)


def _place(row: Row) -> str:
    return f"{row['topic']}/{'-' if row['partition'] is None else row['partition']}"


def _offsets(rows: Sequence[Row], mark: str) -> list[str]:
    return [_offset(row, mark) for row in rows if row["topic"] is not None]


def _offset(row: Row, mark: str) -> str:
    return _place(row) + ("" if row["offset"] is None else f"{mark}{row['offset']}")


def _pair(key: str, value: Any) -> str:
    return f"{key}={value if isinstance(value, str) else _compact(value)}"


def _content(row: Row) -> str:
    content = _json(row["detail"]).get("content")
    return f"~{_compact(content)}" if content else ""


def _compact(value: Any) -> str:
    """JSON without the characters that mean something in a line."""
    text = json.dumps(value, separators=(",", ":"))
    for char in (" ", "#", ">"):
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _settings(context: CheckContext) -> list[str]:
    left = ("finished_ns", "evidence_max")
    return [
        f"{field.name}={_compact(getattr(context, field.name))}"
        for field in fields(context)
        if field.name not in left and getattr(context, field.name) != field.default
    ]


def _json(detail: str | None) -> Mapping[str, Any]:
    found = json.loads(detail) if detail else {}
    return found if isinstance(found, dict) else {}
