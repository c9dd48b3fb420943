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


class ProduceLoop(driverkit.ProduceLoop):
    """One `produce` command."""

    client: ProducerClient

    def __init__(self, client: ProducerClient, command: Command) -> None:
        super().__init__(client, command)
        self.send = client.native.send
        self.given_up = 0  # records that did not get through

    def closed_chunk(self, count: int) -> None:
        """Hand over as many records, all at once: `hand_over` without its cost for each record."""
        now_ns = time.monotonic_ns()
        report = self.reporter(now_ns)
        build, send, topic, refuse = self.build, self.send, self.topic, self.refuser
        end = self.value + count
        for value, partition in zip(range(self.value, end), self.partitions, strict=False):
            payload = build(value, partition, now_ns)
            where = None if partition < 0 else partition
            try:
                future = send(topic, payload, partition=where)
            except KafkaError:
                self.refused(value)
                continue
            future.add_callback(report)
            future.add_errback(refuse(value))
        self.value = end

    def hand_over(self, payload: bytes, value: int, partition: int, intended_ns: int) -> None:
        """Give one record to the client."""
        try:
            future = self.send(self.topic, payload, partition=None if partition < 0 else partition)
        except KafkaError:
            self.refused(value)
            return
        future.add_callback(self.reporter(intended_ns))
        future.add_errback(self.refuser(value))

    def reporter(self, intended_ns: int) -> Any:
        """What runs once a record that got through: two appends and no attribute lookups."""
        acked, landed = self.acked.append, self.landed.append

        def report(found: Any) -> None:
            acked(intended_ns)
            landed(found[1])

        return report

    def refuser(self, value: int) -> Any:
        """What runs once a record that did not."""
        return lambda _error: self.refused(value)

    def refused(self, value: int) -> None:
        """A record did not get through."""
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

    def unreported(self) -> int:
        """How many records were handed over and neither got through nor were given up."""
        return self.value - self.first - self.loop.meter.all_records - self.given_up
