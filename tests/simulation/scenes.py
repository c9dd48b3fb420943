"""Scenes: what the model has no part for, played by guests at the end of a case.

Each is a few clients on a topic of their own, in two forms: *broken*, which makes one claim red,
and *sound*, which looks much like it and is legal. How often and how long things happen is drawn.
Healthy cases get sound ones, so that these claims are decided there, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType
from typing import Any

import numpy as np

from .facts import Facts
from .frame import EVENT, FAIL, INFO, INVOKE, OK, OP, Frame, rows
from .guests import prefix
from .world import MS, SECOND

START_NS = 2 * SECOND  # after the last row of the case
Part = int
Records = list[tuple[Part, int, int]]  # partition, value, offset


class Scene:
    """Rows of guests, in order of time; `frame` adds them to the case."""

    def __init__(self, facts: Facts, pick: Random) -> None:
        case = facts.frame
        self.case, self.random = case, pick
        self.prefix = prefix(case)
        words = {**case.words, "process": list(case.words["process"])}
        self._frame = Frame(case.columns, {**words, "topic": list(case.words["topic"])})
        self.topic = self._frame.word("topic", f"{self.prefix}s")
        self.now = int(case.time.max()) + START_NS
        self._value = int(case.value.max(initial=0))
        self._ends: dict[Part, int] = {}
        self._ids: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []

    # ---- rows

    def wait(self, nanoseconds: int) -> None:
        self.now += nanoseconds

    def row(self, client: str, kind: int, op: str, count: int = 1, **fields: Any) -> None:
        name = client if client == "lab" else self.prefix + client
        process = self._frame.word("process", name)
        fields = {"type": kind, "op": OP[op], "process": process, "time": self.now, **fields}
        self._rows.append(rows(count, **fields))

    def word(self, told: Any) -> int:
        return -1 if told is None else self._frame.word("detail", json.dumps(told))

    def call(self, client: str, op: str, told: Any = None, **end: Any) -> None:
        """A command of a millisecond, without records; its completion tells the same if `both`."""
        number, both, kind = self.begin(client, op, told), end.pop("both", False), OK
        self.wait(MS)
        self.row(client, kind, op, op_id=number, detail=self.word(told) if both else -1, **end)

    def begin(self, client: str, op: str, told: Any = None, **fields: Any) -> int:
        self.wait(MS // 10)
        number = self._ids[client] = self._ids.get(client, 0) + 1
        self.row(client, INVOKE, op, op_id=number, detail=self.word(told), **fields)
        return number

    def event(self, client: str, op: str, *parts: Part, gen: int = -1) -> None:
        for part in parts:
            self.row(client, EVENT, op, topic=self.topic, part=part, gen=gen)

    def note(self, client: str, op: str, **told: Any) -> None:
        self.row(client, EVENT, op, detail=self.word(told))

    # ---- what clients do

    def producer(self, name: str, acks: int = 1, **config: Any) -> None:
        self.call(name, "open", {"role": "producer", "config": {"acks": acks, **config}})

    def member(self, name: str, *parts: Part, gen: int = -1, **config: Any) -> None:
        """It subscribes, and is assigned these."""
        given = {"offset_reset": "earliest", "group": f"{self.prefix}sg", "auto_commit": False}
        self.call(name, "open", {"role": "consumer", "config": {**given, **config}})
        self.call(name, "subscribe", {"topics": [f"{self.prefix}s"]})
        self.event(name, "assigned", *parts, gen=gen)

    def send(
        self, name: str, part: Part, count: int = 1, kind: int = OK, takes: int = MS
    ) -> Records:
        """Records of one command; a negative kind never ends."""
        values = np.arange(self._value + 1, self._value + count + 1, dtype=np.uint64)
        self._value += count
        where = {"topic": self.topic, "part": part, "value": values}
        number = self.begin_rows(name, "send", count, **where)
        self.wait(takes)
        first = self._ends.get(part, 0)
        if kind == OK:
            self._ends[part] = first + count
            where["off"] = np.arange(first, first + count)
        elif kind > 0:
            where["error"] = self._frame.word("error", "REQUEST_TIMED_OUT")
        if kind > 0:
            self.row(name, kind, "send", count, op_id=number, **where)
        return [(part, int(value), first + n) for n, value in enumerate(values.tolist())]

    def next_value(self) -> int:
        """Of the record that will be sent next."""
        return self._value + 1

    def begin_rows(self, client: str, op: str, count: int, **fields: Any) -> int:
        self.wait(MS // 10)
        number = self._ids[client] = self._ids.get(client, 0) + 1
        self.row(client, INVOKE, op, count, op_id=number, **fields)
        return number

    def poll(self, name: str, records: Records = (), takes: int = MS) -> None:  # type: ignore[assignment]
        number = self.begin(name, "poll")
        self.wait(takes)
        if not records:
            self.row(name, OK, "poll", op_id=number)
            return
        parts, values, offsets = (np.array(column) for column in zip(*records, strict=True))
        self.row(
            name, OK, "poll", len(records), op_id=number, topic=self.topic, part=parts,
            off=offsets, value=values.astype(np.uint64), itopic=self.topic, ipart=parts,
        )  # fmt: skip

    def at(self, name: str, op: str, part: Part, told: Any = None, **more: Any) -> None:
        """A command on a partition."""
        where = {"topic": self.topic, "part": part, **more}
        number = self.begin(name, op, told, **where)
        self.wait(MS)
        self.row(name, OK, op, op_id=number, **where)

    def txn(self, name: str, action: str, **told: Any) -> None:
        self.call(name, "txn", {"action": action, **told}, both=True)

    def marker(self, *parts: Part) -> None:
        """A transaction ended: its control record takes an offset."""
        for part in parts:
            self._ends[part] = self._ends.get(part, 0) + 1

    def frame(self) -> Frame:
        """The case, and the scene after it."""
        case = self._frame
        columns = {
            name: np.concatenate([column, *(part[name] for part in self._rows)])
            for name, column in case.columns.items()
        }
        return Frame(columns, case.words)


Play = Callable[[Scene, bool], None]


def zombie_member(scene: Scene, broken: bool) -> None:
    """Another member was assigned the partition long ago, and the first is given its records."""
    scene.producer("sp")
    scene.member("s0", 0, gen=1)
    scene.poll("s0", scene.send("sp", 0, scene.random.randint(1, 5)))
    if not broken:
        scene.event("s0", "revoked", 0, gen=1)
    scene.member("s1", 0, gen=2)
    for _ in range(scene.random.randint(13, 20)):
        scene.poll("s1", takes=scene.random.randint(1, 100) * MS)
        scene.poll("s0", takes=scene.random.randint(900, 950) * MS)
    late = scene.send("sp", 0, scene.random.randint(1, 3))
    if broken:
        scene.poll("s0", late)
    scene.poll("s1", late)
    _close(scene, "s1", "s0", "sp")


def paused_kept(scene: Scene, broken: bool) -> None:
    """A partition that was taken while paused, and given anew, is still paused."""
    times = scene.random.randint(5, 8)
    scene.producer("sp")
    scene.member("s0", 0, 1, gen=1)
    own, others = scene.send("sp", 0, 3), scene.send("sp", 1, times + 1)
    scene.poll("s0", own[:1])
    scene.at("s0", "commit", 0, {"mode": "sync"}, off=1)
    scene.at("s0", "pause", 0)
    scene.event("s0", "revoked", 0, 1, gen=1)
    scene.event("s0", "assigned", 0, 1, gen=2)
    scene.poll("s0", others[:1] if broken else own[1:] + others[:1])
    for n in range(times):
        scene.poll("s0", others[n + 1 : n + 2])
        scene.poll("s0", takes=scene.random.randint(2500, 4000) * MS)
    scene.at("s0", "resume", 0)
    scene.poll("s0", own[1:] if broken else [])
    _close(scene, "s0", "sp")


def slow_watermark(scene: Scene, broken: bool) -> None:
    """A record that every replica has cannot be read for long, while others' records come."""
    scene.producer("sp", acks=-1)
    scene.producer("sq")
    scene.member("s0", 0, 1, isolation="read_uncommitted")
    scene.poll("s0", scene.send("sq", 0) + scene.send("sq", 1))
    late = scene.send("sp" if broken else "sq", 0)
    for _ in range(scene.random.randint(4, 6)):
        scene.poll("s0", takes=scene.random.randint(3000, 4500) * MS)
        scene.poll("s0", scene.send("sq", 1))
    scene.poll("s0", late)
    _close(scene, "s0", "sp", "sq")


