"""What a history holds, as arrays in which a place for a plant is found, and edits of it.

Rows are named by their number. A *place* is a partition as one number, a *spot* an offset of it.
Deliveries are sorted by client, partition and time; `linked` says that one follows the one
before it in the same stretch (the client was not moved between them), `within` that one poll gave
both.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from .frame import EVENT, INVOKE, NO_OFFSET, NO_VALUE, NONE, OK, OP, Frame

_MOVES = tuple(
    OP[name]
    for name in (
        "open",
        "subscribe",
        "unsubscribe",
        "assign",
        "seek",
        "assigned",
        "revoked",
        "lost",
    )
)
_PARTS = 1 << 16
_OFFSETS = 1 << 40
T = TypeVar("T")


def place(frame: Frame, rows: Any) -> Any:
    """The partition of each row, as one number."""
    return frame.topic[rows].astype(np.int64) * _PARTS + frame.part[rows]


class Facts:
    """A frame and what plants ask about it."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._made: dict[Any, Any] = {}

    def once(self, make: Callable[[Facts], T]) -> T:
        """What `make` makes of them, which is made once."""
        if make not in self._made:
            self._made[make] = make(self)
        made: T = self._made[make]
        return made

    @cached_property
    def clients(self) -> dict[int, dict[str, Any]]:
        """Per client: its configuration, with its role."""
        frame, found = self.frame, {}
        for row in np.flatnonzero(frame.where("open", INVOKE)).tolist():
            opened = json.loads(frame.words["detail"][frame.detail[row]])
            found[int(frame.process[row])] = {**opened["config"], "role": opened["role"]}
        return found

    def per_client(self, rows: Any, ask: Any) -> Any:
        """What `ask` says of the configuration of each row's client."""
        every = np.array([bool(ask(self.clients.get(n, {}))) for n in range(self._processes)], bool)
        return every[self.frame.process[rows]]

    @property
    def _processes(self) -> int:
        return len(self.frame.words["process"])

    @cached_property
    def groups(self) -> Any:
        """The group of each client, as a number; -1 has none."""
        names = [self.clients.get(n, {}).get("group") for n in range(self._processes)]
        known = sorted({name for name in names if name})
        return np.array([known.index(name) if name else NONE for name in names], np.int32)

    @cached_property
    def deliveries(self) -> Any:
        """Rows of delivered records, by client, partition and time."""
        frame = self.frame
        rows = np.flatnonzero(frame.where("poll", OK) & (frame.topic != NONE))
        return rows[np.lexsort((rows, place(frame, rows), frame.process[rows]))]

    @cached_property
    def spots(self) -> Any:
        """Of each delivery."""
        return self.spot(self.deliveries)

    def spot(self, rows: Any) -> Any:
        return place(self.frame, rows) * _OFFSETS + self.frame.off[rows]

    @cached_property
    def linked(self) -> Any:
        frame, rows = self.frame, self.deliveries
        moved = np.isin(frame.op, _MOVES) & ((frame.type == INVOKE) | (frame.type == EVENT))
        moves = np.zeros(len(rows), np.int64)
        for process in np.unique(frame.process[rows]):
            mine = frame.process[rows] == process
            own = np.flatnonzero(moved & (frame.process == process))
            moves[mine] = np.searchsorted(own, rows[mine])
        same = np.zeros(len(rows), bool)
        where = place(frame, rows)
        for column in (moves, where, frame.process[rows]):
            changed = column[1:] == column[:-1]
            same[1:] = changed if column is moves else same[1:] & changed
        return same

    @cached_property
    def within(self) -> Any:
        ids = self.frame.op_id[self.deliveries]
        same = self.linked.copy()
        same[1:] &= ids[1:] == ids[:-1]
        return same

    @cached_property
    def acks(self) -> Any:
        """Rows of acknowledged sends that promise something, with their offsets."""
        frame = self.frame
        rows = np.flatnonzero(frame.where("send", OK) & (frame.off >= 0))
        return rows[self.per_client(rows, lambda c: c.get("acks") != 0)]

    @cached_property
    def acked(self) -> Any:
        """Of each delivery: whether its offset was acknowledged."""
        return np.isin(self.spots, self.spot(self.acks))

    @cached_property
    def witnessed(self) -> Any:
        """Of each delivery: how often its offset was delivered."""
        _, back, counts = np.unique(self.spots, return_inverse=True, return_counts=True)
        return counts[back]

    def every(self, holds: Any) -> Any:
        """Of each delivery: whether `holds` is true for all deliveries of its offset."""
        _, back = np.unique(self.spots, return_inverse=True)
        broken = np.bincount(back, weights=~holds) > 0
        return ~broken[back]

    @cached_property
    def due(self) -> Any:
        """Of each delivery: a group that begins at the first record was given it."""
        return self.per_client(
            self.deliveries, lambda c: c.get("group") and c.get("offset_reset") == "earliest"
        )

    def read_on(self, rows: Any, never: Any = ()) -> Any:
        """Of each row: whether somebody was given all that was acknowledged behind it.

        Only there a guest owes nothing: who begins at the end need not have read all. `never` are
        rows of what nobody is to be given.
        """
        unread = self.acks[~np.isin(self.spot(self.acks), self.spots)]
        spots = np.sort(self.spot(np.setdiff1d(unread, never)))
        after = np.append(spots, NONE)[np.searchsorted(spots, self.spot(rows), side="right")]
        return after // _OFFSETS != place(self.frame, rows)

    @cached_property
    def starts(self) -> dict[tuple[int, int], int]:
        """Per client and id of a command: the row of its invoke."""
        rows = np.flatnonzero(self.frame.type == INVOKE)
        process, ids = self.frame.process[rows].tolist(), self.frame.op_id[rows].tolist()
        found: dict[tuple[int, int], int] = {}
        for name, number, row in zip(process, ids, rows.tolist(), strict=True):
            found.setdefault((name, number), row)
        return found

    def start(self, row: int) -> int:
        """The row in which the command of a completion was invoked."""
        return self.starts[int(self.frame.process[row]), int(self.frame.op_id[row])]

    def sent(self, rows: Any) -> Any:
        """The row in which the value of each of these rows was sent; past the end if never."""
        frame = self.frame
        invokes = np.flatnonzero(frame.where("send", INVOKE))
        order = np.argsort(frame.value[invokes], kind="stable")
        known = frame.value[invokes][order]
        at = np.minimum(np.searchsorted(known, frame.value[rows]), len(known) - 1)
        return np.where(known[at] == frame.value[rows], invokes[order[at]], len(frame))

    @cached_property
    def plain(self) -> Any:
        """Of each delivery: its sender is known and not transactional."""
        sent = self.sent(self.deliveries)
        known = sent < len(self.frame)
        rows = np.where(known, sent, 0)
        return known & ~self.per_client(rows, lambda c: c.get("transactional_id"))

    @cached_property
    def undecided(self) -> Any:
        """Places that a transaction wrote to of which nobody knows that it ended."""
        frame = self.frame
        txn, words = frame.where("txn"), frame.words["detail"]
        ends = np.array(['"commit"' in w or '"abort"' in w for w in [*words, ""]], bool)
        ended = np.flatnonzero(txn & (frame.type == OK) & ends[frame.detail])
        writes = np.flatnonzero(frame.where("send", INVOKE))
        writes = writes[self.per_client(writes, lambda c: c.get("transactional_id"))]
        known = np.zeros(len(writes), bool)
        for process in np.unique(frame.process[writes]).tolist():
            mine = frame.process[writes] == process
            last = int(ended[frame.process[ended] == process].max(initial=-1))
            known[mine] = writes[mine] < last
        return np.unique(place(frame, writes[~known]))

    # ---- edits

    def without(self, rows: Any) -> Frame:
        """These deliveries did not happen; a poll that gave nothing else gave nothing."""
        frame = self.frame
        polls = frame.process[self.deliveries] * np.int64(_OFFSETS) + frame.op_id[self.deliveries]
        gone = np.isin(self.deliveries, rows)
        names, back = np.unique(polls, return_inverse=True)
        left = np.bincount(back, weights=~gone, minlength=len(names))
        emptied = names[left == 0]
        copy, keep = frame.copy(), np.ones(len(frame), bool)
        keep[self.deliveries[gone]] = False
        for poll in emptied.tolist():
            first = int(self.deliveries[polls == poll].min())
            keep[first] = True
            blank(copy, first)
        return copy.take(keep)

    def swapped(self, one: int, other: int) -> Frame:
        """The two spots hold each other's record, in what was acknowledged and delivered."""
        copy = self.frame.copy()
        places = self.spot(self.acks)
        for this, that in ((one, other), (other, one)):
            copy.off[self.acks[places == this]] = that % _OFFSETS
        first, second = (self.deliveries[self.spots == spot] for spot in (one, other))
        for name in ("value", "detail"):
            column = self.frame.columns[name]
            if len(first) and len(second):
                copy.columns[name][first] = column[second[0]]
                copy.columns[name][second] = column[first[0]]
        return copy


def blank(frame: Frame, row: int) -> None:
    """The row says no more than that its command ended."""
    for name in ("topic", "part", "itopic", "ipart", "problem", "detail"):
        frame.columns[name][row] = NONE
    frame.off[row], frame.value[row] = NO_OFFSET, NO_VALUE
