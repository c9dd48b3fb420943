"""Plants of the group family."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from .facts import Facts, place
from .frame import EVENT, INVOKE, NONE, OK, OP, Frame
from .guests import Insert
from .plants_log import _followed
from .plants_rest import _Offsets
from .world import MS, SECOND

_ID = 1_000_000  # of inserted commands
_LOSES = (OP["revoked"], OP["lost"], OP["kill"])
_CHANGES = (*_LOSES, OP["assigned"], OP["subscribe"], OP["close"], OP["open"])


class _Owners:
    """Who was assigned what, and what ended that."""

    def __init__(self, facts: Facts) -> None:
        self.facts, self.frame = facts, facts.frame
        frame = self.frame
        self.place = place(frame, np.arange(len(frame)))
        self.given = np.flatnonzero(frame.where("assigned"))
        self.group = facts.groups[frame.process]

    def end(self, row: int, where: int | None = None) -> int:
        """The row that ends what `row` assigned; past the end if nothing does."""
        frame = self.frame
        mine = frame.process == frame.process[row]
        gone = np.isin(frame.op, _LOSES[:2]) & (self.place == (where or self.place[row]))
        over = (frame.where("close", INVOKE)) | frame.where("kill") | gone
        after = np.flatnonzero(mine & over & (np.arange(len(frame)) > row))
        return int(after[0]) if len(after) else len(frame)

    def grows(self, row: int) -> bool:
        """Whether an incremental member is given more later on: one too many would be needless."""
        process, end = self.frame.process, self.end(row)
        own = self.given[process[self.given] == process[row]]
        more = own[(self.frame.time[own] > self.frame.time[row]) & (own < end)]
        return len(more) > 0 and not _eager(self.facts, int(process[row]))

    def next_invoke(self, process: int, row: int) -> int | None:
        """Where rows of a client can be put in after `row`: before the next command of its."""
        frame = self.frame
        mine = (frame.process == process) & (np.arange(len(frame)) > row) & (frame.type == INVOKE)
        found = np.flatnonzero(mine)
        return int(found[0]) if len(found) and frame.op[found[0]] != OP["close"] else None

    def quiet(self, before_ns: int, after_ns: int) -> list[tuple[int, int]]:
        """Assignments that a group leaves alone for long: the row, and a later poll of the owner.

        The poll begins `before_ns` after the group's last change, `after_ns` before its next.
        """
        frame, found = self.frame, []
        changes = np.isin(frame.op, _CHANGES) & (self.group != NONE)
        polls = frame.where("poll", INVOKE)
        for row in self.given.tolist():
            end = self.end(row)
            times = frame.time[changes & (self.group == self.group[row])]
            last = times[times < frame.time[min(end, len(frame) - 1)]].max(initial=0)
            upcoming = times[times > last].min(initial=np.iinfo(np.int64).max)
            mine = polls & (frame.process == frame.process[row])
            mine &= (frame.time > last + before_ns) & (frame.time < upcoming - after_ns)
            given = self.facts.deliveries[frame.time[self.facts.deliveries] > last]
            at = np.flatnonzero(mine)
            still = len(at) and not np.any(self.group[given] == self.group[row])
            if still and last >= frame.time[row] and self.end(row) > at[0]:
                found.append((row, int(at[0])))
        return found


def double_owner(facts: Facts, pick: Random) -> Frame | None:
    """A member's list names a partition that another was given in the same generation."""
    owners, frame = facts.once(_Owners), facts.frame
    pairs = [
        (one, other)
        for one in owners.given.tolist()
        for other in owners.given.tolist()
        if one < other
        and frame.gen[one] == frame.gen[other] != NONE
        and owners.group[one] == owners.group[other]
        and frame.process[one] != frame.process[other]
        and owners.end(one) > other
        and not owners.grows(other)
    ]
    if not pairs:
        return None
    one, other = pick.choice(pairs)
    more = frame.take([other])
    more.topic[:], more.part[:] = frame.topic[one], frame.part[one]
    end = owners.end(other)
    copy = frame
    if end < len(frame) and frame.op[end] in _LOSES[:2]:
        over = frame.take([end])
        over.topic[:], over.part[:] = frame.topic[one], frame.part[one]
        copy = copy.insert(end, over)
    return copy.insert(other + 1, more)


