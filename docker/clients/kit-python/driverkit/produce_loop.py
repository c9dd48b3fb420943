"""The produce loop: closed (as fast as the client takes) or open (a rate that does not wait).

Records are handed over in chunks. Those of one chunk of a closed loop share their intended time,
the moment before the chunk; in an open loop each has its own, from the schedule, however late the
loop is. Acknowledgements get their time where the client reports them, and are counted together.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from itertools import cycle, repeat
from typing import Any

from driverkit.client import SLICE_S, BaseClient, Command
from driverkit.loops import Loop
from driverkit.payload import SMALL, Packer

CHUNK = 128
_WAIT_S = SLICE_S / 2  # of an open loop at a time: whatever ends it, it ends soon
_MASK64 = (1 << 64) - 1


class ProduceLoop:
    """One `produce` command. A driver overrides `hand_over`, `serve` and `flush`.

    It reports each record once, from any thread: acknowledged (its latency in `acked`, then its
    partition in `landed`, by which `account` goes) or given up (`refused`).
    """

    def __init__(self, client: Any, command: Command) -> None:
        self.client: BaseClient = client
        self.topic: str = command["topic"]
        self.size: int = command["record_bytes"]
        self.rate: float | None = command.get("rate")
        partitions = command.get("partitions") or [-1]  # −1: the client chooses
        self.partitions = cycle(partitions)
        self.first = self.value = command.get("first_value") or 0
        self.loop = Loop(client, command)
        self.loop.meter.value_sum = None  # in samples; the completion has it
        packer = Packer(self.topic)
        self.build = packer.builder(self.size)
        alike = len(partitions) == 1 and self.size <= SMALL
        self._series = packer.series(self.size) if alike else None
        self.refused_sum = 0  # values that were handed over and failed
        self.acked: list[int] = []  # latencies in ns
        self.landed: list[int] = []  # partitions
        self.began_ns = 0

    # What a driver overrides.

    def hand_over(self, payload: bytes, value: int, partition: int, intended_ns: int) -> None:
        """Give one record to the client; where it has no room, wait as a program would."""
        raise NotImplementedError

    def serve(self, timeout_s: float) -> None:
        """Let the client report what happened; wait for it at most so long."""
        raise NotImplementedError

    def flush(self) -> None:
        """Wait until everything is reported; a close gives up when its time is over."""
        raise NotImplementedError

    # What it gets.

    def run(self) -> dict[str, Any]:
        """Run it, flush, and return the totals."""
        self.began_ns = time.monotonic_ns()
        while self.loop.tick():
            left = self.left()
            if left <= 0:
                break
            if self.rate is None:
                self.closed_chunk(left)
            else:
                self.open_chunk(left)
            self.serve(0)
            self.account()
        self.flush()
        self.account()
        return self.total()

    def left(self) -> int:
        """How many records the next chunk may have; 0 when all were handed over."""
        most = self.loop.max_records
        return CHUNK if most is None else min(CHUNK, most - (self.value - self.first))

    def due(self, most: int) -> int:
        """How many records of an open loop should have left by now, at most `most`."""
        assert self.rate is not None
        due = int((time.monotonic_ns() - self.began_ns) * self.rate / 1e9) + 1
        return min(due - (self.value - self.first), most)

    def intended(self, value: int) -> int:
        """When a record of an open loop should leave, in ns of CLOCK_MONOTONIC."""
        assert self.rate is not None
        return self.began_ns + int((value - self.first) * 1e9 / self.rate)

    def closed_chunk(self, count: int) -> None:
        """Hand over as many records, all at once."""
        now_ns = time.monotonic_ns()
        for value, (payload, partition) in enumerate(self.payloads(count, now_ns), self.value):
            self.hand_over(payload, value, partition, now_ns)
        self.value += count

    def open_chunk(self, most: int) -> None:
        """Hand over what is due by now; wait a little when nothing is."""
        count = self.due(most)
        if count <= 0:
            early_s = (self.intended(self.value) - time.monotonic_ns()) / 1e9
            self.serve(min(max(early_s, 0), _WAIT_S))
            return
        for value in range(self.value, self.value + count):
            intended_ns, partition = self.intended(value), next(self.partitions)
            payload = self.build(value, partition, intended_ns)
            self.hand_over(payload, value, partition, intended_ns)
        self.value += count

    def payloads(self, count: int, now_ns: int) -> Iterable[tuple[bytes, int]]:
        """The next payloads of a closed loop, each with its partition."""
        if self._series is not None:
            partition = next(self.partitions)
            return zip(self._series(self.value, count, partition, now_ns), repeat(partition))
        values = zip(range(self.value, self.value + count), self.partitions, strict=False)
        return [(self.build(value, partition, now_ns), partition) for value, partition in values]

    def refused(self, value: int) -> None:
        """A record did not get through."""
        self.loop.meter.errors += 1
        self.refused_sum += value

    def account(self) -> None:
        """Count what was acknowledged since the last time."""
        count = len(self.landed)  # others may append meanwhile
        if not count:
            return
        acked, landed = self.acked[:count], self.landed[:count]
        del self.acked[:count], self.landed[:count]
        meter = self.loop.meter
        meter.delivered(time.monotonic_ns(), count)
        meter.bytes += count * self.size
        meter.latencies.add([each // 1000 for each in acked])
        for partition, records in Counter(landed).items():
            meter.partitions[f"{self.topic}/{partition}"] += records

    def total(self) -> dict[str, Any]:
        """What the completion carries."""
        count = self.value - self.first
        total = self.loop.total()
        total["value_sum"] = (
            count * self.first + count * (count - 1) // 2 - self.refused_sum
        ) & _MASK64
        return total
