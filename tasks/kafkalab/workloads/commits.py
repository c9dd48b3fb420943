"""Commits of every kind, each on a topic and group of its own (C13).

What is driven, per mode, after `records` were produced to the mode's topic:
`sync` `async`   the consumer commits the next offsets of what it was just given, after each poll;
`timed`          auto-commit every 500 ms; the lab waits until the coordinator has the end;
`close`          auto-commit with an interval that never comes; closing must commit what was
delivered. The program asks once more before it closes: some clients (franz-go) count what they
gave last as being worked on until then, and commit only what was before;
`revoke`         as `close`, but a second member joins: what is revoked must be committed before;
`crash`          sync commits up to the middle of a partition, then SIGKILL; a new member goes on in
the same group, from where that was; then a group of its own reads all, so that what was skipped is
told from what was lost.
After each mode the lab's admin reads the group's offsets from the coordinator (`group_offsets`
rows). What is legal: an offset never goes beyond what was delivered, never backwards, what was
acknowledged is found, and a clean close leaves the next offset of what was delivered. Not checked
here: commits inside transactions; concurrent commits of one client for different partitions. What a
handover alone cannot show of the group family: orphan-partition (no group is left alone for
settle_ns), needless-move (no group is cooperative by configuration), paused-lost, paused-kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kafkalab.model.errors import UsageError
from kafkalab.workloads import roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset(
    {
        "commit-ahead", "commit-behind", "commit-regression", "commit-lost", "lost-write",
        "unseen", "duplicate", "delivered-twice", "inconsistent-offsets", "corrupt-value", "G1a",
        "wrong-topic", "stall", "hung-close", "double-owner", "consumed-after-revoke",
        "zombie-member", "skipped-past-commit", "reread-below-commit", "rounds-to-converge",
        *roles.ORDER,
    }
)  # fmt: skip

_NEVER_MS = 600_000  # an auto-commit interval that does not come during the cell


@dataclass(frozen=True)
class Load:
    """Load of the commit modes."""

    modes: tuple[str, ...]
    records: int  # per mode
    record_bytes: int
    partitions: int
    poll_records: int

    def __post_init__(self) -> None:
        for mode in self.modes:
            if mode not in _MODES:
                raise UsageError(f"load.modes: unknown '{mode}'; there are {', '.join(_MODES)}.")


@dataclass
class _Stage:
    """One mode: its topic, group and what was delivered of it."""

    lab: Lab
    load: Load
    mode: str
    topic: str
    delivered: roles.Delivered

    @property
    def group(self) -> str:
        return f"{self.topic}-group"

    def consumer(self, name: str, driver: Any, **config: Any) -> Client:
        client = self.lab.client(driver, name)
        client.open("consumer", {"group": self.group, "offset_reset": "earliest", **config})
        client.subscribe([self.topic])
        return client

    def read(
        self, client: Client, after_poll: Callable[[list[Any]], None], until: int | None = None
    ) -> None:
        """Poll until the topic's end (or `until` records) is delivered or nothing moves."""
        ends = self.lab.admin.end_offsets(self.topic, self.load.partitions)
        wanted = {(self.topic, p): end for p, end in ends.items()}
        moved = time.monotonic()
        total = 0
        while not self.delivered.reached(wanted) and (until is None or total < until):
            self.lab.check_time()
            records = client.poll(self.load.poll_records, 500)
            if self.delivered.add(records):
                total += len(records)
                moved = time.monotonic()
                after_poll(records)
            elif time.monotonic() - moved > roles.STALL_S + roles.SETTLE_S:
                return

    def wait_for_commit(self, client: Client, bound_s: float) -> None:
        """Keep polling until the coordinator has the end; the history shows if it never does."""
        ends = self.lab.admin.end_offsets(self.topic, self.load.partitions)
        until = time.monotonic() + bound_s
        while time.monotonic() < until:
            found = self.lab.admin.group_offsets(self.group, self.topic, self.load.partitions)
            if found == ends:
                return
            self.delivered.add(client.poll(self.load.poll_records, 250))


def next_offsets(records: Sequence[Sequence[Any]]) -> list[tuple[str, int, int]]:
    """Next offset per partition after a poll's records."""
    ends: dict[tuple[str, int], int] = {}
    for topic, partition, offset, *_rest in records:
        ends[topic, partition] = max(ends.get((topic, partition), 0), offset + 1)
    return [(topic, partition, offset) for (topic, partition), offset in ends.items()]


def _manual(stage: _Stage) -> None:
    client = stage.consumer("c-" + stage.mode, stage.lab.drivers[0], auto_commit=False)
    pending = []

    def commit(records: list[Any]) -> None:
        future = client.commit(next_offsets(records), stage.mode)
        if stage.mode == "sync":
            client.wait(future, "commit", 30)
        else:
            pending.append(future)

    stage.read(client, commit)
    # An async commit completes from its callback, which many clients serve only inside poll.
    until = time.monotonic() + 15
    while not all(f.done() for f in pending) and time.monotonic() < until:
        stage.delivered.add(client.poll(stage.load.poll_records, 100))
    roles.close(stage.lab, [client])