def consumed_after_revoke(facts: Facts, pick: Random) -> Frame | None:
    """A member polls after a revocation, and is given the last record again."""
    owners, frame, rows = facts.once(_Owners), facts.frame, facts.deliveries
    revoked = np.flatnonzero(frame.where("revoked")).tolist()
    pick.shuffle(revoked)
    for row in revoked:
        mine = (frame.process[rows] == frame.process[row]) & (rows < row)
        mine &= place(frame, rows) == owners.place[row]
        at = owners.next_invoke(int(frame.process[row]), row)
        if not mine.any() or at is None:
            continue
        again = owners.given[(owners.given > row) & (owners.given < at)]
        if np.any(frame.process[again] == frame.process[row]):
            continue
        late = (frame.process[rows] == frame.process[row]) & (rows > row) & (rows < at)
        if np.any(late & (place(frame, rows) == owners.place[row])):
            continue  # by a poll that was under way: given anew below that, it would step back
        last = int(rows[mine].max())
        more = Insert(frame, int(frame.process[row]), at, gap_ns=200 * MS)
        more.wait(100 * MS)
        given = {name: frame.columns[name][last] for name in _RECORD}
        more.say(_ID, "poll", **given)
        return more.join()
    return None


_RECORD = ("topic", "part", "off", "value", "itopic", "ipart", "detail")


def _starts(facts: Facts) -> Any:
    """Of each delivery: it is the first of a partition after it was assigned to a member."""
    owners, frame, rows = facts.once(_Owners), facts.frame, facts.deliveries
    found = np.zeros(len(rows), bool)
    for row in owners.given.tolist():
        mine = (rows > row) & (rows < owners.end(row)) & (frame.process[rows] == frame.process[row])
        mine &= place(frame, rows) == owners.place[row]
        if mine.any():
            found[np.flatnonzero(mine)[np.argmin(rows[mine])]] = True
    return found & ~facts.linked


def _sought(facts: Facts, at: int) -> bool:
    """Whether the group of a delivery moved the position of its partition by command."""
    frame, row = facts.frame, facts.deliveries[at]
    moves = np.flatnonzero(frame.where("seek") | frame.where("assign"))
    same = facts.groups[frame.process[moves]] == facts.groups[frame.process[row]]
    return bool(np.any(same & (place(frame, moves) == place(frame, [row])[0])))


def skipped_past_commit(facts: Facts, pick: Random) -> Frame | None:
    """A new owner begins one record too far on, and nobody else of the group was given it."""
    frame, rows = facts.frame, facts.deliveries
    group = facts.groups[frame.process[rows]]
    fits = _starts(facts) & _followed(facts) & facts.due & facts.plain & (facts.witnessed > 1)
    candidates = np.flatnonzero(fits).tolist()
    pick.shuffle(candidates)
    for at in candidates:
        own = (group == group[at]) & (place(frame, rows) == place(frame, rows[at]))
        once = np.count_nonzero(own & (facts.spots == facts.spots[at])) == 1
        below = np.any(own & (rows < rows[at]) & (frame.off[rows] < frame.off[rows[at]]))
        if once and below and not _sought(facts, at):
            return facts.without(rows[at : at + 1])
    return None


def reread_below_commit(facts: Facts, pick: Random) -> Frame | None:
    """A new owner begins one record before what was known to be committed."""
    frame, rows, offsets = facts.frame, facts.deliveries, facts.once(_Offsets)
    group = facts.groups[frame.process[rows]]
    owners = facts.once(_Owners)
    candidates = np.flatnonzero(_starts(facts) & facts.due).tolist()
    pick.shuffle(candidates)
    for at in candidates:
        row, where = int(rows[at]), int(place(frame, rows[at : at + 1])[0])
        given = owners.given[(owners.given < row) & (owners.place[owners.given] == where)]
        given = given[frame.process[given] == frame.process[row]].max(initial=0)
        known = (offsets.group == group[at]) & (offsets.place == where)
        known &= frame.time[offsets.rows] < frame.time[given] - 100 * MS
        own = (group == group[at]) & (place(frame, rows) == where) & (rows < row)
        before = rows[own & (frame.off[rows] == frame.off[row] - 1)]
        least = offsets.off[known].max(initial=-1)
        if not len(before) or least < frame.off[row] or offsets.moved(group[at], where):
            continue
        more = frame.take([int(before[-1])])
        for name in ("time", "process", "op_id"):
            more.columns[name][:] = frame.columns[name][row]
        return frame.insert(row, more)
    return None


