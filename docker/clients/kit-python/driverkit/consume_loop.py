"""The consume loop: takes records as fast as the program works, and looks at every one of them.

Records are checked a delivery at a time with the interpreter's C code (`map`, `zip`, `sorted`), and
one by one only where that finds something.
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
from driverkit.payload import MAGIC, RESIDUE, SIZE_MIN, header, unpack

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

    def delivered(self, now_ns: int, values: Sequence[bytes | None]) -> None:
        """Check and count the values of one delivery."""
        self.loop.meter.delivered(now_ns, len(values))
        self._check(values, repeat(now_ns))

    def delivered_each(self, times_ns: list[int], values: Sequence[bytes | None]) -> None:
        """Check and count records that were delivered one by one, at these times."""
        self.loop.meter.delivered_each(times_ns)
        self._check(values, times_ns)

    def _check(self, values: Sequence[Any], times_ns: Iterable[int]) -> None:
        meter = self.loop.meter
        if None in values or min(map(len, values), default=SIZE_MIN) < SIZE_MIN:
            values, times_ns = self._good(values, times_ns)
        meter.bytes += sum(map(len, values))
        checks = list(map(crc32, values))
        headers = list(map(header, values))
        if checks.count(RESIDUE) != len(checks) or any(each[0] != MAGIC for each in headers):
            values, times_ns = self._good(values, times_ns)
            headers = list(map(header, values))
        meter.value_sum = (meter.value_sum or 0) + sum([each[1] for each in headers])
        meter.add_latencies(
            [
                (now_ns - each[2]) // 1000
                for now_ns, each in zip(times_ns, headers, strict=False)
                if each[2]
            ]
        )

    def _good(
        self, values: Sequence[bytes | None], times_ns: Iterable[int]
    ) -> tuple[list[bytes], list[int]]:
        """Count payloads that are not what was sent, and leave them out."""
        pairs = zip(values, times_ns, strict=False)
        good = [(v, at) for v, at in pairs if v is not None and unpack(v)[1] is None]
        self.loop.meter.corrupt += len(values) - len(good)
        return [value for value, _ in good], [at for _, at in good]

    def order(self, topic: str, partition: int, offsets: list[int]) -> None:
        """Count the records of one partition, and offsets that step back."""
        self.loop.meter.partitions[f"{topic}/{partition}"] += len(offsets)
        before = self.positions.get((topic, partition), -1)
        if offsets[0] <= before or offsets != sorted(set(offsets)):
            for offset in offsets:
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
