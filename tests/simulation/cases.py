"""A case: a seed, a kind, a size; and the healthy history that follows from them.

Kinds differ in what the judge is told of them:

    strict  nothing is delivered twice: groups with auto-commit rebalance as they like, groups that
            commit by hand have one member at a time, which commits before it closes
    txn     the same; producers are transactional, and most readers have isolation read_committed
    loose   redelivery is allowed: members crash, commit late or not at all, static members come
            back, a rebalance may fall between a fetch and its hand-out

Each case has one or two topics, producers of all sorts, one or two groups, and often a reader
that assigns by hand, seeks and pauses. All is drained and closed, and the admin reads what the
groups have committed; of every other case also all that they ever did.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .consumers import POLL_TIMEOUTS, Member, Reader, committed, stored
from .frame import INFO, OK, Frame
from .groups import Group
from .producers import FAILED, FINE, GONE, THERE, Producer, contents
from .world import MS, SECOND, Log, Steps, World

KINDS = ("strict", "txn", "loose")
LINGERS, LINGERS_NS = 0.06, 50 * SECOND  # how many groups stay when all is read, and for how long
LONG_POLL_NS = 4 * SECOND  # of those
LIMIT_NS = 3600 * SECOND  # a model that never ends is a defect


@dataclass(frozen=True)
class Case:
    """What a history follows from.

    Attributes:
        commands: of each producer.
        batch: most records of a command, and of a poll.
        lingers: whether its groups stay for a while when all is read; else some do.
    """

    seed: int
    kind: str = "strict"
    commands: int = 5
    batch: int = 4
    lingers: bool = False

    def frame(self, prefix: str = "", first_id: int = 0) -> Frame:
        """The history; `prefix` and `first_id` keep several of them apart."""
        world = World(f"{self.kind}/{self.seed}", prefix, first_id)
        _Script(world, self).begin()
        world.run()
        return world.book.frame()


class _Script:
    """Draws who is there and what they do."""

    def __init__(self, world: World, case: Case) -> None:
        self.world = world
        self.case = case
        self.random = world.random
        self.strict = case.kind != "loose"
        self.transactions = case.kind == "txn"
        self.sizes: dict[str, int] = {}

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def begin(self) -> None:
        """Everybody is spawned."""
        world = self.world
        for number in range(self.random.choice([1, 1, 2])):
            name, parts = world.topic(number), self.random.choice([1, 2, 2, 3])
            self.sizes[name] = parts
            world.logs.update({(name, part): Log(name, part) for part in range(parts)})
        for number in range(self.random.choice([1, 1, 2])):
            self._producer(number)
        if self.transactions:
            self._transactional()
        for number in range(self.random.choice([1, 1, 2])):
            self._group(number)
        if self.chance(0.4):
            self._reader()

    # ---- producers

    def _producer(self, number: int) -> None:
        acks = 0 if number and self.chance(0.2) else self.random.choice([-1, -1, 1])
        producer = Producer(self.world, f"p{number}", acks, acks == -1 and self.chance(0.7))
        self.world.producers.append(producer)
        self.world.spawn(self._produce(producer, number == 0), producer, self.world.brief())
        if number and self.chance(0.2):
            self.world.spawn(self._later(producer.kill), None, self.random.randint(1, 60) * MS)

    def _transactional(self) -> None:
        """One to three of them; now and then a second process with the first one's id."""
        count = self.random.choice([1, 2, 3])
        names = [f"{self.world.prefix}x{n}" for n in range(count)]
        if self.chance(0.3):
            names.append(names[0])
        for n, name in enumerate(names):
            producer = Producer(self.world, f"x{n}", transactional=name)
            self.world.producers.append(producer)
            after = self.random.randint(1, 100) * MS if n == count else self.world.brief()
            self.world.spawn(self._transact(producer), producer, after)
            if self.chance(0.1):
                after = self.random.randint(1, 100) * MS
                self.world.spawn(self._later(lambda p=producer: self._die(p)), None, after)

    def _die(self, producer: Producer) -> None:
        if not producer.finished:
            producer.kill()
            self.world.spawn(producer.time_out())

    def _transact(self, producer: Producer) -> Steps:
        world, kind = self.world, OK
        yield from producer.start()
        yield from producer.transaction("init")
        for _ in range(self.case.commands // 2 + 1):
            yield self.random.choice([1, 5, 20]) * world.brief()
            yield from producer.transaction("begin")
            whole = True
            for _ in range(self.random.choice([1, 2, 3])):
                topic = self.random.choice(sorted(self.sizes))
                count = self.random.randint(1, self.case.batch)
                parts = world.numpy.integers(0, self.sizes[topic], count).astype(np.int32)
                fates = self._fates(count) if self.chance(0.1) else np.full(count, FINE)
                whole &= bool((fates == FINE).all())
                yield from producer.send(topic, parts, fates)
                yield world.brief()
            known, effect = self.chance(0.85), self.chance(0.5)
            kind = OK if known else INFO
            action = "commit" if whole and self.chance(0.8) else "abort"
            yield from producer.transaction(action, kind, known or effect)
            if not known or producer.fenced:
                break
        yield from producer.stop()

    def _later(self, act: object) -> Steps:
        yield 0
        act()  # type: ignore[operator]

    def _produce(self, producer: Producer, certain: bool) -> Steps:
        world = self.world
        yield from producer.start()
        for number in range(self.case.commands):
            yield self.random.choice([1, 5, 20, 200]) * world.brief()
            topic = self.random.choice(sorted(self.sizes))
            count = self.random.randint(1, self.case.batch)
            parts = world.numpy.integers(0, self.sizes[topic], count).astype(np.int32)
            if self.chance(0.5):
                parts[:] = parts[0]
            fates = self._fates(count)
            if certain and number == 0:
                fates[:] = FINE
            known = bool((fates <= FINE).all() or (fates == FAILED).all())
            held = contents(world, count, (6, 1, 1, 1, 1) if self.chance(0.2) else ())
            takes = None if known else self.random.choice([5 * MS, SECOND])
            yield from producer.send(topic, parts, fates, self.chance(0.2), held, takes)
        yield from producer.stop()

    def _fates(self, count: int) -> np.ndarray:
        if self.chance(0.7):
            return np.full(count, FINE)
        return self.world.numpy.choice([FINE, THERE, GONE, FAILED], count, p=[0.4, 0.2, 0.2, 0.2])

    # ---- groups

    def _group(self, number: int) -> None:
        world = self.world
        some = number and self.chance(0.5)
        topics = [min(self.sizes)] if some else sorted(self.sizes)
        protocol = self.random.choice(["eager", "eager", "cooperative", "consumer"])
        group = Group(world, f"g{number}", topics, protocol)
        auto = self.chance(0.5)
        common = {"auto_commit": auto, "offset_reset": "earliest"}
        if protocol == "cooperative":
            common["assignor"] = "cooperative-sticky"
        elif protocol == "consumer":
            common["group_protocol"] = "consumer"
        if self.chance(0.15 if number else 0.05):
            common["offset_reset"] = "latest"
        if self.transactions:
            common["isolation"] = self.random.choice(["read_committed"] * 2 + ["read_uncommitted"])
        if not self.strict:
            common["session_timeout_ms"] = group.session // MS
        if self.strict and not auto:
            group.plans = self.random.choice([0, 0, 1, 2])
            group.lives = 1
            world.spawn(self._one_after_another(group, common, group.plans + 1))
        else:
            self._crowd(group, common)
        world.spawn(self._readings(group))

    def _one_after_another(self, group: Group, common: dict, lives: int) -> Steps:
        for n in range(lives):
            last = n + 1 == lives
            stays = None if last else self.random.randint(1, 100) * MS
            member = self._member(group, n, common)
            yield from self._live(member, stays)
            group.plans -= 0 if last else 1
        group.lives -= 1

    def _crowd(self, group: Group, common: dict) -> None:
        """Members that come and go; the first stays."""
        count = self.random.choice([1, 2, 2, 3])
        group.lives = count
        for n in range(count):
            member = self._member(group, n, common)
            after = self.random.choice([1, 5, 50, 150]) * self.world.brief() if n else 1
            group.plans += 1
            stays = self.random.randint(1, 300) * MS if n and self.chance(0.5) else None
            dies = not self.strict and n and self.chance(0.5)
            self.world.spawn(self._join(member, after, stays, common, dies), None)

    def _join(
        self, member: Member, after: int, stays: int | None, common: dict, dies: bool
    ) -> Steps:
        group = member.group
        yield after
        self.world.spawn(self._live(member, stays, True), member)
        if dies:
            yield self.random.randint(1, 300) * MS
            self._kill(member, common)
        group.plans -= 1

    def _kill(self, member: Member, common: dict) -> None:
        if member.over:
            return
        member.kill()
        group = member.group
        self.world.spawn(group.expire(member))
        if member.config.get("instance_id"):
            again = Member(self.world, f"{member.short}s", group, **member.options)
            again.instead_of = member
            group.plans += 1
            self.world.spawn(
                self._join(again, self.random.randint(100, 3000) * MS, None, common, False)
            )
        else:
            group.lives -= 1

    def _member(self, group: Group, n: int, common: dict) -> Member:
        options = {
            **common,
            "background": self.chance(0.4),
            "silent": self.chance(0.2),
            "shows": self.chance(0.7),
        }
        short = f"c{group.name.rpartition('g')[2]}{n}"
        if not self.strict and self.chance(0.3):
            options["instance_id"] = f"i{n}"
        member = Member(self.world, short, group, **options)
        member.late = not self.strict and self.chance(0.3)
        return member

    def _live(self, member: Member, stays: int | None, counted: bool = False) -> Steps:
        world, group = self.world, member.group
        until = None if stays is None else world.now + stays
        yield from member.start()
        yield from member.subscribe()
        while until is None or world.now < until:
            timeout = self._timeout() if group.ends is None else LONG_POLL_NS
            yield from member.poll(self.random.randint(1, self.case.batch), timeout)
            if group.ends is None:
                yield from self._act(member, until is None)
            elif member.paused:  # it was about to when the others were done
                yield from member.halt("resume", set(member.paused))
            yield world.brief()
            if world.now > LIMIT_NS:
                raise RuntimeError(f"{member.name} never ends: a defect of the model")
            if not world.sending() and group.settled() and self._left(group):
                break
        if not member.auto and (self.strict or self.chance(0.8)):
            yield from member.commit(self.chance(0.3))
        member.over = True
        yield from member.stop()
        if counted:
            group.lives -= 1

    def _left(self, group: Group) -> bool:
        """Whether a group that has nothing left to do may end: some stay for a while."""
        if group.ends is None:
            stays = self.case.lingers or self.chance(LINGERS)
            group.ends = self.world.now + (LINGERS_NS if stays else 0)
        return self.world.now >= group.ends

    def _timeout(self) -> int:
        """Short polls while something comes, long ones while the rest is waited for."""
        return self.random.choice(POLL_TIMEOUTS) if self.world.sending() else POLL_TIMEOUTS[-1]

    def _act(self, member: Member, stays: bool) -> Steps:
        """What a member does between two polls."""
        dice = self.random.random()
        alone = self.strict and not member.auto
        if member.paused and (member.polls >= member.resumes or not stays):
            yield from member.halt("resume", set(member.paused))
        elif dice < 0.1 and member.owned and stays and self.world.sending():
            member.resumes = member.polls + self.random.randint(1, 3)
            yield from member.halt("pause", {self.random.choice(sorted(member.owned))})
        elif dice < 0.15 and alone and member.owned:
            place = self.random.choice(sorted(member.owned))
            back = max(0, member.position.get(place, 0) - self.random.randint(0, 3))
            yield from member.move("seek", {place: back})
        elif dice < 0.2:
            yield from member.read_committed()
        elif dice < 0.5 and not member.auto:
            unknown = 20 * MS if not self.strict and self.chance(0.1) else None
            yield from member.commit(self.chance(0.3), unknown)

    def _readings(self, group: Group) -> Steps:
        """The admin reads the group's offsets now and then, and at the end."""
        detail = {"group": group.name}
        while group.lives:
            yield self.random.randint(20, 400) * MS
            if group.lives and self.chance(0.1):
                yield from committed(self.world.admin, "group_offsets", group, group.places, detail)
        yield MS  # after all that ended at the same time
        yield from committed(self.world.admin, "group_offsets", group, group.places, detail)
        if self.case.seed % 2:
            yield from stored(self.world.admin, group)

    # ---- readers

    def _reader(self) -> None:
        isolation = {}
        if self.transactions:
            isolation["isolation"] = self.random.choice(["read_committed", "read_uncommitted"])
        reader = Reader(self.world, "r0", **isolation)
        self.world.spawn(self._read(reader), reader, self.random.choice([1, 100]) * MS)

    def _read(self, reader: Reader) -> Steps:
        world = self.world
        yield from reader.start()
        places = self.random.sample(sorted(world.logs), self.random.randint(1, len(world.logs)))
        starts = [self.random.choice([None, 0, self._known(place)]) for place in places]
        yield from reader.move("assign", dict(zip(places, starts, strict=True)))
        while world.sending() or not reader.drained():
            yield from reader.poll(self.random.randint(1, self.case.batch), self._timeout())
            dice = self.random.random()
            if reader.paused and (reader.polls >= reader.resumes or not world.sending()):
                yield from reader.halt("resume", set(reader.paused))
            elif dice < 0.1 and world.sending():
                place = self.random.choice(sorted(reader.owned))
                yield from reader.move("seek", {place: self._known(place)})
            elif dice < 0.2 and world.sending():
                reader.resumes = reader.polls + self.random.randint(1, 3)
                yield from reader.halt("pause", {self.random.choice(sorted(reader.owned))})
            yield world.brief()
        yield from reader.stop()

    def _known(self, place: tuple[str, int]) -> int:
        return self.random.randint(0, self.world.logs[place].end)
