"""What is settled beyond doubt: most of a healthy history, found by passes over columns.

The conditions are those of judge.py, *Settled*. Each is asked here in a form that arrays answer at
once, and never in a looser one: what is not plain (of unknown outcome, below an earlier send, given
to a reader twice) is left to the SQL of tables.py, which looks at what remains. So nothing here
decides a verdict.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kafkalab.checkers.live.columns import (
    NONE,
    Places,
    Rows,
    by_code,
    find,
    ints,
    least,
    most,
    numbered,
)
from kafkalab.checkers.live.readers import Readers
from kafkalab.checkers.screen.arrays import arrow
from kafkalab.checkers.screen.coded import Ints, Mask

Values = npt.NDArray[np.uint64]

NEVER = np.iinfo(np.int64).max


class Settled(NamedTuple):
    """What may be kept aside (Memory.add), and what may not."""

    rows: pa.Table  # that leave the held ones, with their places
    records: pa.Table  # one row a record: see tables.py, settling
    rest: pa.Table


class _Sends:
    """Acknowledged sends, in the order of their keys; arrays of shape (sends,).

    `good`: nothing was found against it yet.
    """

    def __init__(self, rows: Rows, acked: Ints, places: Places, readers: Readers) -> None:
        keys = places.keys(places.of[acked], rows.off[acked])
        order = np.argsort(keys)
        self.row, self.key = acked[order], keys[order]
        self.place, self.off = places.of[self.row], rows.off[self.row]
        self.value, self.process = rows.value[self.row], rows.process[self.row]
        self.ended = rows.idx[self.row]
        called = np.flatnonzero(rows.kind == 0)
        by_value = np.argsort(rows.value[called])
        called = called[by_value]
        at = find(self.value, rows.value[called])
        self.call = called[at]
        self.called = np.where(at < 0, NEVER, rows.idx[self.call])
        self.lane = numbered(self.process, self.place)  # of a producer in a partition
        self.lanes = int(self.lane.max()) + 1
        asked = rows.part[self.call]
        self.since = _in_flight(rows, called, readers)[self.process]
        self.good = (
            (at >= 0)
            & (rows.topic[self.call] == rows.topic[self.row])
            & ((asked < 0) | (asked == rows.part[self.row]))
            & (rows.process[self.call] == self.process)
            & readers.committed(self.process, self.ended)
            & (self.ended < self.since)
        )
        self._bar_equal_keys()
        self._bar_disorder()
        self._bar_witnesses(numbered(self.lane, rows.stretch[self.call]))

    def bar(self, at: Ints) -> None:
        """Something was found against these."""
        self.good[at[at >= 0]] = False

    def _bar_equal_keys(self) -> None:
        twice = np.flatnonzero(self.key[1:] == self.key[:-1])
        self.bar(np.concatenate([twice, twice + 1]))

    def _bar_disorder(self) -> None:
        """All of a producer in a partition where its calls do not rise with the offsets."""
        order = by_code(self.lane)
        lane, called = self.lane[order], self.called[order]
        odd = np.zeros(self.lanes, dtype=bool)
        odd[lane[1:][(lane[1:] == lane[:-1]) & (called[1:] < called[:-1])]] = True
        self.good &= ~odd[self.lane]

    def _bar_witnesses(self, stretch: Ints) -> None:
        """The first of each stretch of a producer, and the highest that had ended in each lane."""
        for idx in (self.called, self.ended):
            self.good &= idx != least(idx, stretch, int(stretch.max()) + 1)[stretch]
        known = self.ended < self.since
        highest = most(self.off[known], self.lane[known], self.lanes)[self.lane]
        self.good &= ~(known & (self.off == highest))

    def followed(self, readers: Readers) -> Mask:
        """Whether an earlier send to the partition tells where it must lie."""
        first_end = least(self.ended, self.lane, self.lanes)[self.lane]
        first_call = least(self.called, self.lane, self.lanes)[self.lane]
        ordered = readers.ordered[self.process]
        return (first_end < self.called) | (ordered & (first_call < self.called))


class _Given:
    """Records given out, by series: a client's in a partition and stretch, as they came."""

    def __init__(self, rows: Rows, places: Places, sends: _Sends, readers: Readers) -> None:
        given = np.flatnonzero((rows.kind > 4) & (rows.topic >= 0))
        columns = (rows.process, rows.topic, rows.part, rows.stretch)
        series = numbered(*(column[given] for column in columns))
        order = by_code(series)
        self.row, series = given[order], series[order]
        self.place, self.off = places.of[self.row], rows.off[self.row]
        self.scope = readers.scope[rows.process[self.row]]
        self.key = np.where(self.place < 0, NONE, places.keys(self.place, self.off))
        self.begins = np.append(True, series[1:] != series[:-1])
        by_value = np.argsort(sends.value)
        here = find(self.key, sends.key)
        found = find(rows.value[self.row], sends.value[by_value])
        mine = np.where(found < 0, NONE, by_value[found])
        self.send = np.where((here == mine) & rows.valued[self.row], here, NONE)
        odd = ~self._between() | ~rows.plain[self.row] | (self.send < 0)
        sends.bar(here[odd])
        sends.bar(mine[odd])

    def _between(self) -> Mask:
        """Whether its series has one before and one after it, below and above."""
        between = np.zeros(len(self.off), dtype=bool)
        before, off, after = self.off[:-2], self.off[1:-1], self.off[2:]
        inside = ~self.begins[1:-1] & ~self.begins[2:]
        between[1:-1] = inside & (before >= 0) & (before < off) & (off < after)
        return between & (self.place >= 0)

    def bar_again(self, sends: _Sends, scopes: int) -> None:
        """What one reader was given twice, for whatever reason."""
        each = np.sort((self.send * scopes + self.scope)[self.send >= 0])
        sends.bar(each[1:][each[1:] == each[:-1]] // scopes)

    def bar_leaps(self, sends: _Sends) -> None:
        """What a series leapt over, and both ends of the leap."""
        leap = np.flatnonzero(
            ~self.begins[1:] & (self.off[:-1] >= 0) & (self.off[1:] > self.off[:-1] + 1)
        )
        leap = leap[(self.place[leap] >= 0) & (self.place[leap + 1] >= 0)]
        if not len(leap):
            return
        low, high = self.key[leap], self.key[leap + 1]
        known = np.sort(np.concatenate([sends.key, self.key[self.place >= 0]]))
        over = np.searchsorted(known, low, "right") < np.searchsorted(known, high, "left")
        marks = np.zeros(len(sends.key) + 1, dtype=np.int64)
        np.add.at(marks, np.searchsorted(sends.key, low[over], "left"), 1)
        np.add.at(marks, np.searchsorted(sends.key, high[over], "right"), -1)
        sends.good &= np.cumsum(marks)[:-1] == 0

    def tops(self) -> tuple[Ints, Ints, Ints]:
        """Per series within a partition: reader, place and highest offset."""
        start = np.flatnonzero(self.begins)
        high = np.maximum.reduceat(self.off, start)
        start, high = start[high >= 0], high[high >= 0]
        placed = self.place[start] >= 0
        return self.scope[start][placed], self.place[start][placed], high[placed]


def settled(table: pa.Table, readers: Readers, sticky: Values) -> Settled | None:
    """The records that are settled for plain reasons; None where there is none.

    Args:
        table: the rows held (rows.COLUMNS and `stretch`).
        readers: the clients.
        sticky: values that stay.
    """
    idx = ints(table["idx"])
    if (idx[1:] < idx[:-1]).any():
        table = table.take(arrow(np.argsort(idx)))
    rows = Rows.of(table)
    located = (rows.topic >= 0) & (rows.part >= 0) & (rows.off >= 0)
    acked = np.flatnonzero(located & (rows.kind == 1))
    located &= (rows.kind == 1) | (rows.kind > 4)
    whole = len(acked) and (rows.kind == 0).any() and (located & (rows.kind > 4)).any()
    if not whole or not _unique(rows):
        return None
    places = Places(rows, located)
    if not places.representable:
        return None
    sends = _Sends(rows, acked, places, readers)
    given = _Given(rows, places, sends, readers)
    given.bar_again(sends, len(readers.alive))
    given.bar_leaps(sends)
    sends.good &= sends.off != places.top[sends.place]
    sends.good &= ~np.isin(sends.value, sticky)
    _bar_awaited(rows, places, sends, given, readers)
    times = np.bincount(given.send[given.send >= 0], minlength=len(sends.key))
    sends.good &= times > 0
    return _parted(table, rows, sends, given, times, readers) if sends.good.any() else None


def _unique(rows: Rows) -> bool:
    """Whether each value was sent, and completed, once."""
    sent = rows.kind < 4
    if not rows.valued[sent].all():
        return False
    for ended in (False, True):
        value = np.sort(rows.value[sent & ((rows.kind > 0) == ended)])
        if (value[1:] == value[:-1]).any():
            return False
    return True


def _in_flight(rows: Rows, called: Ints, readers: Readers) -> Ints:
    """Per client, where its oldest send without an end was called; shape (processes,)."""
    ended = np.sort(rows.value[(rows.kind > 0) & (rows.kind < 4)])
    open_ = called[find(rows.value[called], ended) < 0]
    open_ = open_[rows.idx[open_] > readers.opened[rows.process[open_]]]
    return least(rows.idx[open_], rows.process[open_], len(readers.opened))


def _bar_awaited(
    rows: Rows, places: Places, sends: _Sends, given: _Given, readers: Readers
) -> None:
    """What a reader that is alive has not come to, and the first that each reader may wait for."""
    scope, place, top = _due(places, given, readers)
    alive = readers.alive[scope]
    floor = least(top[alive], place[alive], places.count)
    sends.good &= sends.off <= floor[sends.place]
    first = np.searchsorted(sends.key, places.keys(place, top), "right")
    end = np.searchsorted(sends.key, (place + 1) * places.span, "left")
    ended_ns = rows.time_ns[sends.row]
    for low, high in zip(first, end, strict=True):  # readers of partitions, not rows
        if low < high:
            sends.good[[low, low + np.argmin(ended_ns[low:high])]] = False


def _due(places: Places, given: _Given, readers: Readers) -> tuple[Ints, Ints, Ints]:
    """Per reader and partition that it has a part in: how far it has come (NONE: nowhere)."""
    more = _responsible(places, readers)
    scope, place, top = given.tops()
    scope, place = np.append(scope, more[:, 0]), np.append(place, more[:, 1])
    due = numbered(scope, place)
    best = most(np.append(top, np.full(len(more), NONE)), due, int(due.max()) + 1)
    _, first = np.unique(due, return_index=True)
    return scope[first], place[first], best


def _responsible(places: Places, readers: Readers) -> Ints:
    """Readers and the places that are, or may be, theirs; shape (pairs, 2)."""
    at: dict[tuple[int, int], int] = {}
    within: dict[int, list[int]] = {}
    for place, (topic, part) in enumerate(zip(places.topic, places.part, strict=True)):
        at[topic, part] = place
        within.setdefault(topic, []).append(place)
    told = [(scope, at[t, part]) for scope, t, part in readers.assigned if (t, part) in at]
    told += [(scope, place) for scope, t in readers.named for place in within.get(t, ())]
    return np.array(told, dtype=np.int64).reshape(-1, 2)


def _parted(
    table: pa.Table, rows: Rows, sends: _Sends, given: _Given, times: Ints, readers: Readers
) -> Settled:
    """The table in two parts, with what memory.py asks of the rows and records that leave."""
    at = np.flatnonzero(sends.good)
    of = np.full(len(rows.idx), NONE, dtype=np.int64)  # the send of each row that leaves
    of[sends.row[at]] = of[sends.call[at]] = at
    mine = given.send >= 0
    mine[mine] = sends.good[given.send[mine]]
    of[given.row[mine]] = given.send[mine]
    leaves = of >= 0
    ordered, acked = readers.ordered[sends.process], ~readers.silent[sends.process]
    followed = sends.followed(readers)
    part = rows.part[sends.row]
    go = of[leaves]
    gone = table.filter(arrow(leaves))
    extra = {
        "place_part": arrow(part[go].astype(np.int32)),
        "place_off": arrow(sends.off[go]),
        "followed": arrow(followed[go] & (rows.kind[leaves] == 1)),
        "ordered": arrow(ordered[go]),
        "acked": arrow(acked[go]),
    }
    for name, column in extra.items():
        gone = gone.append_column(name, column)
    records = {
        "value": arrow(sends.value[at]),
        "topic": arrow(rows.topic[sends.row[at]].astype(np.int32)),
        "part": arrow(part[at].astype(np.int32)),
        "off": arrow(sends.off[at]),
        "followed": arrow(followed[at]),
        "ordered": arrow(ordered[at]),
        "acked": arrow(acked[at]),
        "given": arrow(times[at]),
    }
    return Settled(gone, pa.table(records), table.filter(arrow(~leaves)))
