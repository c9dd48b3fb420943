"""A history as numpy columns of small integers: quick to make, to edit and to join.

Words (clients, topics, errors, details) are numbers into lists that belong to the frame; -1 is
null. So a plant is an edit of arrays, whatever the size, and 200 cases become one history by adding
to their numbers. A `Book` collects whole commands; no Python runs once a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kafkalab.checkers import history
from kafkalab.model.history import COLUMNS

TYPES = ("invoke", "ok", "fail", "info", "event")
OPS = (
    "send", "poll", "open", "close", "subscribe", "unsubscribe", "assign", "seek", "pause",
    "resume", "commit", "committed", "group_offsets", "txn", "assigned", "revoked", "lost", "kill",
    "fault", "sample", "thread_dump", "offset_commits",
)  # fmt: skip
PROBLEMS = ("checksum", "short", "foreign", "null-value")
INVOKE, OK, FAIL, INFO, EVENT = range(len(TYPES))
OP = {name: number for number, name in enumerate(OPS)}

NONE = -1
NO_OFFSET = -9  # -1 is an offset: none is committed
NO_VALUE = 0
CLOCK_NS = 1_000_000  # of the coordinator: it counts milliseconds

_DEFAULTS: dict[str, tuple[Any, int]] = {
    "time": (np.int64, 0), "process": (np.int32, NONE), "type": (np.int8, NONE),
    "op": (np.int8, NONE), "op_id": (np.int64, NONE), "topic": (np.int32, NONE),
    "part": (np.int32, NONE), "off": (np.int64, NO_OFFSET), "value": (np.uint64, NO_VALUE),
    "itopic": (np.int32, NONE), "ipart": (np.int32, NONE), "problem": (np.int8, NONE),
    "error": (np.int32, NONE), "gen": (np.int64, NONE), "detail": (np.int32, NONE),
    "took": (np.int64, NONE),
}  # fmt: skip
WORDS = {"process": "process", "topic": "topic", "itopic": "topic", "error": "error"}
WORDS |= {"detail": "detail"}


def _no_words() -> dict[str, list[str]]:
    return {"process": [], "topic": [], "error": [], "detail": []}


@dataclass
class Frame:
    """Columns of one length, and the words that their numbers mean.

    `took` is when the coordinator took a stored offset: a time, told in the row's detail.
    """

    columns: dict[str, Any]
    words: dict[str, list[str]] = field(default_factory=_no_words)

    def __len__(self) -> int:
        return len(self.columns["time"])

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["columns"][name]
        except KeyError:
            raise AttributeError(name) from None

    def take(self, rows: Any) -> Frame:
        """These rows (numbers or a mask), in this order."""
        return Frame({name: column[rows] for name, column in self.columns.items()}, self.words)

    def copy(self) -> Frame:
        """The same with columns of its own."""
        return Frame({name: column.copy() for name, column in self.columns.items()}, self.words)

    def where(self, op: str, kind: int | None = None) -> Any:
        """Mask of the rows of an operation."""
        found = self.op == OP[op]
        return found if kind is None else found & (self.type == kind)

    def insert(self, at: int, rows: Frame) -> Frame:
        """`rows` before row `at`."""
        joined = {
            name: np.concatenate([column[:at], rows.columns[name], column[at:]])
            for name, column in self.columns.items()
        }
        return Frame(joined, self.words)

    def later(self, row: int, nanoseconds: int) -> Frame:
        """Everything from `row` on happens later, and what the coordinator took from then on."""
        columns = dict(self.columns)
        columns["time"] = columns["time"] + np.where(np.arange(len(self)) >= row, nanoseconds, 0)
        since = self.time[row] if row < len(self) else self.took.max(initial=NONE) + 1
        columns["took"] = self.took + np.where(self.took >= since, nanoseconds, 0)
        return Frame(columns, self.words)

    def word(self, kind: str, text: str) -> int:
        """The number of a word, which is added where it is new."""
        words = self.words[kind]
        if text not in words:
            words.append(text)
        return words.index(text)

    def table(self) -> pa.Table:
        """As the checkers read it; `index` counts the rows."""
        types = {f.name: f.type for f in history.schema()}
        plain = {"index": np.arange(len(self)), "time_ns": self.time, "op_id": self.op_id}
        made: dict[str, Any] = {name: pa.array(column) for name, column in plain.items()}
        for name in ("process", "topic", "error", "detail"):
            made[name] = _text(self.columns[name], self.words[name])
        made["detail"] = self._with_times(made["detail"])
        for name, words in (("type", TYPES), ("op", OPS), ("problem", PROBLEMS)):
            made[name] = _text(self.columns[name], words)
        made["partition"] = pa.array(self.part, mask=self.part == NONE)
        made["offset"] = pa.array(self.off, mask=self.off == NO_OFFSET)
        made["value"] = pa.array(self.value, mask=self.value == NO_VALUE)
        made["generation"] = pa.array(self.gen, mask=self.gen == NONE)
        made["intended"] = self._intended()
        columns = [made[name].cast(types[name]) for name, _ in COLUMNS]
        return pa.table(columns, schema=history.schema())

    def _with_times(self, detail: pa.Array) -> pa.Array:
        """Details that say when the coordinator took something, by its clock."""
        took = pa.array(self.took // CLOCK_NS * CLOCK_NS).cast(pa.string())
        start = pc.utf8_slice_codeunits(detail, 0, -1)
        told = pc.binary_join_element_wise(start, ', "at_ns": ', took, "}", "")
        return pc.if_else(pa.array(self.took != NONE), told, detail)

    def _intended(self) -> pa.Array:
        width = int(self.ipart.max(initial=0)) + 1
        code = self.itopic.astype(np.int64) * width + self.ipart
        used, codes = np.unique(code, return_inverse=True)
        names = [
            f"{self.words['topic'][number // width]}/{number % width}" if number >= 0 else ""
            for number in used.tolist()
        ]
        return _text(np.where(self.itopic == NONE, NONE, codes), names)


class Book:
    """Takes down whole commands; `frame` makes columns of them."""

    def __init__(self) -> None:
        self.words = _no_words()
        self._numbers: dict[tuple[str, str], int] = {}
        self._counts: list[int] = []
        self._fields: dict[str, list[Any]] = {name: [] for name in _DEFAULTS}
        self._each: list[tuple[str, int, Any]] = []  # column, command, its values
        self.rows = 0

    def word(self, kind: str, text: str | None) -> int:
        """The number of a word."""
        if text is None:
            return NONE
        known = self._numbers.get((kind, text))
        if known is None:
            known = self._numbers[kind, text] = len(self.words[kind])
            self.words[kind].append(text)
        return known

    def add(self, count: int, **fields: Any) -> None:
        """Rows of one command: a field is one value for all of them, or an array."""
        number = len(self._counts)
        self._counts.append(count)
        self.rows += count
        for name, rows in self._fields.items():
            given = fields.get(name)
            if given is None:
                rows.append(_DEFAULTS[name][1])
            elif isinstance(given, int):
                rows.append(given)
            else:
                rows.append(_DEFAULTS[name][1])
                self._each.append((name, number, given))

    def frame(self) -> Frame:
        """What was taken down since the last time."""
        counts = np.array(self._counts, np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)])
        columns = {
            name: np.repeat(np.array(rows, _DEFAULTS[name][0]), counts)
            for name, rows in self._fields.items()
        }
        for name, number, values in self._each:
            columns[name][starts[number] : starts[number + 1]] = values
        self._counts, self._each, self.rows = [], [], 0
        self._fields = {name: [] for name in _DEFAULTS}
        return Frame(columns, self.words)


def rows(count: int, **fields: Any) -> dict[str, Any]:
    """Columns of `count` rows; what is not given is null."""
    made = {name: np.full(count, empty, kind) for name, (kind, empty) in _DEFAULTS.items()}
    for name, value in fields.items():
        made[name][:] = value
    return made


def concat(frames: Sequence[Frame], gap_ns: int = 100_000_000) -> Frame:
    """One history after the other: numbers are kept apart, times go on."""
    words, parts, now = _no_words(), [], 0
    for frame in frames:
        columns = dict(frame.columns)
        for name, kind in WORDS.items():
            codes = columns[name]
            columns[name] = np.where(codes == NONE, NONE, codes + len(words[kind]))
        columns["time"] = columns["time"] + now
        columns["took"] = np.where(columns["took"] == NONE, NONE, columns["took"] + now)
        now = int(columns["time"].max(initial=now)) + gap_ns
        for kind, known in frame.words.items():
            words[kind] += known
        parts.append(columns)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in _DEFAULTS}
    return Frame(joined, words)


def _text(codes: Any, words: Sequence[str]) -> pa.Array:
    numbers = pa.array(codes.astype(np.int32), mask=codes == NONE)
    return pa.DictionaryArray.from_arrays(numbers, pa.array(list(words), pa.string())).cast(
        pa.string()
    )
