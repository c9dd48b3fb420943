"""The coordinator of a group: rounds, generations, assignments, committed offsets.

A *round* begins when members change. Each member joins it when its client next takes part (within a
poll, or in the background): under the eager protocol it gives up all partitions first, under the
cooperative one it keeps them. When all have joined, the generation rises and every member learns
what is its own: eager, everything anew; cooperative, it gives up what is others' now, which makes
another round, and is given what is free. Under the protocol of KIP-848 nobody waits for a round:
the coordinator says at once what is whose, each member learns of it by itself, gives up what is
others' now, and is given what is its own as soon as that is free. A killed member holds a round up,
and its partitions, until its session times out.
"""

from __future__ import annotations

from typing import Any

from .consumers import Member, Place
from .world import SECOND, Steps, World


class Group:
    """One group.

    Args:
        topics: names that its members subscribe to.
        protocol: "eager"; "cooperative": partitions that stay are kept through a rebalance; or
            "consumer": they are, and the coordinator assigns (KIP-848).
    """

    def __init__(self, world: World, name: str, topics: list[str], protocol: str) -> None:
        self.world = world
        self.name = world.prefix + name
        self.topics = topics
        self.protocol = protocol
        self.session = 6 * SECOND
        self.members: list[Member] = []
        self.committed: dict[Place, int] = {}
        self.log: list[tuple[Place, int, int]] = []  # each commit: place, offset, when
        self.generation = 0
        self.round = 0
        self.joined: set[Member] = set()
        self.target: dict[Member, set[Place]] = {}
        self.waiting: set[Member] = set()  # have not taken what the generation gives them
        self.ends: int | None = None  # when it may end, known once all is read
        self.lives = 0  # members that are, or will be, there
        self.plans = 0  # things that still will happen to it
        world.groups[self.name] = self

    @property
    def places(self) -> list[Place]:
        return sorted(place for place in self.world.logs if place[0] in self.topics)

    def join(self, member: Member) -> None:
        self.members.append(member)
        self.start()

    def leave(self, member: Member) -> None:
        if member in self.members:
            self.members.remove(member)
            self.start()

    def replace(self, old: Member, new: Member) -> None:
        """A static member is back in another process: its assignment waits for it."""
        if old not in self.members:
            self.join(new)
            return
        self.members[self.members.index(old)] = new
        if old in self.waiting or old.round < self.round or self.rebalancing:
            self.start()
            return
        new.round, new.generation = self.round, self.generation
        self.joined = set(self.members)
        self.target[new] = self.target.pop(old)
        new.given(set(self.target[new]))

    def start(self) -> None:
        """A round begins."""
        self.round += 1
        self.joined, self.waiting = set(), set()
        if self.protocol == "consumer":
            for member in self.members:
                member.round = self.round
            self.joined = set(self.members)
            self._complete()

    @property
    def rebalancing(self) -> bool:
        return self.joined != set(self.members)

    def serve(self, member: Member) -> None:
        """A member takes part: it joins the round, or takes what the round gave it."""
        if member not in self.members or member.killed:
            return
        if member.round < self.round:
            if self.protocol == "eager" and member.owned:
                member.taken(set(member.owned))
            member.round = self.round
            self.joined.add(member)
            if not self.rebalancing:
                self._complete()
        if member in self.waiting and not self.rebalancing:
            self.waiting.discard(member)
            self._apply(member)

    def _complete(self) -> None:
        self.generation += 1
        self.target = self._range() if self.protocol == "eager" else self._sticky()
        self.waiting = set(self.members)

    def _apply(self, member: Member) -> None:
        member.generation = self.generation
        mine = self.target[member]
        gone = member.owned - mine
        if gone:
            member.taken(gone)
        held = {place for other in self.members if other is not member for place in other.owned}
        fresh = mine - member.owned - held
        if fresh:
            member.given(fresh)
        if self.protocol == "consumer":
            if member.owned != mine:
                self.waiting.add(member)  # the rest is still another's
        elif gone:
            self.start()

    def _range(self) -> dict[Member, set[Place]]:
        members = sorted(self.members, key=lambda m: m.name)
        return {m: set(self.places[n :: len(members)]) for n, m in enumerate(members)}

    def _sticky(self) -> dict[Member, set[Place]]:
        """Balanced, with as few moves as that takes."""
        if not self.members:
            return {}
        held = {m: self._held(m) for m in self.members}
        least, more = divmod(len(self.places), len(self.members))
        order = sorted(self.members, key=lambda m: (-len(held[m]), m.name))
        target = {}
        for n, member in enumerate(order):
            size = least + (n < more)
            target[member] = set(sorted(held[member])[:size])
        free = [p for p in self.places if not any(p in mine for mine in target.values())]
        for n, member in enumerate(order):
            while free and len(target[member]) < least + (n < more):
                target[member].add(free.pop(0))
        return target

    def _held(self, member: Member) -> set[Place]:
        """What the next assignment should leave with a member: what it has, or was promised."""
        promised = self.target.get(member) if self.protocol == "consumer" else None
        return member.owned if promised is None else promised

    def store(self, member: Member, offsets: dict[Place, int]) -> None:
        """A commit takes effect."""
        if member in self.members:
            self.committed.update(offsets)
            self.log += [(place, offset, self.world.now) for place, offset in offsets.items()]

    def settled(self) -> bool:
        """All is owned, read and to stay so."""
        owned = {place for member in self.members for place in member.owned}
        return (
            not self.plans
            and not self.rebalancing
            and not self.waiting
            and owned == set(self.places)
            and all(not m.killed and m.drained() for m in self.members)
        )

    def expire(self, member: Any) -> Steps:
        """After a kill: the session runs out, unless a static member came back."""
        yield self.session
        self.leave(member)
