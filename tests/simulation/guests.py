"""Clients that join a healthy history for one purpose: what they see, or do, is the anomaly.

A guest reader assigns one partition at one offset by hand, is given one record, and closes, so it
owes nothing and nobody waits for it.
"""

from __future__ import annotations

import json
from typing import Any

from .frame import INVOKE, OK, OP, Frame, rows
from .world import MS

STEP_NS = 10_000  # between its rows; what comes after it is a millisecond later


class Guest:
    """Rows of one client, to be inserted at one place."""

    def __init__(self, frame: Frame, name: str, at: int) -> None:
        """Args: name: of the client, with the prefix of others'.  at: row to insert before."""
        words = {**frame.words, "process": [*frame.words["process"], name]}
        self.frame = Frame(frame.later(at, MS).columns, words)
        self.process = len(frame.words["process"])
        self.at = at
        self.time = int(frame.time[max(0, at - 1)]) + STEP_NS
        self.parts: list[dict[str, Any]] = []

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
            fields = {**words, **extra}
            time = self.time + len(self.parts) * STEP_NS
            self.parts.append(
                rows(
                    1, time=time, process=self.process, type=kind, op=OP[op], op_id=number, **fields
                )
            )

    def read(self, topic: int, part: int, off: int, **given: Any) -> None:
        """Open with read_committed, assign there, be given something, close."""
        config = {"offset_reset": "earliest", "isolation": "read_committed"}
        self.say(1, "open", {"role": "consumer", "config": config})
        self.say(2, "assign", topic=topic, part=part, off=off)
        self.say(3, "poll", topic=topic, part=part, off=off, **given)
        self.say(4, "close")

    def join(self) -> Frame:
        """The history with the guest in it."""
        for part in self.parts:
            more = Frame(part, self.frame.words)
            self.frame = self.frame.insert(self.at, more)
            self.at += 1
        return self.frame


def free_name(frame: Frame, letter: str) -> str:
    """A name that nobody has, with the prefix that all have."""
    known = next(name for name in frame.words["process"] if name != "admin")
    prefix = known.rpartition(".")[0]
    return f"{prefix}.{letter}" if prefix else letter
