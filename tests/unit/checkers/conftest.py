"""Reads the golden histories: small texts that a person can check by hand.

One line is one operation, `CLIENT OP ...`, or `+2s` / `+300ms`: time passes. An operation takes
1 ms and ends as ok, unless the line ends with `-> [+TIME] OUTCOME ...`; the outcome `never` leaves
it open, `later [OUTCOME ...]` until a line `CLIENT ends OP`. A last word in capitals is the error.
Partitions are `topic/partition`.

    p0 open producer acks=1            c0 assigned t/0 t/1 gen=3  (also revoked, lost)
    p0 send t/0 1@0 2@1 3@info 4@fail  c0 assign t/0@5 t/1  (also seek, pause, resume)
    p0 send t/- 5@1:7 t/0 6@2          the client chose: landed in partition 1 at offset 7
    c0 poll t/0 1@0 2@1!checksum       value@offset, with a problem; 0 where none could be read
    c0 poll t/0 3@2<t/1                its payload says that it was sent to t/1
    c0 poll t/0 3@2~null               it is not plain: see CONTENTS, or JSON; of a send likewise
    c0 commit t/0=3                    asked for and acknowledged; `c0 commit -> ok t/0=3`: what
                                       the client thinks, and what was acknowledged;
                                       `c0 commit async t/0=3`: what mode says
    c0 committed t/0=3                 admin group_offsets g t/0=3
    admin offset_commits g t/0=3@20    the offsets topic holds it, for 20 ms by then
    c0 close    c0 kill    c0 subscribe t
    p0 txn begin                       also init, commit, abort
    p0 txn send_offsets c0 t/0=3       the offsets of c0's group, as part of the transaction
    lab fault F injected   lab fault F healed
    c0 sample 1500 3       its process has used 1,500 ms of CPU, and hosts 3 clients (else: 1)
    c0 thread_dump TEXT

A file holds sections, `== NAME | OUTCOME [| context fields]`; lines before the first are shared.
`fail 2`: that many are found.
A field `claims=["stall"]` says that no other claim is judged beside these, `also=["lost-write"]`
that these claims are red as well: several things went wrong. No other may be red.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kafkalab.model.history import CheckContext, Row
from kafkalab.model.verdict import ClaimVerdict, Outcome
from kafkalab.workloads.expansion import _content as recorder_content

MS = 1_000_000
CONTENTS = {
    "plain": {"key": None, "value": "payload", "headers": []},
    "null": {"key": "payload", "value": None},
    "empty": {"key": "payload", "value": ""},
    "nokey": {"key": ""},
    "key": {"key": "k"},
    "header": {"headers": [["a", "1"]]},
    "header2": {"headers": [["a", "2"]]},
    "marker": {"key": "\0\0\0\1", "value": "\0\0\0\0\0\0"},
}
HISTORIES = Path(__file__).parents[2] / "histories"
NOTES = {"fault": ("fault", "phase"), "sample": ("cpu_ms", "clients"), "thread_dump": ("text",)}


@dataclass(frozen=True)
class Section:
    claim: str
    name: str
    outcome: str
    rows: tuple[Row, ...]
    context: CheckContext
    claims: tuple[str, ...] = ()  # those that are judged together; empty: all
    count: int | None = None  # how many are found, where the section says so
    also: tuple[str, ...] = ()  # other claims that fail, each of them; all others do not

    def allows(self, other: ClaimVerdict) -> bool:
        """Whether another claim than its own ended as it may."""
        red = other.outcome == Outcome.FAIL
        return red == (other.claim in self.also) and "crash" not in other.summary


class Writer:
    """Turns lines into rows."""

    def __init__(self) -> None:
        self.now = 1_000 * MS
        self.rows: list[Row] = []
        self._ids: Counter[str] = Counter()  # each client counts its own
        self._later: dict[tuple[str, str], tuple[int, str, list[dict[str, Any]]]] = {}

    def line(self, text: str) -> None:
        text = text.split("#", maxsplit=1)[0].strip()
        if not text:
            return
        if text[0] == "+":
            self.now += _duration(text)
            return
        self.now += MS
        told, _, end = text.partition("->")
        client, op, *words = told.split()
        if op in ("assigned", "revoked", "lost"):
            gen = next((int(w[4:]) for w in words if w.startswith("gen=")), None)
            for topic, part in (_place(w) for w in words if not w.startswith("gen=")):
                self._row(client, "event", op, -1, topic=topic, partition=part, generation=gen)
        elif op == "kill":
            self._row(client, "event", op, -1, detail="{}")
        elif op in NOTES:
            detail = json.dumps(dict(zip(NOTES[op], map(_number, words), strict=op == "fault")))
            self._row(client, "event", op, -1, detail=detail)
        elif op == "ends":
            op_id, outcome, rows = self._later.pop((client, words[0]))
            for fields in rows or [{}]:
                self._row(client, fields.pop("type", outcome), words[0], op_id, **fields)
        else:
            self._ids[client] += 1
            getattr(self, f"_{op}", self._plain)(client, op, words, end.split())

    def _row(self, client: str, kind: str, op: str, op_id: int, **fields: Any) -> None:
        self.rows.append(Row(len(self.rows), self.now, client, kind, op, op_id, **fields))

    def _end(self, client: str, op: str, end: list[str], rows: list[dict[str, Any]]) -> None:
        if end and end[-1].isupper():
            error = end.pop()
            rows = [{**fields, "error": error} for fields in rows or [{}]]
        if end[:1] == ["later"]:
            self._later[client, op] = self._ids[client], (*end[1:], "ok")[0], rows
            return
        self.now += _duration(end.pop(0)) if end and end[0][0] == "+" else MS
        outcome = end[0] if end else "ok"
        if outcome == "never":
            return
        for fields in rows or [{}]:
            self._row(client, fields.pop("type", outcome), op, self._ids[client], **fields)

    def _plain(self, client: str, op: str, words: list[str], end: list[str]) -> None:
        detail = json.dumps({"topics": words}) if op == "subscribe" and words else None
        self._row(client, "invoke", op, self._ids[client], detail=detail)
        self._end(client, op, end, [])

    def _open(self, client: str, op: str, words: list[str], end: list[str]) -> None:
        config = dict(word.split("=") for word in words[1:])
        detail = json.dumps({"role": words[0], "config": {k: _value(config[k]) for k in config}})
        self._row(client, "invoke", op, self._ids[client], detail=detail)
        self._end(client, op, end, [])

    def _send(self, client: str, op: str, words: list[str], end: list[str]) -> None:
        topic, part = "", None
        done = []
        for word in words:
            if "@" not in word:
                topic, part = _place(word)
                continue
            sent, _, content = word.partition("~")
            value, landed = sent.split("@")
            self._row(
                client, "invoke", op, self._ids[client], topic=topic, partition=part,
                value=int(value), detail=_content(content),
            )  # fmt: skip
            fields: dict[str, Any] = {"topic": topic, "partition": part, "value": int(value)}
            if landed in ("info", "fail"):
                fields.update(type=landed, error="SOME_ERROR")
            else:
                place, _, offset = landed.rpartition(":")
                fields.update(offset=int(offset), partition=int(place) if place else part)
            done.append(fields)
        self._end(client, op, end, done)

    def _poll(self, client: str, op: str, words: list[str], end: list[str]) -> None:
        self._row(client, "invoke", op, self._ids[client])
        done: list[dict[str, Any]] = []
        topic, part = "", 0
        for word in words:
            if "@" not in word:
                topic, part = _place(word)
                continue
            given, _, content = word.partition("~")
            match = re.fullmatch(r"(\d+)@(\d+)(?:!([\w-]+))?(?:<(.+))?", given)
            assert match, word
            value, offset, problem, intended = match.groups()
            done.append(
                {
                    "topic": topic,
                    "partition": part,
                    "offset": int(offset),
                    "value": None if problem and value == "0" else int(value),
                    "problem": problem,
                    "intended": None if problem else intended or f"{topic}/{part}",
                    "detail": _content(content),
                }
            )
        self._end(client, op, end, done)

    def _offsets(self, client: str, op: str, words: list[str], end: list[str]) -> None:
        detail = json.dumps({"group": words.pop(0)}) if op == "group_offsets" else None
        if words[:1] == ["async"]:
            detail = json.dumps({"mode": words.pop(0)})
        asked = [_offset(word) for word in words]
        shown = asked if op in ("commit", "assign", "seek", "pause", "resume") else []
        for fields in shown or [{}]:
            self._row(client, "invoke", op, self._ids[client], detail=detail, **fields)
        answer = [_offset(word) for word in end if "/" in word]
        self._end(client, op, [w for w in end if "/" not in w], [
            {**fields, "detail": detail} for fields in answer or asked
        ])  # fmt: skip

    def _offset_commits(self, client: str, op: str, words: list[str], end: list[str]) -> None:
        group, *stored = words
        self._row(client, "invoke", op, self._ids[client], detail=json.dumps({"group": group}))
        ended = self.now + MS
        at_ns = [ended - int(word.split("@")[1]) * MS for word in stored]
        self._end(client, op, end, [
            {**_offset(word), "detail": json.dumps({"group": group, "at_ns": at})}
            for word, at in zip(stored, at_ns, strict=True)
        ])  # fmt: skip

    def _txn(self, client: str, op: str, words: list[str], end: list[str]) -> None:
        detail = json.dumps(dict(zip(("action", "group_of"), words[:2], strict=False)))
        places = [{**_offset(word), "detail": detail} for word in words[2:]] or [{"detail": detail}]
        for fields in places:
            self._row(client, "invoke", op, self._ids[client], **fields)
        self._end(client, op, end, places)

    _commit = _committed = _group_offsets = _assign = _seek = _pause = _resume = _offsets


def _content(name: str) -> str | None:
    if not name:
        return None
    return recorder_content(json.loads(name) if name[0] == "{" else CONTENTS[name])


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


def _duration(text: str) -> int:
    match = re.fullmatch(r"\+(\d+)(ms|s)", text.strip())
    assert match, f"expected +2s or +300ms, found {text!r}"
    return int(match[1]) * MS * (1000 if match[2] == "s" else 1)


def _number(word: str) -> int | str:
    return int(word) if word.isdigit() else word


def _place(word: str) -> tuple[str, int | None]:
    topic, _, part = word.rpartition("/")
    return topic, None if part == "-" else int(part)


def _offset(word: str) -> dict[str, Any]:
    place, *offset = re.split("[=@]", word)
    topic, part = _place(place)
    return {"topic": topic, "partition": part, "offset": int(offset[0]) if offset else None}


def sections(path: Path) -> Iterator[Section]:
    shared, *parts = re.split(r"^== ", path.read_text(encoding="utf-8"), flags=re.M)
    for part in parts:
        head, _, body = part.partition("\n")
        name, outcome, *fields = (word.strip() for word in head.split("|"))
        writer = Writer()
        for line in (*shared.splitlines(), *body.splitlines()):
            writer.line(line)
        settings = dict(word.split("=") for word in " ".join(fields).split())
        parsed = {k: json.loads(v) for k, v in settings.items()}
        claims, also = (tuple(parsed.pop(key, ())) for key in ("claims", "also"))
        context = CheckContext(finished_ns=writer.now, **parsed)
        outcome, _, count = outcome.partition(" ")
        found = int(count) if count else None
        yield Section(path.stem, name, outcome, tuple(writer.rows), context, claims, found, also)


@pytest.fixture
def write() -> Callable[[str], tuple[list[Row], int]]:
    """Rows and the final time of a text in the language above."""

    def write_text(text: str) -> tuple[list[Row], int]:
        writer = Writer()
        for line in text.splitlines():
            writer.line(line)
        return writer.rows, writer.now

    return write_text


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden" in metafunc.fixturenames:
        found = [s for path in sorted(HISTORIES.glob("*.txt")) for s in sections(path)]
        chosen = getattr(metafunc.module, "chosen", None)  # a module may look at some of them only
        found = list(filter(chosen, found))
        every = getattr(metafunc.module, "EVERY", 1)  # one of so many, the others are slow
        given = [pytest.param(s, marks=[pytest.mark.slow] * (n % every > 0))
                 for n, s in enumerate(found)]  # fmt: skip
        metafunc.parametrize("golden", given, ids=[f"{s.claim}: {s.name}" for s in found])