def deadlock(scene: Scene, broken: bool) -> None:
    """A send never ends, and its process does nothing."""
    used, busy = scene.random.randint(100, 900), 0 if broken else 20
    scene.producer("sp")
    scene.member("s0", 0)
    scene.poll("s0", scene.send("sp", 0))
    _close(scene, "s0")
    scene.send("sp", 0, kind=-1)
    for _ in range(scene.random.randint(4, 5)):
        scene.note("sp", "sample", cpu_ms=used, threads=5)
        scene.wait(10_050 * MS)
        used += scene.random.randint(0, 20) + 10 * busy
    scene.note("sp", "sample", cpu_ms=used, threads=5)
    scene.note("sp", "thread_dump", text="main: parked")
    scene.row("sp", EVENT, "kill", detail=scene.word({}))


def unrecovered(scene: Scene, broken: bool) -> None:
    """After a fault was healed a producer fails on for too long."""
    scene.producer("sp")
    scene.member("s0", 0)
    scene.poll("s0", scene.send("sp", 0))
    fault = f"{scene.prefix}broker"
    scene.note("lab", "fault", fault=fault, phase="injected")
    scene.wait(scene.random.randint(1, 20) * SECOND)
    scene.send("sp", 0, kind=scene.random.choice([INFO, FAIL]), takes=SECOND)
    scene.note("lab", "fault", fault=fault, phase="healed")
    for _ in range(scene.random.randint(3, 5) if broken else 1):
        takes = scene.random.randint(22, 30) * SECOND
        scene.send("sp", 0, kind=scene.random.choice([INFO, FAIL]), takes=takes)
    scene.poll("s0", scene.send("sp", 0))
    scene.wait(100 * SECOND)  # whoever comes next owes nothing to this fault
    scene.poll("s0", scene.send("sp", 0))
    _close(scene, "s0", "sp")


