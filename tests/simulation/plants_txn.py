"""Plants of the transactions family."""

from __future__ import annotations

import json
from functools import cached_property
from random import Random
from typing import Any

import numpy as np

from .facts import Facts, place
from .frame import INVOKE, NONE, OK, PROBLEMS, Frame
from .guests import Insert, free_name
from .plants_log import _followed, _one


class _Transactions:
    """Acknowledged sends of transactional clients, and the transaction of each."""

    def __init__(self, facts: Facts) -> None:
        self.facts, self.frame = facts, facts.frame
        frame = self.frame
        mine = facts.per_client(facts.acks, lambda c: c.get("transactional_id"))
        self.rows = facts.acks[mine]
        steps = np.flatnonzero(frame.where("txn", INVOKE))
        action = self.actions[frame.detail[steps]]
        ends = [
            self._next(row, steps[np.isin(action, ("commit", "abort"))])
            for row in self.rows.tolist()
        ]
        self.end = np.array(ends, np.int64)  # the invoke of what ended it; -1: nothing did
        self.begin = np.array(
            [self._last(row, steps[action == "begin"]) for row in self.rows.tolist()]
        )
        self.outcome = np.array([self._outcome(row) for row in ends], np.int64)
        safe = np.maximum(self.end, 0)
        self.committed = (self.outcome == OK) & (self.actions[frame.detail[safe]] == "commit")
        self.aborted = (self.outcome == OK) & (self.actions[frame.detail[safe]] == "abort")

    @cached_property
    def read_on(self) -> Any:
        """Of each row: whether a guest there owes nothing."""
        return self.facts.read_on(self.rows, never=self.rows[self.aborted])

    @cached_property
    def actions(self) -> Any:
        words = [json.loads(w) if w.startswith("{") else {} for w in self.frame.words["detail"]]
        return np.array([str(word.get("action", "")) for word in words] + [""])

    def _next(self, row: int, steps: Any) -> int:
        later = steps[(steps > row) & (self.frame.process[steps] == self.frame.process[row])]
        return int(later[0]) if len(later) else NONE

    def _last(self, row: int, steps: Any) -> int:
        before = steps[(steps < row) & (self.frame.process[steps] == self.frame.process[row])]
        return int(before[-1]) if len(before) else NONE

    def _outcome(self, row: int) -> int:
        frame = self.frame
        if row == NONE:
            return NONE
        same = (frame.process == frame.process[row]) & (frame.op_id == frame.op_id[row])
        done = np.flatnonzero(same & (frame.type != INVOKE))
        return int(frame.type[done[0]]) if len(done) else NONE


def _seen_by_guest(facts: Facts, row: int, at: int) -> Frame:
    """A guest that reads committed records only is given the record of an acknowledged send."""
    frame = facts.frame
    guest = Insert(frame, free_name(frame, "guest"), at)
    topic, part = int(frame.topic[row]), int(frame.part[row])
    sent = int(facts.sent(np.array([row]))[0])
    guest.read(
        topic, part, int(frame.off[row]), value=frame.value[row], itopic=topic, ipart=part,
        detail=int(frame.detail[sent]),
    )  # fmt: skip
    return guest.join()


def precommitted_read(facts: Facts, pick: Random) -> Frame | None:
    """A reader is given a record before its transaction is asked to commit."""
    txns = facts.once(_Transactions)
    at = _one(txns.committed & txns.read_on, pick)
    if at is None:
        return None
    return _seen_by_guest(facts, int(txns.rows[at]), int(txns.end[at]))


def aborted_read(facts: Facts, pick: Random) -> Frame | None:
    """A reader is given a record of a transaction that was aborted."""
    txns = facts.once(_Transactions)
    at = _one(txns.aborted & txns.read_on, pick)
    if at is None:
        return None
    return _seen_by_guest(facts, int(txns.rows[at]), len(facts.frame))


def torn_transaction(facts: Facts, pick: Random) -> Frame | None:
    """A record of a transaction is given to nobody, though another one of it was."""
    txns = facts.once(_Transactions)
    spots = facts.spot(txns.rows)
    reader = facts.per_client(facts.deliveries, lambda c: c.get("isolation") == "read_committed")
    visible = np.isin(spots, facts.spots[reader])
    whole = facts.every(_followed(facts))
    missing = np.isin(spots, facts.spots[whole & reader & facts.due])
    for at in pick.sample(range(len(spots)), len(spots)):
        same = (txns.begin == txns.begin[at]) & visible
        same[at] = False
        if txns.committed[at] and missing[at] and same.any():
            return facts.without(facts.deliveries[facts.spots == spots[at]])
    return None


def zombie_write(facts: Facts, pick: Random) -> Frame | None:
    """Another producer takes over the transactional id, and the first one goes on."""
    txns, frame = facts.once(_Transactions), facts.frame
    at = _one(np.ones(len(txns.rows), bool), pick)
    if at is None:
        return None
    row = facts.start(int(txns.rows[at]))
    name = facts.clients[int(frame.process[row])]["transactional_id"]
    guest = Insert(frame, free_name(frame, "guest"), row)
    config = {"acks": -1, "transactional_id": name}
    guest.say(1, "open", {"role": "producer", "config": config})
    guest.say(2, "txn", {"action": "init"}, both=True)
    guest.say(3, "close")
    return guest.join()


def control_batch_leak(facts: Facts, pick: Random) -> Frame | None:
    """A reader is given the marker that ended a transaction."""
    txns, frame = facts.once(_Transactions), facts.frame
    tops: dict[tuple[int, int], int] = {}
    for row, ended in zip(txns.rows.tolist(), txns.committed.tolist(), strict=True):
        where = int(place(frame, [row])[0])
        if ended:
            tops[where, row] = int(frame.off[row]) + 1
    known = set(facts.spots.tolist()) | set(facts.spot(facts.acks).tolist())
    found = [
        (row, off)
        for (_, row), off in tops.items()
        if int(facts.spot(np.array([row]))[0]) + 1 not in known and _is_gap(facts, row, off)
    ]
    if not found:
        return None
    row, off = pick.choice(found)
    content = {"headers": [], "key": "\x00\x00\x00\x01", "value": "\x00\x00\x00\x00\x00\x00"}
    guest = Insert(frame, free_name(frame, "guest"), len(frame))
    word = guest.frame.word("detail", json.dumps({"content": content}, sort_keys=True))
    guest.read(
        int(frame.topic[row]), int(frame.part[row]), off,
        problem=PROBLEMS.index("short"), detail=word,
    )  # fmt: skip
    return guest.join()


def _is_gap(facts: Facts, row: int, off: int) -> bool:
    """Whether a group that reads all was given something behind the offset.

    So no record is just missing there, and a guest that begins there owes nothing behind it.
    """
    here = facts.due & (place(facts.frame, facts.deliveries) == place(facts.frame, [row])[0])
    return bool((facts.frame.off[facts.deliveries][here] > off).any())
