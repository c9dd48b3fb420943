"""Plants of the commit and liveness families."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np

from .facts import Facts, place
from .frame import INFO, INVOKE, NONE, OK, OP, Frame
from .plants_log import _one
from .world import MS, SECOND

_READINGS = (OP["committed"], OP["group_offsets"])


class _Offsets:
    """The rows in which a committed offset of a group was observed."""

    def __init__(self, facts: Facts) -> None:
        self.facts, self.frame = facts, facts.frame
        frame = self.frame
        seen = np.isin(frame.op, (*_READINGS, OP["commit"])) & (frame.type == OK)
        self.rows = np.flatnonzero(seen & (frame.topic != NONE))
        self.reading = np.isin(frame.op[self.rows], _READINGS)
        self.group = np.array([self._group(row) for row in self.rows.tolist()], np.int64)
        self.place = place(frame, self.rows)
        self.off = frame.off[self.rows]
        self.begin = np.array([facts.start(row) for row in self.rows.tolist()], np.int64)

    def _group(self, row: int) -> int:
        frame, facts = self.frame, self.facts
        if frame.op[row] != OP["group_offsets"]:
            return int(facts.groups[frame.process[row]])
        return self.named(frame.words["detail"][frame.detail[row]])

    def named(self, detail: str) -> int:
        """The group that the detail of a row names."""
        known = {c["group"] for c in self.facts.clients.values() if c.get("group")}
        return sorted(known).index(json.loads(detail)["group"])

    def earliest(self) -> Any:
        """Whether the group begins at the first record."""
        clients = self.facts.clients.values()
        known = sorted({c["group"] for c in clients if c.get("group")})
        begins = {c["group"]: c["offset_reset"] == "earliest" for c in clients if c.get("group")}
        return np.array([begins[known[group]] for group in self.group.tolist()], bool)

    def moved(self, group: int, where: int) -> bool:
        """Whether the lab moved the position, chose an offset, or a commit's outcome is unknown."""
        frame = self.frame
        mine = np.zeros(len(frame), bool)
        mine[:] = self.facts.groups[frame.process] == group
        here = place(frame, np.arange(len(frame))) == where
        asked = frame.where("commit", INVOKE) & (here | False)
        ended = frame.where("commit") & (frame.type != INVOKE)
        ids = frame.process * np.int64(1 << 40) + frame.op_id
        unknown = frame.where("commit", INFO) | (
            frame.where("commit", INVOKE) & ~np.isin(ids, ids[ended])
        )
        moves = (frame.where("seek") | frame.where("assign")) & here
        return bool(np.any(mine & (asked | unknown | moves)))

    def passed_on(self, at: int) -> bool:
        """Whether a member was given the partition later on: where it starts would be judged."""
        given = np.flatnonzero(self.frame.where("assigned"))
        given = given[given > self.begin[at]]
        same = self.facts.groups[self.frame.process[given]] == self.group[at]
        return bool(np.any(same & (place(self.frame, given) == self.place[at])))

    def changed(self, at: int, off: int) -> Frame:
        copy = self.frame.copy()
        copy.off[self.rows[at]] = off
        return copy

    def shuffled(self, which: Any, pick: Random) -> list[int]:
        found = np.flatnonzero(which).tolist()
        pick.shuffle(found)
        return found


def commit_ahead(facts: Facts, pick: Random) -> Frame | None:
    """A reading shows more than the group was given, and skips an acknowledged record, if any."""
    offsets, frame, rows = facts.once(_Offsets), facts.frame, facts.deliveries
    begins = np.array([facts.start(row) for row in rows.tolist()], np.int64)
    plain = facts.acks[~facts.per_client(facts.acks, lambda c: c.get("transactional_id"))]
    group, where = facts.groups[frame.process[rows]], place(frame, rows)
    for at in offsets.shuffled(offsets.reading & offsets.earliest(), pick):
        own = (group == offsets.group[at]) & (where == offsets.place[at])
        top = int(frame.off[rows][own & (begins < offsets.rows[at])].max(initial=-1))
        acks = frame.off[plain][place(frame, plain) == offsets.place[at]]
        above = acks[acks > top]
        if offsets.moved(offsets.group[at], offsets.place[at]) or offsets.passed_on(at):
            continue
        if len(above):
            return offsets.changed(at, int(above.min()) + 1)
        if not any(c.get("transactional_id") for c in facts.clients.values()):
            return offsets.changed(at, top + 1 + pick.randint(1, 5))
    return None


def commit_lost(facts: Facts, pick: Random) -> Frame | None:
    """A reading shows less than a commit that was acknowledged before it."""
    offsets = facts.once(_Offsets)
    for at in offsets.shuffled(offsets.reading, pick):
        before = _before(offsets, at) & ~offsets.reading
        if before.any() and not offsets.moved(offsets.group[at], offsets.place[at]):
            least = int(offsets.off[np.flatnonzero(before)].min())
            return offsets.changed(at, pick.choice([-1, least - 1]))
    return None


