"""Held rows as arrays, for passes over all of them (evident.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kafkalab.checkers.screen.arrays import numbers, valid
from kafkalab.checkers.screen.coded import Ints, Mask

NONE = -1  # where a number is null
ROWS_MAX = 1 << 42  # of a history: a code and a row make one number
KEYS_MAX = 2**62
_TABLE_MAX = 1 << 22  # codes that a table is made for


def in_one(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def ints(column: pa.ChunkedArray) -> Ints:
    """A column of integers, shape (rows,), int64; NONE where it is null."""
    return numbers(in_one(column), NONE).astype(np.int64)


@dataclass(frozen=True)
class Rows:
    """Sends and polls (rows.COLUMNS); every array has shape (rows,)."""

    idx: Ints
    time_ns: Ints
    process: Ints
    kind: npt.NDArray[np.int8]
    topic: Ints
    part: Ints
    off: Ints
    value: npt.NDArray[np.uint64]
    valued: Mask
    plain: Mask  # with a value, nothing odd in the payload, and of the place that it names
    stretch: Ints

    @classmethod
    def of(cls, table: pa.Table) -> Rows:
        """The columns of a table without nulls in those that name a row."""
        value = in_one(table["value"])
        valued = valid(value)
        return cls(
            idx=ints(table["idx"]),
            time_ns=ints(table["time_ns"]),
            process=ints(table["process"]),
            kind=numbers(in_one(table["kind"]), NONE),
            topic=ints(table["topic"]),
            part=ints(table["part"]),
            off=ints(table["off"]),
            value=numbers(value, 0),
            valued=valued,
            plain=valued & ~valid(in_one(table["problem"])) & (ints(table["intended"]) < 0),
            stretch=ints(table["stretch"]),
        )


class Places:
    """Partitions by number, in the order of topic and partition; and a key for each offset.

    Keys rise with offsets, from one partition to the next.
    """

    def __init__(self, rows: Rows, located: Mask) -> None:
        at = np.flatnonzero(located)
        self.of = np.full(len(rows.idx), NONE, dtype=np.int64)  # by row
        self.of[at] = numbered(rows.topic[at], rows.part[at])
        self.count = int(self.of.max()) + 1
        self.topic, self.part = np.zeros((2, self.count), dtype=np.int64)
        self.topic[self.of[at]], self.part[self.of[at]] = rows.topic[at], rows.part[at]
        self.low = int(rows.off[at].min())
        self.span = int(rows.off[at].max()) - self.low + 1
        self.representable = self.span * self.count < KEYS_MAX
        self.top = most(rows.off[at], self.of[at], self.count)

    def keys(self, place: Ints, off: Ints) -> Ints:
        """Keys of offsets, shape (rows,); what is below all of a partition is below its keys."""
        return place * self.span + np.maximum(off - self.low, -1)


def numbered(*columns: npt.NDArray[Any]) -> Ints:
    """The combinations of what stands in columns of equal shape, counted from 0 in their order.

    Args:
        columns: integers, shape (rows,); not empty.
    """
    codes = columns[0]
    for column in columns[1:]:
        codes = _joined(codes, column)
    return _dense(codes)


def _joined(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> Ints:
    if _width(one) * _width(other) > KEYS_MAX:
        one, other = _dense(one), _dense(other)
    low = int(other.min())
    return one.astype(np.int64) * _width(other) + (other.astype(np.int64) - low)


def _width(column: npt.NDArray[Any]) -> int:
    return max(int(column.max()), 0) - min(int(column.min()), 0) + 1


def _dense(column: npt.NDArray[Any]) -> Ints:
    low = int(column.min())
    if int(column.max()) - low >= _TABLE_MAX:
        return np.unique(column, return_inverse=True)[1].astype(np.int64)
    used = np.zeros(int(column.max()) - low + 1, dtype=bool)
    shifted = column - low
    used[shifted] = True
    dense: Ints = (np.cumsum(used) - 1)[shifted]
    return dense


def by_code(codes: npt.NDArray[Any]) -> Ints:
    """Positions in the order of their codes, and as they came among those of one code."""
    small = int(codes.max(initial=0)) < 1 << 16  # a stable sort of 16 bits is linear
    return np.argsort(codes.astype(np.uint16) if small else codes, kind="stable")


def least(values: Ints, codes: Ints, count: int) -> Ints:
    """The least value of each code, shape (count,); the largest number where there is none."""
    found = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(found, codes, values)
    return found


def most(values: Ints, codes: Ints, count: int) -> Ints:
    """The largest value of each code, shape (count,); NONE where there is none."""
    found = np.full(count, NONE, dtype=np.int64)
    np.maximum.at(found, codes, values)
    return found


def find(wanted: npt.NDArray[Any], among: npt.NDArray[Any]) -> Ints:
    """Where each stands in a sorted array, NONE where it does not; shape (wanted,)."""
    if not len(among):
        return np.full(len(wanted), NONE, dtype=np.int64)
    at = np.minimum(np.searchsorted(among, wanted), len(among) - 1)
    return np.where(among[at] == wanted, at, NONE)
