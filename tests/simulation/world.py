"""A clock, clients as coroutines, and the log that they share.

A client is a generator that yields for how many nanoseconds it is busy; the `World` runs whichever
is due next, so commands overlap as they do in a lab. What a command does happens somewhere between
its invoke and its completion. A killed client is never run again: what was in flight may or may
not have had its effect, and never ends.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Generator
from typing import Any

import numpy as np

from .frame import EVENT, INVOKE, OK, OP, Book

MS = 1_000_000
SECOND = 1_000 * MS
Steps = Generator[int, None, None]


class World:
    """Time, the rows so far, and the cluster.

    Args:
        seed: of everything that is drawn.
        prefix: of all names, so that several worlds fit into one history.
        first_id: of the admin's commands, for the same reason; values begin there, too.
    """

    def __init__(self, seed: int | str, prefix: str = "", first_id: int = 0) -> None:
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(self.random.getrandbits(32))
        self.prefix = prefix
        self.book = Book()
        self.now = SECOND
        self.logs: dict[tuple[str, int], Log] = {}
        self.groups: dict[str, Any] = {}
        self.first_id = first_id
        self.values = first_id
        self.admin = Actor(self, "admin", own_name=True, first_id=first_id)
        self._due: list[tuple[int, int, Actor | None, Steps]] = []
        self._order = itertools.count()
        self.producers: list[Any] = []

    def spawn(self, steps: Steps, owner: Actor | None = None, after: int = 0) -> None:
        """Run a coroutine, until it ends or its owner is killed."""
        heapq.heappush(self._due, (self.now + after, next(self._order), owner, steps))

    def run(self) -> None:
        """Until nothing is left to do."""
        while self._due:
            self.now, _, owner, steps = heapq.heappop(self._due)
            if owner is not None and owner.killed:
                continue
            try:
                delay = next(steps)
            except StopIteration:
                continue
            heapq.heappush(self._due, (self.now + delay, next(self._order), owner, steps))

    def sending(self) -> bool:
        """Whether anything may still be appended."""
        return any(not (p.finished or p.killed) or p.touched for p in self.producers)

    def brief(self) -> int:
        """How long something quick takes."""
        return self.random.randint(MS // 20, 3 * MS)

    def topic(self, number: int) -> str:
        return f"{self.prefix}t{number}"

    def new_values(self, count: int) -> Any:
        """Ids that nobody else uses."""
        first, self.values = self.values, self.values + count
        return np.arange(first + 1, first + count + 1, dtype=np.uint64)


class Log:
    """One partition: what lies at each offset.

    `values` is 0 at offsets that hold a control record. `open` are offsets at which a transaction
    that has not ended begins; `aborted` are offsets of records that a reader of committed ones
    never gets. Appending more doubles the arrays, so a record costs nothing of its own.
    """

    def __init__(self, topic: str, part: int) -> None:
        self.topic = topic
        self.part = part
        self.end = 0
        self._values = np.zeros(16, np.uint64)
        self._contents = np.full(16, -1, np.int32)
        self._aborted = np.zeros(16, bool)
        self.open: dict[Any, int] = {}

    def append(self, values: Any, contents: Any = -1) -> Any:
        """Add records; returns their offsets."""
        first, self.end = self.end, self.end + len(values)
        while self.end > len(self._values):
            self._values = np.concatenate([self._values, np.zeros_like(self._values)])
            self._contents = np.concatenate([self._contents, np.full_like(self._contents, -1)])
            self._aborted = np.concatenate([self._aborted, np.zeros_like(self._aborted)])
        self._values[first : self.end] = values
        self._contents[first : self.end] = contents
        return np.arange(first, self.end)

    def abort(self, offsets: Any) -> None:
        self._aborted[offsets] = True

    def readable(self, committed: bool) -> int:
        """The offset before which a reader may read now."""
        return min(self.open.values()) if committed and self.open else self.end

    def read(self, start: int, most: int, committed: bool) -> tuple[Any, Any, Any, int]:
        """Offsets, values and contents of up to `most` records, and the next position."""
        stop = self.readable(committed)
        if most <= 0 or start >= stop:
            nothing = np.zeros(0, np.int64)
            return nothing, nothing.astype(np.uint64), nothing, start
        stop = min(stop, start + most)
        values = self._values[start:stop]
        shown = values > 0
        if committed:
            shown &= ~self._aborted[start:stop]
        offsets = start + np.flatnonzero(shown)
        return offsets, self._values[offsets], self._contents[offsets], stop


class Actor:
    """A client name, with its commands' ids and the rows that it causes."""

    def __init__(self, world: World, name: str, own_name: bool = False, first_id: int = 0) -> None:
        self.world = world
        self.name = name if own_name else world.prefix + name
        self.number = world.book.word("process", self.name)
        self.killed = False
        self._ids = itertools.count(first_id + 1)

    def next_id(self) -> int:
        return next(self._ids)

    def row(self, kind: Any, op: str, op_id: int, count: int = 1, **fields: Any) -> None:
        """Take down rows of a command, now."""
        self.world.book.add(
            count, time=self.world.now, process=self.number, type=kind, op=OP[op], op_id=op_id,
            **fields,
        )  # fmt: skip

    def event(self, op: str, places: list[tuple[str, int]] | None = None, gen: int = -1) -> None:
        """Something that happens without a command; a row for each place."""
        if places is None:
            self.row(EVENT, op, -1, detail=self.world.book.word("detail", "{}"))
        elif places:
            topics, parts = self.places(places)
            self.row(EVENT, op, -1, len(places), topic=topics, part=parts, gen=gen)

    def places(self, places: list[tuple[str, int]]) -> tuple[Any, Any]:
        """Columns of topics and partitions."""
        word = self.world.book.word
        topics = np.array([word("topic", topic) for topic, _ in places], np.int32)
        return topics, np.array([part for _, part in places], np.int32)

    def plain(self, op: str, detail: Any = None, takes: int | None = None) -> Steps:
        """A command without records."""
        op_id = self.next_id()
        text = None if detail is None else json.dumps(detail)
        self.row(INVOKE, op, op_id, detail=self.world.book.word("detail", text))
        yield self.world.brief() if takes is None else takes
        self.row(OK, op, op_id)

    def open(self, role: str, **config: Any) -> Steps:
        """The client is made."""
        yield from self.plain("open", {"role": role, "config": config})

    def kill(self) -> None:
        """The process dies; the lab notes it."""
        self.killed = True
        self.event("kill")