def _before(offsets: _Offsets, at: int) -> Any:
    """Observations of the same partition that had ended before this one began."""
    same = (offsets.group == offsets.group[at]) & (offsets.place == offsets.place[at])
    return same & (offsets.rows < offsets.begin[at])


def commit_regression(facts: Facts, pick: Random) -> Frame | None:
    """An observation lies below an earlier one, and no acknowledged commit is lost by that."""
    offsets = facts.once(_Offsets)
    for at in offsets.shuffled(np.ones(len(offsets.rows), bool), pick):
        before = _before(offsets, at)
        lost = offsets.reading[at] and bool(np.any(before & ~offsets.reading))
        most = int(offsets.off[before].max(initial=-1))
        others = (offsets.group == offsets.group[at]) & (offsets.place == offsets.place[at])
        others &= offsets.rows != offsets.rows[at]
        if offsets.off[others].max(initial=-1) < offsets.off[at]:
            continue  # nobody else saw that much: it would be missing, too
        if not lost and most > 0 and not offsets.moved(offsets.group[at], offsets.place[at]):
            return offsets.changed(at, most - 1)
    return None


def setback(facts: Facts, pick: Random) -> Frame | None:
    """The offsets topic holds an offset that falls back, which nobody saw and nobody asked for."""
    offsets, frame = facts.once(_Offsets), facts.frame
    rows = np.flatnonzero(frame.where("offset_commits", OK) & (frame.off > 0)).tolist()
    pick.shuffle(rows)
    for row in rows:
        group = offsets.named(frame.words["detail"][frame.detail[row]])
        if not offsets.moved(group, int(place(frame, [row])[0])):
            back = frame.take([row])
            back.off[:] -= pick.randint(1, int(frame.off[row]))
            back.took[:] += pick.choice([0, MS])
            return frame.insert(row + 1, back)
    return None


def commit_behind(facts: Facts, pick: Random) -> Frame | None:
    """The last reader of a partition had auto-commit and closed; its last record is missing."""
    offsets, frame = facts.once(_Offsets), facts.frame
    closed = np.flatnonzero(frame.where("close", OK))
    group = facts.groups[frame.process[facts.deliveries]]
    for at in offsets.shuffled(offsets.reading, pick):
        own = (group == offsets.group[at]) & (place(frame, facts.deliveries) == offsets.place[at])
        if not own.any():
            continue
        last = int(facts.deliveries[own].max())
        client = facts.clients[int(frame.process[last])]
        ends = closed[(closed > last) & (frame.process[closed] == frame.process[last])]
        same = (offsets.group == offsets.group[at]) & (offsets.place == offsets.place[at])
        told = not offsets.reading[same].all()
        if not client.get("auto_commit") or not len(ends) or told or offsets.begin[at] < ends[0]:
            continue
        if offsets.moved(offsets.group[at], offsets.place[at]):
            continue
        copy = frame.copy()
        rows = offsets.rows[same]
        copy.off[rows] = np.minimum(copy.off[rows], frame.off[last])
        return copy
    return None


# ---- liveness


def startup(facts: Facts, pick: Random) -> Frame | None:
    """An `open` takes too long, while there is nothing to read yet."""
    frame = facts.frame
    opened = frame.where("open", OK)
    known = np.flatnonzero(frame.where("send", OK))
    first = int(known[0]) if len(known) else len(frame)
    asked, ended = (np.cumsum(frame.where("close", type_)) for type_ in (INVOKE, OK))
    at = _one(opened & (np.arange(len(frame)) < first) & (asked == ended), pick)  # none hangs by it
    return None if at is None else frame.later(at, 31 * SECOND)


def stall(facts: Facts, pick: Random) -> Frame | None:
    """A record that was acknowledged is given to a member of a group 12 s later than it was."""
    frame, rows = facts.frame, facts.deliveries
    acked = dict(zip(facts.spot(facts.acks).tolist(), facts.acks.tolist(), strict=True))
    group = facts.groups[frame.process[rows]]
    candidates = np.flatnonzero(facts.due & facts.acked).tolist()
    pick.shuffle(candidates)
    for at in candidates:
        row = int(rows[at])
        own = (group == group[at]) & (place(frame, rows) == place(frame, rows[at]))
        first = not np.any(own & (rows < row) & (frame.off[rows] >= frame.off[row]))
        poll = np.flatnonzero(
            (frame.process == frame.process[row]) & (frame.op_id == frame.op_id[row])
            & frame.where("poll", OK)
        )  # fmt: skip
        if first and acked[int(facts.spots[at])] < poll[0]:
            return frame.later(int(poll[0]), 12 * SECOND)
    return None


def hung_close(facts: Facts, pick: Random) -> Frame | None:
    """A close at the end, after the last delivery, takes too long."""
    frame = facts.frame
    last = facts.deliveries.max(initial=-1)
    at = _one(frame.where("close", OK) & (np.arange(len(frame)) > last), pick)
    return None if at is None else frame.later(at, 16 * SECOND)
