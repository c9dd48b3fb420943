"""Consumers: readers that assign by hand, and members of groups.

`position` is the next offset that the client would commit: what the records that it gave out say.
`fetched` runs ahead of it while a poll is in flight.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from .frame import FAIL, INFO, INVOKE, NO_OFFSET, NONE, OK
from .world import MS, SECOND, Actor, Steps, World

Place = tuple[str, int]


class Taken(NamedTuple):
    """What a poll fetched of one partition."""

    place: Place
    offsets: Any
    values: Any
    contents: Any
    stop: int  # the position after it
    term: int  # the assignment that it was fetched for


class Reader(Actor):
    """A consumer for the partitions that it was assigned by hand."""

    def __init__(self, world: World, name: str, **config: Any) -> None:
        super().__init__(world, name)
        self.config: dict[str, Any] = {"offset_reset": "earliest", **config}
        self.committed_only = config.get("isolation") == "read_committed"
        self.owned: set[Place] = set()
        self.paused: set[Place] = set()
        self.position: dict[Place, int] = {}
        self.fetched: dict[Place, int] = {}
        self.late = False  # something may happen between the fetch and the hand-out
        self.terms: dict[Place, int] = {}  # how often a partition was given to it
        self.polls = 0
        self.resumes = 0  # after how many polls it resumes what it paused

    def start(self) -> Steps:
        yield from self.open("consumer", **self.config)

    def serve(self) -> None:
        """What a client does within a poll beside fetching; members take part in rebalances."""

    def reset(self, place: Place) -> int:
        log = self.world.logs[place]
        latest = self.config["offset_reset"] == "latest"
        return log.readable(self.committed_only) if latest else 0

    def set(self, place: Place, offset: int) -> None:
        """The position of a partition is moved."""
        self.position[place] = self.fetched[place] = offset

    def drained(self) -> bool:
        """Whether it has read all that its partitions hold."""
        logs = self.world.logs
        return all(
            place not in self.paused
            and self.position.get(place, 0) >= logs[place].readable(self.committed_only)
            for place in self.owned
        )

    # ---- commands

    def poll(self, most: int, timeout: int) -> Steps:
        """Up to `most` records, as soon as there are some."""
        world, op_id = self.world, self.next_id()
        self.polls += 1
        self.row(INVOKE, "poll", op_id)
        until = world.now + timeout
        yield world.brief()
        while True:
            self.serve()
            taken = self._take(most)
            if taken or world.now >= until:
                break
            yield min(timeout // 8 + MS, 50 * MS if timeout <= SECOND else 250 * MS)
        if self.late:
            yield world.brief()
        self._hand_out(op_id, taken)

    def _take(self, most: int) -> list[Taken]:
        taken: list[Taken] = []
        logs, fetched = self.world.logs, self.fetched
        places = [
            place
            for place in self.owned - self.paused
            if logs[place].readable(self.committed_only) > fetched[place]
        ]
        if len(places) > 1:
            places.sort()
            self.world.random.shuffle(places)
        for place in places:
            log, start = logs[place], fetched[place]
            offsets, values, contents, stop = log.read(start, most, self.committed_only)
            self.fetched[place] = stop
            if len(offsets):
                term = self.terms.get(place, 0)
                taken.append(Taken(place, offsets, values, contents, stop, term))
                most -= len(offsets)
            elif stop > start:
                self.position[place] = stop  # control records are passed over in silence
        return taken

    def _hand_out(self, op_id: int, taken: list[Taken]) -> None:
        """What was fetched for a term that is over is dropped, if the partition is back."""
        now = self.terms
        taken = [t for t in taken if t.place not in self.owned or now.get(t.place, 0) == t.term]
        if not taken:
            self.row(OK, "poll", op_id)
            return
        counts = [len(t.offsets) for t in taken]
        topics, parts = (np.repeat(c, counts) for c in self.places([t.place for t in taken]))
        offsets = np.concatenate([t.offsets for t in taken])
        values = np.concatenate([t.values for t in taken])
        contents = np.concatenate([t.contents for t in taken])
        self.row(
            OK, "poll", op_id, len(offsets), topic=topics, part=parts, off=offsets, value=values,
            itopic=topics, ipart=parts, detail=contents,
        )  # fmt: skip
        for t in taken:
            if t.place in self.owned and self.fetched[t.place] == t.stop:
                self.position[t.place] = t.stop

    def offsets(
        self, kind: Any, op: str, op_id: int, found: dict[Place, int | None], detail: Any = None,
        error: str | None = None,
    ) -> None:  # fmt: skip
        """Rows of a command on offsets: one a place, one alone where there is none."""
        book = self.world.book
        text = None if detail is None else json.dumps(detail)
        both = {"detail": book.word("detail", text), "error": book.word("error", error)}
        if not found:
            self.row(kind, op, op_id, **both)
            return
        topics, parts = self.places(list(found))
        places = np.array([NO_OFFSET if o is None else o for o in found.values()], np.int64)
        self.row(kind, op, op_id, len(found), topic=topics, part=parts, off=places, **both)

    def move(self, op: str, found: dict[Place, int | None]) -> Steps:
        """`assign` or `seek`: positions are set; an assignment replaces the one before."""
        op_id = self.next_id()
        self.offsets(INVOKE, op, op_id, found)
        yield self.world.brief()
        if op == "assign":
            self.owned, self.paused = set(found), set()
        for place, offset in found.items():
            self.set(place, self.reset(place) if offset is None else offset)
        self.offsets(OK, op, op_id, found)

    def halt(self, op: str, places: set[Place]) -> Steps:
        """`pause` or `resume`."""
        op_id = self.next_id()
        nowhere: dict[Place, int | None] = dict.fromkeys(sorted(places))
        self.offsets(INVOKE, op, op_id, nowhere)
        yield self.world.brief()
        places &= self.owned
        self.paused = self.paused | places if op == "pause" else self.paused - places
        self.offsets(OK, op, op_id, nowhere)

    def stop(self) -> Steps:
        yield from self.plain("close")


class Member(Reader):
    """A member of a group: see groups.py for what it takes part in."""

    def __init__(self, world: World, name: str, group: Any, **options: Any) -> None:
        style = {k: options.pop(k) for k in ("background", "silent", "shows") if k in options}
        super().__init__(world, name, group=group.name, **options)
        self.short, self.options = name, {**options, **style}
        self.group = group
        self.auto = bool(self.config.get("auto_commit"))
        self.background = style.get("background", False)  # callbacks run outside of polls
        self.silent = style.get("silent", False)  # a close gives up partitions without `revoked`
        self.shows = style.get("shows", True)  # events carry the generation
        self.round = 0  # the last one that it joined
        self.generation = 0
        self.over = False  # it is about to close
        self.instead_of: Member | None = None  # the process of this static member before

    def subscribe(self) -> Steps:
        yield from self.plain("subscribe", {"topics": self.group.topics})
        if self.instead_of:
            self.group.replace(self.instead_of, self)
        else:
            self.group.join(self)
        if self.background:
            self.world.spawn(self._callbacks(), self)

    def _callbacks(self) -> Steps:
        while self in self.group.members:
            self.group.serve(self)
            idle = self.group.ends is not None and not self.group.rebalancing
            yield self.world.random.randint(1, 20) * (10 * MS if idle else MS)

    def serve(self) -> None:
        if not self.background:
            self.group.serve(self)
        if self.auto and self.world.random.random() < 0.3:
            self.group.store(self, self.thinks())

    def thinks(self) -> dict[Place, int]:
        """What it would commit: the next offset wherever it gave out records, or was moved."""
        return {
            place: offset
            for place, offset in sorted(self.position.items())
            if place in self.owned and offset != self.group.committed.get(place, NONE)
            and offset > 0
        }  # fmt: skip

    def given(self, places: set[Place]) -> None:
        """Assigned: it goes on from what is committed."""
        self.owned |= places
        for place in places:
            self.terms[place] = self.terms.get(place, 0) + 1
            offset = self.group.committed.get(place)
            self.set(place, self.reset(place) if offset is None else offset)
        self.event("assigned", sorted(places), self.generation if self.shows else NONE)

    def taken(self, places: set[Place]) -> None:
        """Revoked: with auto-commit, what it gave out is committed first."""
        if self.auto:
            self.group.store(self, self.thinks())
        self.event("revoked", sorted(places), self.generation if self.shows else NONE)
        self.owned -= places
        self.paused -= places
        for place in places:
            self.position.pop(place, None)

    def commit(self, explicit: bool = False, takes: int | None = None) -> Steps:
        """Commit, by offsets or as the client thinks; sync or async is the same to the log."""
        world, op_id, offsets = self.world, self.next_id(), self.thinks()
        generation = self.group.generation
        mode = {"mode": world.random.choice(["sync", "async"])}
        asked: dict[Place, int | None] = dict(offsets) if explicit else {}
        self.offsets(INVOKE, "commit", op_id, asked, mode)
        yield world.brief()
        valid = self in self.group.members and generation == self.group.generation
        if valid:
            self.group.store(self, offsets)
        yield world.brief() if takes is None else takes
        if valid and takes is not None:
            self.offsets(INFO, "commit", op_id, asked, mode, "REQUEST_TIMED_OUT")
        elif valid:
            self.offsets(OK, "commit", op_id, dict(offsets), mode)
        else:
            self.offsets(FAIL, "commit", op_id, asked, mode, "ILLEGAL_GENERATION")

    def read_committed(self) -> Steps:
        """`committed`: what the coordinator has for its partitions."""
        yield from committed(self, "committed", self.group, sorted(self.owned), None)

    def stop(self) -> Steps:
        op_id = self.next_id()
        self.row(INVOKE, "close", op_id)
        yield self.world.brief()
        if self.auto:
            self.group.store(self, self.thinks())
        if self.owned and not self.silent:
            self.taken(set(self.owned))
        self.owned = set()
        self.group.leave(self)
        yield self.world.brief()
        self.row(OK, "close", op_id)


def committed(actor: Actor, op: str, group: Any, places: list[Place], detail: Any) -> Steps:
    """A reading of committed offsets, by a member or by the admin."""
    if not places:
        return
    reader = actor if isinstance(actor, Reader) else None
    op_id = actor.next_id()
    write = reader.offsets if reader else _AdminRows(actor).offsets
    write(INVOKE, op, op_id, dict.fromkeys(places), detail)
    yield actor.world.brief()
    found: dict[Place, int | None] = {place: group.committed.get(place, -1) for place in places}
    yield actor.world.brief()
    write(OK, op, op_id, found, detail)


def stored(actor: Actor, group: Any) -> Steps:
    """The admin reads every commit that the group's offsets topic holds."""
    op_id = actor.next_id()
    told = actor.world.book.word("detail", json.dumps({"group": group.name}))
    actor.row(INVOKE, "offset_commits", op_id, detail=told)
    yield actor.world.brief()
    if not group.log:
        actor.row(OK, "offset_commits", op_id, detail=told)
        return
    places, offsets, times = zip(*group.log, strict=True)
    topics, parts = actor.places(list(places))
    actor.row(
        OK, "offset_commits", op_id, len(places), topic=topics, part=parts, detail=told,
        off=np.array(offsets, np.int64), took=np.array(times, np.int64),
    )  # fmt: skip


class _AdminRows:
    """Rows on offsets, as of the admin client."""

    def __init__(self, actor: Actor) -> None:
        self.world, self.row, self.places = actor.world, actor.row, actor.places

    offsets = Reader.offsets


POLL_TIMEOUTS = (30 * MS, 200 * MS, SECOND)
