"""The consume loop: takes records as fast as the program works, and looks at every one of them.

Records are checked many at a time, small ones of one size with one CRC-32 for all, and one by one
only where that finds something.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from struct import pack
from typing import Any

import numpy as np

from driverkit.client import Command
from driverkit.loops import Loop
from driverkit.outcome import RefusedError
from driverkit.payload import MAGIC, RESIDUE, SIZE_MIN, SMALL, Intact, crc32, header, unpack

LOOK_AT = 256  # small records that are checked at once; before each report all are
_FEW = 32  # offsets that a list compares faster than numpy
COMMITS = ("none", "auto", "sync", "async")


class ConsumeLoop:
    """One `consume` command. A driver overrides `styles`, `fetch`, `look_at` and `commit_now`."""

    styles: tuple[str, ...] = ()

    def __init__(self, client: Any, command: Command) -> None:
        self.client = client
        self.style: str = command["style"]
        if self.style not in self.styles:
            has = ", ".join(self.styles)
            raise RefusedError(f"style: this client has {has}, found '{self.style}'")
        self.commit: str = command.get("commit") or "none"
        if self.commit not in COMMITS:
            expected = ", ".join(COMMITS)
            raise RefusedError(f"commit: expected one of {expected}, found '{self.commit}'")
        self.batch: int | None = command.get("max_poll_records") or client.max_poll_records
        self.work_ns = int((command.get("work_us") or 0) * 1000)
        self.loop = Loop(client, command, self.look)
        self.positions: dict[tuple[str, int], int] = {}
        self._intact: dict[int, Intact] = {}  # by size
        self._values: list[Any] = []  # not looked at yet
        self._came_ns: list[int] = []  # the times at which they came
        self._counts: list[int] = []  # and how many at each

    # What a driver overrides.

    def fetch(self, most: int | None) -> Any:
        """One delivery of at most so many records (None: as the client likes), empty after 0.1 s.

        It is taken in the way that `self.style` names.
        """
        raise NotImplementedError

    def look_at(self, delivery: Any) -> int:
        """Check and count one delivery by `delivered` and `order`; how many records it had."""
        raise NotImplementedError

    def commit_now(self) -> None:
        """Commit what was delivered, as `self.commit` says; what fails goes to `failed`."""
        raise NotImplementedError

    # What it gets.

    def run(self) -> dict[str, Any]:
        """Run it and return the totals."""
        while self.loop.tick() and not self.has_all():
            delivery = self.fetch(self.want())
            if delivery:
                self.work(self.look_at(delivery))
                if self.commit in ("sync", "async"):
                    self.commit_now()
        return self.loop.total()

    def has_all(self) -> bool:
        """Whether `max_records` have been delivered."""
        most = self.loop.max_records
        return most is not None and self.loop.meter.all_records >= most

    def want(self) -> int | None:
        """How many records the next delivery may have."""
        most = self.loop.max_records
        if most is None:
            return self.batch
        left = most - self.loop.meter.all_records
        return left if self.batch is None else min(self.batch, left)

    def delivered(
        self, now_ns: int, values: Sequence[bytes | None], times_ns: list[int] | None = None
    ) -> None:
        """Count the values of one delivery; they are checked with others.

        Args:
            now_ns: when it came.
            values: of its records.
            times_ns: where each record is a delivery: when each of them came.
        """
        meter = self.loop.meter
        if times_ns is None:
            meter.delivered(now_ns, len(values))
            self._came_ns.append(now_ns)
            self._counts.append(len(values))
        else:
            meter.delivered_each(times_ns)
            self._came_ns += times_ns
            self._counts += repeat(1, len(times_ns))
        self._values += values
        if len(self._values) >= LOOK_AT or len(values[0] or b"") > SMALL:
            self.look()

    def look(self) -> None:
        """Check what came since the last time, all at once."""
        values = self._values
        if not values:
            return
        times_ns, counts = self._came_ns, self._counts
        self._values, self._came_ns, self._counts = [], [], []
        fields = self._read(values)
        if fields is None:
            self._read_each(values, chain.from_iterable(map(repeat, times_ns, counts)))
            return
        came_ns = times_ns[0] if len(times_ns) == 1 else np.repeat(times_ns, counts)
        latencies = (came_ns - fields) // 1000
        self.loop.meter.latencies.add(latencies if fields.all() else latencies[fields != 0])

    def _read(self, values: Sequence[Any]) -> Any:
        """Count values where all are intact, and give their times; None where one is not."""
        try:
            data, size = b"".join(values), len(values[0])
        except TypeError:  # a null value
            return None
        if SIZE_MIN <= size <= SMALL and size * len(values) == len(data):
            if size not in self._intact:
                self._intact[size] = Intact(size)
            fields = self._intact[size](data)
        else:
            fields = _one_by_one(values)
        if fields is None:
            return None
        meter = self.loop.meter
        meter.bytes += len(data)
        meter.value_sum = (meter.value_sum or 0) + int(fields[0].sum(dtype=np.uint64))
        return fields[1]

    def _read_each(self, values: Sequence[bytes | None], times_ns: Iterable[int]) -> None:
        """Count the payloads that are what was sent, and those that are not."""
        meter = self.loop.meter
        for value, now_ns in zip(values, times_ns, strict=False):
            number, problem, _, _ = unpack(value)
            if problem is not None or value is None or number is None:
                meter.corrupt += 1
                continue
            meter.bytes += len(value)
            meter.value_sum = (meter.value_sum or 0) + number
            if sent := header(value)[2]:
                meter.latencies.add([(now_ns - sent) // 1000])

    def order(self, topic: str, partition: int, offsets: list[int]) -> None:
        """Count the records of one partition, and offsets that step back."""
        self.loop.meter.partitions[f"{topic}/{partition}"] += len(offsets)
        before = self.positions.get((topic, partition), -1)
        if offsets[0] <= before or not _gapless(offsets):
            for offset in offsets:  # a gap, or a step back
                self.loop.meter.out_of_order += offset <= before
                before = offset
        self.positions[topic, partition] = offsets[-1]

    def work(self, records: int) -> None:
        """Keep busy as long as a program would with so many records."""
        until_ns = time.monotonic_ns() + self.work_ns * records
        while time.monotonic_ns() < until_ns and not self.client.closing:
            pass

    def failed(self, error: Any) -> None:
        """Count an error that the loop survives, and report it."""
        self.loop.meter.errors += 1
        self.client.error(error)


def _gapless(offsets: list[int]) -> bool:
    first, count = offsets[0], len(offsets)
    if count <= _FEW:
        return offsets == list(range(first, first + count))
    # As bytes they compare without an object for each that is expected, in half the time.
    expected = np.arange(first, first + count, dtype=np.int64)
    return pack(f"{count}q", *offsets) == expected.tobytes()


def _one_by_one(values: Sequence[bytes]) -> tuple[Any, Any] | None:
    if min(map(len, values)) < SIZE_MIN:
        return None
    fields = list(map(header, values))
    whole = list(map(crc32, values)).count(RESIDUE) == len(values)
    if not whole or any(each[0] != MAGIC for each in fields):
        return None
    numbers = np.array([each[1] for each in fields], dtype=np.uint64)
    return numbers, np.array([each[2] for each in fields], dtype=np.int64)
