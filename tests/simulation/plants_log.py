"""Plants of the log and order families: each edits a healthy history, or finds no place in it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np

from .facts import _OFFSETS, Facts, place
from .frame import FAIL, INFO, NO_OFFSET, NO_VALUE, NONE, Frame
from .guests import Insert, free_name
from .world import SECOND

_PATIENCE_NS = 9 * SECOND  # less than a stall
_PLAIN = {"headers": [], "key": None, "value": "payload"}


def _one(found: Any, pick: Random) -> int | None:
    """A number of `found`, a mask; None where it is nowhere true."""
    places = np.flatnonzero(found)
    return int(places[pick.randrange(len(places))]) if len(places) else None


def _followed(facts: Facts) -> Any:
    """Of each delivery: the poll that gave it also gave a higher offset of the partition."""
    off = facts.frame.off[facts.deliveries]
    after = np.zeros(len(off), bool)
    after[:-1] = facts.within[1:] & (off[1:] > off[:-1])
    return after


def lost_write(facts: Facts, pick: Random) -> Frame | None:
    """An acknowledged record is given to nobody, though each poll that gave it went past it."""
    everywhere = facts.every(_followed(facts))
    at = _one(everywhere & facts.acked & facts.due & facts.plain, pick)
    if at is None:
        return None
    return facts.without(facts.deliveries[facts.spots == facts.spots[at]])


def unseen(facts: Facts, pick: Random) -> Frame | None:
    """The last record of a partition is acknowledged and given to nobody.

    Its readers do not wait for it for as long as would be a stall, nobody was told to go on beyond
    it, and no transaction that may be open for ever lies below it.
    """
    where = facts.spots // _OFFSETS
    last = np.array([facts.spots[where == w].max(initial=-1) for w in where], np.int64)
    frame = facts.frame
    end = frame.time[np.flatnonzero(frame.where("poll"))].max(initial=0)
    fresh = facts.acks[frame.time[facts.acks] > end - _PATIENCE_NS]
    brief = np.isin(facts.spots, facts.spot(fresh)) & ~np.isin(where, facts.undecided)
    moves = np.flatnonzero((frame.where("seek") | frame.where("assign")) & (frame.off >= 0))
    for move in facts.spot(moves).tolist():
        brief &= (where != move // _OFFSETS) | (facts.spots >= move)
    at = _one((facts.spots == last) & facts.acked & facts.due & facts.plain & brief, pick)
    if at is None:
        return None
    return facts.without(facts.deliveries[facts.spots == facts.spots[at]])


def aborted_read(facts: Facts, pick: Random) -> Frame | None:
    """A record that was read had failed for certain."""
    at = _one(facts.acked, pick)
    return None if at is None else _ended(facts, facts.spots[at], FAIL)


def _ended(facts: Facts, spot: int, kind: int) -> Frame:
    """The send of the record at a spot ended otherwise, without an offset."""
    copy = facts.frame.copy()
    rows = facts.acks[facts.spot(facts.acks) == spot]
    copy.type[rows], copy.off[rows] = kind, NO_OFFSET
    copy.error[rows] = copy.word("error", "SOME_ERROR")
    return copy


def duplicate(facts: Facts, pick: Random) -> Frame | None:
    """A record of unknown outcome is not there, and another one lies there a second time."""
    frame, rows = facts.frame, facts.deliveries
    at = _one(facts.acked & facts.plain, pick)
    if at is None:
        return None
    same = place(frame, rows) == place(frame, rows[at])
    first = rows[facts.spots == facts.spots[at]].min()
    before = facts.sent(rows) < first  # nothing is read before it was sent
    same &= facts.plain
    other = _one(same & before & (frame.value[rows] != frame.value[rows[at]]), pick)
    if other is None:
        return None
    copy = _ended(facts, facts.spots[at], INFO)
    there = rows[facts.spots == facts.spots[at]]
    for name in ("value", "detail"):
        copy.columns[name][there] = frame.columns[name][rows[other]]
    return copy


def delivered_twice(facts: Facts, pick: Random) -> Frame | None:
    """A poll, or the next one, gives a record again."""
    at = _one(np.ones(len(facts.deliveries), bool), pick)
    if at is None:
        return None
    row = int(facts.deliveries[at])
    again = facts.frame.take([row])
    onward = at + 1 < len(facts.deliveries) and facts.linked[at + 1] and not facts.within[at + 1]
    if onward and pick.random() < 0.5:
        row = int(facts.deliveries[at + 1]) - 1
        for name in ("time", "op_id"):
            again.columns[name][:] = facts.frame.columns[name][row + 1]
    return facts.frame.insert(row + 1, again)


def inconsistent_offsets(facts: Facts, pick: Random) -> Frame | None:
    """One delivery of a record holds another value."""
    at = _one(facts.acked | (facts.witnessed > 1), pick)
    if at is None:
        return None
    copy = facts.frame.copy()
    copy.value[facts.deliveries[at]] += np.uint64(50_000)
    return copy


def corrupt_value(facts: Facts, pick: Random) -> Frame | None:
    """A delivery is damaged, or holds what nobody sent."""
    at = _one(np.ones(len(facts.deliveries), bool), pick)
    if at is None:
        return None
    copy, row = facts.frame.copy(), facts.deliveries[at]
    copy.problem[row] = pick.randrange(4)
    copy.value[row], copy.itopic[row], copy.ipart[row] = NO_VALUE, NONE, NONE
    copy.detail[row] = NONE
    return copy


def wrong_topic(facts: Facts, pick: Random) -> Frame | None:
    """A payload says that it was sent elsewhere."""
    at = _one(np.ones(len(facts.deliveries), bool), pick)
    if at is None:
        return None
    copy, row = facts.frame.copy(), facts.deliveries[at]
    copy.ipart[row] += pick.choice([1, 7])
    return copy


def null_becomes_empty(facts: Facts, pick: Random) -> Frame | None:
    """A key that was null is empty."""
    return _content(facts, pick, {"key": ""})


def changed_content(facts: Facts, pick: Random) -> Frame | None:
    """A key is another one, or a header was added."""
    return _content(facts, pick, pick.choice([{"key": "other"}, {"headers": [["z", "9"]]}]))


def _content(facts: Facts, pick: Random, change: dict[str, Any]) -> Frame | None:
    at = _one(facts.frame.detail[facts.deliveries] == NONE, pick)
    if at is None:
        return None
    copy = facts.frame.copy()
    text = json.dumps({"content": {**_PLAIN, **change}}, sort_keys=True)
    copy.detail[facts.deliveries[at]] = copy.word("detail", text)
    return copy


# ---- order


def early_read(facts: Facts, pick: Random) -> Frame | None:
    """A guest was given a record, and had closed, before the record was sent."""
    whole = facts.frame.detail[facts.deliveries] == NONE
    at = _one(facts.plain & whole & facts.read_on(facts.deliveries), pick)
    if at is None:
        return None
    frame, row = facts.frame, int(facts.deliveries[at])
    before = facts.start(int(facts.sent(np.array([row]))[0]))
    guest = Insert(frame, free_name(frame, "guest"), before)
    given = {name: frame.columns[name][row] for name in ("value", "itopic", "ipart")}
    guest.read(int(frame.topic[row]), int(frame.part[row]), int(frame.off[row]), **given)
    return guest.join()


def _skip(facts: Facts, pick: Random, within: bool) -> Frame | None:
    """A client leaves out a record that somebody else, or it at another time, was given."""
    others = (facts.witnessed > 1) & facts.plain
    before = facts.within if within else facts.linked & ~facts.within
    off = facts.frame.off[facts.deliveries]
    rises = np.zeros(len(off), bool)
    rises[1:] = off[1:] > off[:-1]
    at = _one(others & before & rises & _followed(facts), pick)
    if at is None:
        return None
    return facts.without(facts.deliveries[at : at + 1])


def poll_skip(facts: Facts, pick: Random) -> Frame | None:
    """Left out at the beginning of a poll."""
    return _skip(facts, pick, within=False)


def int_poll_skip(facts: Facts, pick: Random) -> Frame | None:
    """Left out in the middle of a poll."""
    return _skip(facts, pick, within=True)


def _disorder(facts: Facts, pick: Random, which: Any) -> Frame | None:
    """A delivery and the one before it change places."""
    off = facts.frame.off[facts.deliveries]
    rises = np.zeros(len(off), bool)
    rises[1:] = off[1:] > off[:-1]
    rises[1:] &= facts.sent(facts.deliveries)[1:] < facts.deliveries[:-1]
    rises &= facts.plain | facts.within  # nor is one read before its transaction commits
    at = _one(which & rises, pick)
    if at is None:
        return None
    copy = facts.frame.copy()
    one, other = facts.deliveries[at - 1], facts.deliveries[at]
    for name in ("off", "value", "detail"):
        column = facts.frame.columns[name]
        copy.columns[name][one], copy.columns[name][other] = column[other], column[one]
    return copy


def nonmonotonic_poll(facts: Facts, pick: Random) -> Frame | None:
    """The last of a poll comes after the first of the next."""
    return _disorder(facts, pick, facts.linked & ~facts.within)


def int_nonmonotonic_poll(facts: Facts, pick: Random) -> Frame | None:
    """Two records of a poll change places."""
    return _disorder(facts, pick, facts.within)


def _sent(facts: Facts, ordered: bool) -> tuple[Any, Any]:
    """Acknowledged sends by client, partition and offset; whether the one before is its own."""
    frame, rows = facts.frame, facts.acks
    rows = rows[~facts.per_client(rows, lambda c: c.get("transactional_id"))]
    if ordered:
        rows = rows[facts.per_client(rows, lambda c: c.get("idempotence"))]
    rows = rows[np.lexsort((frame.off[rows], place(frame, rows), frame.process[rows]))]
    where = place(frame, rows)
    own = np.zeros(len(rows), bool)
    own[1:] = (where[1:] == where[:-1]) & (frame.process[rows][1:] == frame.process[rows][:-1])
    return rows, own


def nonmonotonic_send(facts: Facts, pick: Random) -> Frame | None:
    """The last record of a command lies above the first of the next, which was sent later."""
    rows, own = _sent(facts, ordered=False)
    ids = facts.frame.op_id[rows]
    for at in pick.sample(range(1, max(1, len(rows))), max(0, len(rows) - 1)):
        if not own[at] or ids[at] == ids[at - 1]:
            continue
        lower, upper = facts.spot(rows[at - 1 : at + 1]).tolist()
        sent = facts.start(rows[at])
        given = facts.deliveries[facts.spots == lower]
        if len(given) and given.min() > sent and np.any(facts.spots == upper):
            return facts.swapped(lower, upper)
    return None


def int_nonmonotonic_send(facts: Facts, pick: Random) -> Frame | None:
    """Two records of a command of a producer that keeps the order change places."""
    rows, own = _sent(facts, ordered=True)
    ids = facts.frame.op_id[rows]
    same = own.copy()
    same[1:] &= ids[1:] == ids[:-1]
    spots = facts.spot(rows)
    seen = np.isin(spots, facts.spots)
    same[1:] &= seen[1:] & seen[:-1]
    at = _one(same, pick)
    return None if at is None else facts.swapped(int(spots[at - 1]), int(spots[at]))
