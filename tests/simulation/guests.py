"""Rows that are put into a healthy history at one place: what they say is the anomaly.

They are a client's that is there, or a guest's. A guest reader assigns one partition at one offset
by hand, is given one record, and closes, so it owes nothing and nobody waits for it.
"""

from __future__ import annotations

import json
from typing import Any

from .frame import EVENT, INVOKE, OK, OP, Frame, rows
from .world import MS

STEP_NS = 10_000  # between its rows; what comes after it is a millisecond later


class Insert:
    """Rows of one client, to be inserted at one place."""

    def __init__(self, frame: Frame, client: str | int, at: int, gap_ns: int = MS) -> None:
        """Rows to insert.

        Args:
            frame: the history.
            client: number of a client, or the name of a new one.
            at: the row to insert before.
            gap_ns: by how much all that follows is later.
        """
        words = frame.words
        if isinstance(client, str):
            words = {**words, "process": [*words["process"], client]}
        self.process = len(words["process"]) - 1 if isinstance(client, str) else client
        self.frame = Frame(frame.later(at, gap_ns).columns, words)
        self.at = at
        self.time = int(frame.time[max(0, at - 1)]) + STEP_NS
        self.parts: list[dict[str, Any]] = []

    def event(self, op: str, topic: int, part: int, gen: int = -1) -> None:
        """A partition comes or goes."""
        self._row(type=EVENT, op=OP[op], topic=topic, part=part, gen=gen)

    def wait(self, nanoseconds: int) -> None:
        """What follows happens later."""
        self.time += nanoseconds

    def say(
        self, number: int, op: str, told: Any = None, *, both: bool = False, **end: Any
    ) -> None:
        """A command: its invoke and its completion, which may carry a record.

        Args:
            number: its id.
            op: its name.
            told: detail of the invoke; `both`: also of the completion.
            end: fields of the completion; of all rows for `assign`.
        """
        text = None if told is None else json.dumps(told)
        word = -1 if text is None else self.frame.word("detail", text)
        shared = end if op == "assign" else {}
        for kind, extra in ((INVOKE, shared), (OK, end)):
            words = {"detail": word} if kind == INVOKE or both else {}
            self._row(type=kind, op=OP[op], op_id=number, **{**words, **extra})

    def _row(self, **fields: Any) -> None:
        time = self.time + len(self.parts) * STEP_NS
        self.parts.append(rows(1, time=time, process=self.process, **fields))

    def read(self, topic: int, part: int, off: int, **given: Any) -> None:
        """Open with read_committed, assign there, be given something, close."""
        config = {"offset_reset": "earliest", "isolation": "read_committed"}
        self.say(1, "open", {"role": "consumer", "config": config})
        self.say(2, "assign", topic=topic, part=part, off=off)
        self.say(3, "poll", topic=topic, part=part, off=off, **given)
        self.say(4, "close")

    def join(self) -> Frame:
        """The history with these rows in it."""
        for part in self.parts:
            more = Frame(part, self.frame.words)
            self.frame = self.frame.insert(self.at, more)
            self.at += 1
        return self.frame


def free_name(frame: Frame, letter: str) -> str:
    """A name that nobody has, with the prefix that all have."""
    return prefix(frame) + letter


def prefix(frame: Frame) -> str:
    """What all names of a case begin with: nothing, or a word and a dot."""
    known = next(name for name in frame.words["process"] if name not in ("admin", "lab"))
    before, dot, _ = known.rpartition(".")
    return before + dot
