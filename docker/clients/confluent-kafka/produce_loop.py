"""The produce loop: closed (as fast as the client takes) or open (a rate that does not wait).

Records are handed over in chunks. Those of one chunk of a closed loop share their intended time,
the moment before the chunk; in an open loop each has its own, from the schedule, however late the
loop is. Acknowledgements are collected while the client serves them and get their time right after.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import cycle, repeat
from typing import TYPE_CHECKING, Any

from client import SLICE_S, Command
from loops import Loop
from payload import Packer, header

if TYPE_CHECKING:
    from producer import ProducerClient

CHUNK = 128
_FULL_S = 0.01  # how long a full queue is served before the next try


class ProduceLoop:
    """One `produce` command."""

    def __init__(self, client: ProducerClient, command: Command) -> None:
        self.client = client
        self.topic = command["topic"]
        self.size = command["record_bytes"]
        self.rate = command.get("rate")
        partitions = command.get("partitions")
        self.partitions = cycle(partitions) if partitions else repeat(-1)
        self.first = self.value = command.get("first_value") or 0
        self.loop = Loop(client, command)
        self.loop.meter.value_sum = None  # in samples; the completion has it
        self.build = Packer(self.topic).builder(self.size)
        self.produce = client.produce_call()
        self.refused_sum = 0  # values that were handed over and failed
        self.acked: list[int] = []  # intended times
        self.landed: list[int] = []  # partitions

    def run(self) -> dict[str, Any]:
        """Run it, flush, and return the totals."""
        self.began_ns = time.monotonic_ns()
        most = self.loop.max_records
        while self.loop.tick():
            left = CHUNK if most is None else min(CHUNK, most - (self.value - self.first))
            if left <= 0:
                break
            if self.rate is None:
                self.closed_chunk(left)
            else:
                self.open_chunk(left)
            self.client.native.poll(0)
            self.account()
        self.flush()
        count = self.value - self.first
        total = self.loop.total()
        total["value_sum"] = (count * self.first + count * (count - 1) // 2 - self.refused_sum) & (
            (1 << 64) - 1
        )
        return total

    def closed_chunk(self, count: int) -> None:
        """Hand over as many records, all at once."""
        now_ns = time.monotonic_ns()
        report = self.reporter(now_ns)
        build, produce, topic = self.build, self.produce, self.topic
        end = self.value + count
        for value, partition in zip(range(self.value, end), self.partitions, strict=False):
            payload = build(value, partition, now_ns)
            try:
                produce(topic, payload, partition=partition, on_delivery=report)
            except BufferError:
                self.hand_over_when_there_is_room(payload, partition, report)
        self.value = end

    def open_chunk(self, most: int) -> None:
        """Hand over what is due by now; wait a little when nothing is."""
        due = int((time.monotonic_ns() - self.began_ns) * self.rate / 1e9) + 1
        count = min(due - (self.value - self.first), most)
        if count <= 0:
            self.client.native.poll(0.001)
            return
        for value in range(self.value, self.value + count):
            intended_ns = self.began_ns + int((value - self.first) * 1e9 / self.rate)
            partition = next(self.partitions)
            payload = self.build(value, partition, intended_ns)
            report = self.reporter(intended_ns)
            try:
                self.produce(self.topic, payload, partition=partition, on_delivery=report)
            except BufferError:
                self.hand_over_when_there_is_room(payload, partition, report)
        self.value += count

    def hand_over_when_there_is_room(self, payload: bytes, partition: int, report: Any) -> None:
        """Serve the client until its queue takes the record: what every producing program does."""
        while True:
            self.client.native.poll(_FULL_S)
            self.account()
            try:
                self.produce(self.topic, payload, partition=partition, on_delivery=report)
            except BufferError:
                if self.loop.tick():
                    continue
                self.refused(payload)
            return

    def reporter(self, intended_ns: int) -> Any:
        """A delivery callback. It runs once a record: two appends and no attribute lookups."""
        acked, landed, refused = self.acked.append, self.landed.append, self.refused

        def report(error: Any, message: Any) -> None:
            if error is None:
                acked(intended_ns)
                landed(message.partition())
            else:
                refused(message.value())

        return report

    def refused(self, payload: bytes) -> None:
        """A record that did not get through."""
        self.loop.meter.errors += 1
        self.refused_sum += header(payload)[1]

    def account(self) -> None:
        """Count what was acknowledged since the last time."""
        if not self.acked:
            return
        now_ns, meter, count = time.monotonic_ns(), self.loop.meter, len(self.acked)
        meter.delivered(now_ns, count)
        meter.bytes += count * self.size
        meter.add_latencies([(now_ns - intended_ns) // 1000 for intended_ns in self.acked])
        for partition, landed in Counter(self.landed).items():
            meter.partitions[f"{self.topic}/{partition}"] += landed
        self.acked.clear()
        self.landed.clear()

    def flush(self) -> None:
        """Wait until everything is reported; a close gives up when its time is over."""
        native = self.client.native
        while native.flush(SLICE_S):
            self.account()
            self.loop.tick()
            close_by = self.client.close_by
            if close_by is not None and time.monotonic() >= close_by:
                native.purge()
                native.flush(SLICE_S)
                break
        self.account()