def _timed(stage: _Stage) -> None:
    client = stage.consumer(
        "c-timed", stage.lab.drivers[0], auto_commit=True, auto_commit_interval_ms=500
    )
    stage.read(client, lambda _records: None)
    stage.wait_for_commit(client, 15)
    roles.close(stage.lab, [client])


def _on_close(stage: _Stage) -> None:
    client = stage.consumer(
        "c-close", stage.lab.drivers[0], auto_commit=True, auto_commit_interval_ms=_NEVER_MS
    )
    stage.read(client, lambda _records: None)
    stage.delivered.add(client.poll(stage.load.poll_records, 250))
    roles.close(stage.lab, [client])


def _on_revoke(stage: _Stage) -> None:
    config = {"auto_commit": True, "auto_commit_interval_ms": _NEVER_MS}
    first = stage.consumer("c-revoke-1", stage.lab.drivers[0], **config)
    stage.read(first, lambda _records: None)
    stage.delivered.add(first.poll(stage.load.poll_records, 250))
    second = stage.consumer("c-revoke-2", stage.lab.drivers[0], **config)
    stop = threading.Event()
    with stage.lab.threads(2) as pool:
        reading = [
            pool.submit(roles.consume, stage.lab, c, stage.delivered, stop, 100)
            for c in (first, second)
        ]
        try:
            _wait_for_group(stage, 20)
        finally:
            stop.set()
        roles.finish(reading, stop)
    roles.close(stage.lab, [first, second])


def _wait_for_group(stage: _Stage, bound_s: float) -> None:
    """Until the coordinator has the end: the first member committed as it was revoked."""
    ends = stage.lab.admin.end_offsets(stage.topic, stage.load.partitions)
    until = time.monotonic() + bound_s
    while time.monotonic() < until:
        found = stage.lab.admin.group_offsets(stage.group, stage.topic, stage.load.partitions)
        if found == ends:
            return
        stage.delivered.wait(0.25)


def _crash(stage: _Stage) -> None:
    driver = stage.lab.driver("crash")
    limit = stage.load.poll_records  # of each delivery, for those that fix it when they open
    config = {"auto_commit": False, "session_timeout_ms": 6000, "max_poll_records": limit}
    first = stage.consumer("c-crash-1", driver, **config)

    def commit(records: list[Any]) -> None:
        first.wait(first.commit(next_offsets(records), "sync"), "commit", 30)

    # Less than a partition has, so that the next owner must find its place within one.
    stage.read(first, commit, until=stage.load.records // stage.load.partitions * 3 // 4)
    driver.kill()
    stage.lab.recorder.note(time.monotonic_ns(), first.name, "kill", {"driver": driver.name})
    second = stage.consumer("c-crash-2", stage.lab.drivers[0], auto_commit=False)

    def commit_on(records: list[Any]) -> None:
        second.wait(second.commit(next_offsets(records), "sync"), "commit", 30)

    stage.read(second, commit_on)
    roles.close(stage.lab, [second])
    _read_by_another_group(stage)


def _read_by_another_group(stage: _Stage) -> None:
    other = replace(stage, delivered=roles.Delivered())
    reader = other.consumer("c-crash-all", stage.lab.drivers[0], group=f"{stage.group}-all")
    other.read(reader, lambda _records: None)
    roles.close(stage.lab, [reader])


_MODES: dict[str, Callable[[_Stage], None]] = {
    "sync": _manual,
    "async": _manual,
    "timed": _timed,
    "close": _on_close,
    "revoke": _on_revoke,
    "crash": _crash,
}


def drive(lab: Lab, load: Load) -> Driven:
    """Run the modes one after another; one producer fills every topic."""
    producer = lab.client(lab.driver("d0"), "p0")
    producer.open("producer", {"acks": -1, "idempotence": True})
    delivered = 0
    for mode in load.modes:
        topic = lab.topic(mode, load.partitions)
        values = lab.values(load.records)
        roles.produce(
            lab, producer, topic, values, load.record_bytes, 100, partitions=load.partitions
        )
        lab.mark(f"commit mode {mode}")
        stage = _Stage(lab, load, mode, topic, roles.Delivered())
        _MODES[mode](stage)
        lab.admin.group_offsets(stage.group, topic, load.partitions)
        lab.admin.offset_commits(stage.group)
        delivered += stage.delivered.records
    roles.close(lab, [producer])
    sent = load.records * len(load.modes)
    return Driven(
        roles.context(redelivery_allowed=True), samples={"sent": sent, "delivered": delivered}
    )


WORKLOAD = Workload(Load, drive, CLAIMS)