def g1c(scene: Scene, broken: bool) -> None:
    """Transactions, each of which was given what the next one wrote, and the last the first's."""
    size = scene.random.choice([2, 2, 3, 4])
    written = _begun(scene, size)
    for n in range(size):
        if broken or n:
            scene.poll(f"sc{n}", written[(n + 1) % size] if broken else written[n - 1])
            scene.txn(f"sx{n}", "send_offsets", group_of=f"{scene.prefix}sc{n}")
        if not broken:
            scene.txn(f"sx{n}", "commit")
    if broken:
        for n in range(size):
            scene.txn(f"sx{n}", "commit")
    else:
        scene.poll("sc0", written[-1])
    _close(scene, *(f"{kind}{n}" for n in range(size) for kind in ("sx", "sc")))


def _begun(scene: Scene, size: int) -> list[Records]:
    """So many transactions that wrote to a partition each, and a consumer for each."""
    written: list[Records] = []
    for n in range(size):
        scene.producer(f"sx{n}", acks=-1, transactional_id=f"{scene.prefix}sx{n}")
        _committed_reader(scene, f"sc{n}", range(size))
        scene.txn(f"sx{n}", "init")
    for n in range(size):
        scene.txn(f"sx{n}", "begin")
        written.append(scene.send(f"sx{n}", n, scene.random.randint(1, 3)))
        scene.marker(n)
    return written


def _committed_reader(scene: Scene, name: str, parts: range) -> None:
    config = {"offset_reset": "earliest", "isolation": "read_committed"}
    config["group"] = f"{scene.prefix}{name}"
    scene.call(name, "open", {"role": "consumer", "config": config})
    places = {"topic": scene.topic, "part": np.array(parts), "off": 0}
    number = scene.begin_rows(name, "assign", len(parts), **places)
    scene.row(name, OK, "assign", len(parts), op_id=number, **places)


def g1c_process(scene: Scene, broken: bool) -> None:
    """A transaction is given what the same producer's next one writes."""
    scene.producer("sx", acks=-1, transactional_id=f"{scene.prefix}sx")
    _committed_reader(scene, "sc", range(2))
    scene.txn("sx", "init")
    scene.txn("sx", "begin")
    first = scene.send("sx", 0, scene.random.randint(1, 3))
    early = [(1, scene.next_value(), 0)]
    if broken:
        scene.poll("sc", early)
        scene.txn("sx", "send_offsets", group_of=f"{scene.prefix}sc")
    scene.txn("sx", "commit")
    for _ in range(scene.random.randint(0, 3)):
        scene.txn("sx", "begin")
        scene.txn("sx", "abort")
    scene.txn("sx", "begin")
    second = scene.send("sx", 1)
    scene.txn("sx", "commit")
    scene.poll("sc", first if broken else first + second)
    _close(scene, "sx", "sc")


def _close(scene: Scene, *names: str) -> None:
    for name in names:
        scene.call(name, "close")


SCENES: Mapping[str, Play] = MappingProxyType(
    {
        "zombie-member": zombie_member,
        "paused-kept": paused_kept,
        "slow-watermark": slow_watermark,
        "deadlock": deadlock,
        "unrecovered": unrecovered,
        "G1c": g1c,
        "G1c-process": g1c_process,
    }
)


def played(facts: Facts, claim: str, pick: Random, *, broken: bool) -> Frame:
    """The case with a scene of this claim after it."""
    scene = Scene(facts, pick)
    SCENES[claim](scene, broken)
    return scene.frame()