def orphan_partition(facts: Facts, pick: Random) -> Frame | None:
    """A partition is revoked, and nobody gets it."""
    owners, frame = facts.once(_Owners), facts.frame
    found = [
        (row, at)
        for row, at in owners.quiet(SECOND, 30 * SECOND)
        if np.count_nonzero(_held(owners, row, at)) > 1
    ]
    if not found:
        return None
    row, at = pick.choice(found)
    more = Insert(frame, int(frame.process[row]), at)
    more.event("revoked", int(frame.topic[row]), int(frame.part[row]), int(frame.gen[row]))
    return more.join()


def _held(owners: _Owners, row: int, at: int) -> Any:
    """Assignments of the client of `row` that hold at `at`."""
    same = owners.frame.process[owners.given] == owners.frame.process[row]
    given = owners.given[same & (owners.given < at)].tolist()
    return np.array([owners.end(one) > at for one in given], bool)


def needless_move(facts: Facts, pick: Random) -> Frame | None:
    """A cooperative member gives a partition up and gets it again, though nothing changed."""
    owners, frame = facts.once(_Owners), facts.frame
    found = [
        (row, at)
        for row, at in owners.quiet(20 * SECOND, 16 * SECOND)
        if not _eager(facts, int(frame.process[row]))
    ]
    if not found:
        return None
    row, at = pick.choice(found)
    gen = int(frame.gen[row])
    more = Insert(frame, int(frame.process[row]), at)
    where = int(frame.topic[row]), int(frame.part[row])
    more.event("revoked", *where, gen)
    more.event("assigned", *where, gen if gen == NONE else gen + 1)
    return more.join()


def _eager(facts: Facts, client: int) -> bool:
    config = facts.clients[client]
    return "assignor" not in config and "group_protocol" not in config


def rounds_to_converge(facts: Facts, pick: Random) -> Frame | None:
    """The only member of an eager group is given its list again and again."""
    owners, frame = facts.once(_Owners), facts.frame
    found = []
    for row, at in owners.quiet(18 * SECOND, 18 * SECOND):
        client = int(frame.process[row])
        alone = not any(
            owners.group[other] == owners.group[row] and owners.end(other) > at
            for other in owners.given[frame.process[owners.given] != client].tolist()
        )
        if alone and _eager(facts, client) and frame.gen[row] != NONE:
            found.append((row, at))
    if not found:
        return None
    row, at = pick.choice(found)
    client = int(frame.process[row])
    mine = [r for r in owners.given[frame.process[owners.given] == client] if owners.end(r) > at]
    more = Insert(frame, client, at)
    for n in range(6):
        for op in ("revoked", "assigned"):
            for r in mine:
                gen = int(frame.gen[r]) + n + (op == "assigned")
                more.event(op, int(frame.topic[r]), int(frame.part[r]), gen)
    return more.join()


def paused_lost(facts: Facts, pick: Random) -> Frame | None:
    """Nobody resumed a partition that a rebalance had left alone, and it is given out."""
    owners, frame, rows = facts.once(_Owners), facts.frame, facts.deliveries
    pauses = np.flatnonzero(frame.where("pause", OK) & (owners.group != NONE)).tolist()
    pick.shuffle(pauses)
    for row in pauses:
        mine, here = frame.process == frame.process[row], owners.place == owners.place[row]
        after = np.arange(len(frame)) > row
        resumed = np.flatnonzero(mine & here & after & frame.where("resume", INVOKE))
        taken = np.flatnonzero(mine & here & after & np.isin(frame.op, _LOSES))
        if not len(resumed) or (len(taken) and taken[0] < resumed[0]):
            continue
        moved = mine & ~here & after & (frame.type == EVENT) & (np.arange(len(frame)) < resumed[0])
        moved &= np.isin(frame.op, (OP["assigned"], OP["revoked"]))
        gives = rows[(frame.process[rows] == frame.process[row]) & (rows > resumed[0])]
        gives = gives[owners.place[gives] == owners.place[row]]
        until = taken[0] if len(taken) else len(frame)
        paused = np.flatnonzero(mine & here & frame.where("pause", INVOKE) & after)
        until = min(until, paused[0] if len(paused) else len(frame))
        if not moved.any() or not len(gives) or gives.min() > until:
            continue
        begun = frame.time[facts.start(int(gives.min()))]
        if begun < frame.time[np.flatnonzero(moved)[-1]] + 60 * MS:
            continue
        command = mine & (frame.op_id == frame.op_id[resumed[0]]) & (frame.op == OP["resume"])
        return frame.take(~(command & here))
    return None
