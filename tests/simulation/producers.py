"""Producers: what they send, what becomes of it, and transactions.

The fate of a record: OK (in the log, acknowledged), THERE and GONE (outcome unknown: in the log,
or not), FAILED (certainly not in the log). An idempotent producer keeps the order of its records;
another one may append those of one command in any order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from .frame import FAIL, INFO, INVOKE, NO_OFFSET, NONE, OK
from .world import MS, Actor, Steps, World

FINE, THERE, GONE, FAILED = range(4)
_TYPES = np.array([OK, INFO, INFO, FAIL], np.int8)
_ERRORS = ("REQUEST_TIMED_OUT", "MESSAGE_TOO_LARGE")


class Producer(Actor):
    """One producer.

    Args:
        acks: -1, 1, or 0: nothing is promised and no offset is told.
        idempotent: it keeps the order of its records.
        transactional: its transactional id, or None.
    """

    def __init__(
        self, world: World, name: str, acks: int = -1, idempotent: bool = True,
        transactional: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(world, name)
        self.acks = acks
        self.ordered = idempotent or transactional is not None
        self.config: dict[str, Any] = {"acks": acks, "idempotence": idempotent}
        if transactional:
            self.config["transactional_id"] = transactional
        self.finished = False
        self.fenced = False
        self.touched: dict[Any, list[Any]] = {}  # log → offsets in the open transaction

    def start(self) -> Steps:
        yield from self.open("producer", **self.config)

    def send(
        self, topic: str, parts: Any, fates: Any, chosen: bool = False, contents: Any = NONE,
        takes: int | None = None,
    ) -> Steps:  # fmt: skip
        """One command; `chosen`: the client picks the partitions, and tells where records went.

        Args:
            parts: partition of each record.  fates: of each record.
            contents: number of the word of each record's content; NONE is plain.
            takes: nanoseconds from effect to completion.
        """
        world, count = self.world, len(parts)
        values, op_id = world.new_values(count), self.next_id()
        number = world.book.word("topic", topic)
        told = np.full(count, NONE, np.int32) if chosen else parts
        self.row(
            INVOKE, "send", op_id, count, topic=number, part=told, value=values, detail=contents
        )
        yield world.brief()
        fates = np.full(count, FAILED) if self.fenced else fates
        offsets = self._append(topic, parts, fates, values, contents)
        yield world.brief() if takes is None else takes
        fine = fates == FINE
        errors = [world.book.word("error", text) for text in _ERRORS] if not fine.all() else [0, 0]
        self.row(
            _TYPES[fates], "send", op_id, count, topic=number, value=values,
            part=np.where(fine, parts, told),
            off=np.where(fine, offsets if self.acks else -1, NO_OFFSET),
            error=np.where(fine, NONE, np.where(fates == FAILED, errors[1], errors[0])),
        )  # fmt: skip

    def _append(self, topic: str, parts: Any, fates: Any, values: Any, contents: Any) -> Any:
        offsets = np.full(len(parts), NO_OFFSET, np.int64)
        there = np.flatnonzero((fates <= THERE) & (not self.fenced))
        if not self.ordered and self.world.random.random() < 0.3:
            there = self.world.numpy.permutation(there)
        for part in np.unique(parts[there]).tolist():
            mine = there[parts[there] == part]
            log = self.world.logs[topic, part]
            held = contents[mine] if isinstance(contents, np.ndarray) else contents
            offsets[mine] = log.append(values[mine], held)
            if "transactional_id" in self.config:
                log.open.setdefault(self, int(offsets[mine[0]]))
                self.touched.setdefault(log, []).append(offsets[mine])
        return offsets

    def transaction(self, action: str, kind: int = OK, effect: bool = True) -> Steps:
        """`init`, `begin`, `commit` or `abort`.

        Args:
            action: one of these.
            kind: how it ends, unless the producer is fenced: then it fails.
            effect: whether the coordinator does it.
        """
        op_id, world = self.next_id(), self.world
        detail = world.book.word("detail", json.dumps({"action": action}))
        self.row(INVOKE, "txn", op_id, detail=detail)
        yield world.brief()
        if action == "init":
            self._fence()
        if action in ("commit", "abort") and not self.fenced:
            if effect:
                self.end(action == "commit")
            else:
                world.spawn(self.time_out())
        yield world.brief()
        kind = FAIL if self.fenced and action != "begin" else kind
        error = {OK: None, INFO: _ERRORS[0], FAIL: "PRODUCER_FENCED"}[kind]
        self.row(kind, "txn", op_id, detail=detail, error=world.book.word("error", error))

    def _fence(self) -> None:
        """Others with this transactional id are out, and what they began is aborted."""
        name = self.config["transactional_id"]
        for other in self.world.producers:
            if other is not self and other.config.get("transactional_id") == name:
                other.fenced = True
                other.end(False)

    def time_out(self) -> Steps:
        """The coordinator aborts what nobody ends."""
        yield 1_500 * MS
        self.end(False)

    def end(self, commit: bool) -> None:
        """The open transaction ends: a control record in each partition that it touched."""
        for log, offsets in self.touched.items():
            if not commit:
                log.abort(np.concatenate(offsets))
            log.append(np.zeros(1, np.uint64))
            log.open.pop(self, None)
        self.touched = {}

    def stop(self) -> Steps:
        yield from self.plain("close")
        self.finished = True


def contents(world: World, count: int, shares: Sequence[float]) -> Any:
    """Contents of records: plain ones, and some with null, empty or other parts."""
    if not shares:
        return NONE
    plain = {"headers": [], "key": None, "value": "payload"}
    variants = (
        {**plain, "key": "k"}, {**plain, "key": "payload", "value": None},
        {**plain, "key": ""}, {**plain, "headers": [["a", "1"], ["a", None]]},
    )  # fmt: skip
    words = [world.book.word("detail", json.dumps({"content": v})) for v in variants]
    picked = world.random.choices([NONE, *words], shares, k=count)
    return np.array(picked, np.int32)
