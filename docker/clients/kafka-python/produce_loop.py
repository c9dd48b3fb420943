"""The produce loop of `KafkaProducer`, with one callback a record, in the client's own thread.

From 2.2 on the client has no bound on what it holds: a closed loop never waits for room.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import driverkit
from driverkit import SLICE_S, Command
from kafka.errors import KafkaError, KafkaTimeoutError

if TYPE_CHECKING:
    from producer import ProducerClient

_PAUSE_S = 0.01


class Chunk:
    """Records that were handed over together.

    What the client calls for each of them costs, so all share two functions. Which records did not
    get through is looked up in the futures, when it is asked for.
    """

    def __init__(self, loop: ProduceLoop, first: int, intended_ns: int) -> None:
        self.loop = loop
        self.first = first  # value of the first record
        self.futures: list[Any] = []
        acked, landed, clock = loop.acked.append, loop.landed.append, time.monotonic_ns

        def report(found: Any) -> None:
            acked(clock() - intended_ns)
            landed(found[1])

        self.report = report

    def give_up(self, _error: BaseException) -> None:
        """One of the records did not get through."""
        self.loop.meter.errors += 1
        self.loop.given_up += 1
        self.loop.failing[self.first] = self

    def refused_sum(self) -> int:
        """The sum of the values that did not get through."""
        failed = enumerate(self.futures, self.first)
        return sum(value for value, future in failed if future is not None and future.failed())


class ProduceLoop(driverkit.ProduceLoop):
    """One `produce` command."""

    client: ProducerClient

    def __init__(self, client: ProducerClient, command: Command) -> None:
        super().__init__(client, command)
        self.send = client.native.send
        self.meter = self.loop.meter
        self.given_up = 0  # records that did not get through
        self.failing: dict[int, Chunk] = {}  # by the first value

    def closed_chunk(self, count: int) -> None:
        """Hand over as many records, all at once: `hand_over` without its cost for each record."""
        now_ns = time.monotonic_ns()
        chunk = Chunk(self, self.value, now_ns)
        report, give_up, keep = chunk.report, chunk.give_up, chunk.futures.append
        send, topic = self.send, self.topic
        for value, (payload, partition) in enumerate(self.payloads(count, now_ns), self.value):
            try:
                future = send(topic, payload, partition=None if partition < 0 else partition)
            except KafkaError:
                self.refused(value)
                keep(None)
                continue
            keep(future)
            future.add_callback(report)
            future.add_errback(give_up)
        self.value += count

    def hand_over(self, payload: bytes, value: int, partition: int, intended_ns: int) -> None:
        """Give one record to the client."""
        chunk = Chunk(self, value, intended_ns)
        try:
            future = self.send(self.topic, payload, partition=None if partition < 0 else partition)
        except KafkaError:
            self.refused(value)
            return
        chunk.futures.append(future)
        future.add_callback(chunk.report)
        future.add_errback(chunk.give_up)

    def refused(self, value: int) -> None:
        """The client did not take a record."""
        self.given_up += 1
        super().refused(value)

    def serve(self, timeout_s: float) -> None:
        """The client's thread reports by itself."""
        if timeout_s:
            time.sleep(timeout_s)

    def flush(self) -> None:
        """Wait until everything is reported; a close gives up when its time is over."""
        native = self.client.native
        while self.unreported():
            with contextlib.suppress(KafkaTimeoutError):  # of this slice: the next follows
                native.flush(SLICE_S)
            self.account()
            self.loop.tick()
            close_by = self.client.close_by
            if close_by is not None and time.monotonic() >= close_by:
                break
            if self.unreported():
                time.sleep(_PAUSE_S)
        self.refused_sum += sum(chunk.refused_sum() for chunk in self.failing.values())

    def unreported(self) -> int:
        """How many records were handed over and neither got through nor were given up."""
        return self.value - self.first - self.meter.all_records - self.given_up
