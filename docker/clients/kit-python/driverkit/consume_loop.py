"""The consume loop: takes records as fast as the program works, and looks at every one of them.

Records are checked a delivery at a time with the interpreter's C code, small ones of one size with
one CRC-32 for all, and one by one only where that finds something.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any
from zlib import crc32

from driverkit.client import Command
from driverkit.loops import Loop
from driverkit.outcome import RefusedError
from driverkit.payload import MAGIC, RESIDUE, SIZE_MIN, SMALL, Intact, header, unpack

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
        self.loop = Loop(client, command)
        self.positions: dict[tuple[str, int], int] = {}
        self._intact: dict[int, Intact] = {}  # by size

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
        """Check and count the values of one delivery.

        Args:
            now_ns: when it came.
            values: of its records.
            times_ns: where each record is a delivery, and some are only looked at together: when
                each of them came.
        """
        meter = self.loop.meter
        if times_ns is None:
            meter.delivered(now_ns, len(values))
        else:
            meter.delivered_each(times_ns)
        fields = self._read(values)
        if fields is None:
            self._read_each(values, repeat(now_ns) if times_ns is None else times_ns)
        elif times_ns is None:
            meter.latencies.add([(now_ns - sent) // 1000 for _, sent in fields if sent])
        else:
            together = zip(times_ns, fields, strict=True)
            meter.latencies.add([(at - f[1]) // 1000 for at, f in together if f[1]])

    def _read(self, values: Sequence[Any]) -> list[tuple[int, int]] | None:
        """Count values where all are intact, and give (value, sent at); None where one is not."""
        try:
            sizes = set(map(len, values))
        except TypeError:  # a null value
            return None
        if min(sizes) < SIZE_MIN:
            return None
        alike = len(sizes) == 1
        fields = self._together(values, *sizes) if alike else _one_by_one(values)
        if fields is not None:
            meter = self.loop.meter
            meter.bytes += sizes.pop() * len(values) if alike else sum(map(len, values))
            meter.value_sum = (meter.value_sum or 0) + sum([value for value, _ in fields])
        return fields

    def _together(self, values: Sequence[bytes], size: int) -> list[tuple[int, int]] | None:
        if size > SMALL:
            return _one_by_one(values)
        intact = self._intact.get(size)
        if intact is None:
            intact = self._intact[size] = Intact(size)
        return intact(values)

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
        before, first = self.positions.get((topic, partition), -1), offsets[0]
        if first <= before or offsets != list(range(first, first + len(offsets))):
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


def _one_by_one(values: Sequence[bytes]) -> list[tuple[int, int]] | None:
    fields = list(map(header, values))
    whole = list(map(crc32, values)).count(RESIDUE) == len(values)
    if not whole or any(each[0] != MAGIC for each in fields):
        return None
    return [(each[1], each[2]) for each in fields]
