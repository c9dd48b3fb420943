"""The produce loop of librdkafka's producer, with one delivery callback a chunk or record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import driverkit
from driverkit import SLICE_S, Command, header

if TYPE_CHECKING:
    from producer import ProducerClient

_FULL_S = 0.01  # how long a full queue is served before the next try


class ProduceLoop(driverkit.ProduceLoop):
    """One `produce` command."""

    client: ProducerClient

    def __init__(self, client: ProducerClient, command: Command) -> None:
        super().__init__(client, command)
        self.produce = client.produce_call()

    def closed_chunk(self, count: int) -> None:
        """Hand over as many records, all at once: `hand_over` without its cost for each record."""
        now_ns = time.monotonic_ns()
        report = self.reporter(now_ns)
        produce, topic = self.produce, self.topic
        for payload, partition in self.payloads(count, now_ns):
            try:
                produce(topic, payload, partition=partition, on_delivery=report)
            except BufferError:
                self.hand_over_when_there_is_room(payload, partition, report)
        self.value += count

    def hand_over(self, payload: bytes, _value: int, partition: int, intended_ns: int) -> None:
        """Give one record to the client."""
        report = self.reporter(intended_ns)
        try:
            self.produce(self.topic, payload, partition=partition, on_delivery=report)
        except BufferError:
            self.hand_over_when_there_is_room(payload, partition, report)

    def hand_over_when_there_is_room(self, payload: bytes, partition: int, report: Any) -> None:
        """Serve the client until its queue takes the record: what every producing program does."""
        while True:
            self.serve(_FULL_S)
            self.account()
            try:
                self.produce(self.topic, payload, partition=partition, on_delivery=report)
            except BufferError:
                if self.loop.tick():
                    continue
                self.refused(header(payload)[1])
            return

    def serve(self, timeout_s: float) -> None:
        """Run the callbacks."""
        # The library counts in ms: less than one would be none, and a waiting loop would spin.
        self.client.native.poll(timeout_s and max(timeout_s, 0.001))

    def reporter(self, intended_ns: int) -> Any:
        """A delivery callback. It runs once a record, so it looks up no attribute."""
        acked, landed, refused = self.acked.append, self.landed.append, self.refused
        clock = time.monotonic_ns

        def report(error: Any, message: Any) -> None:
            if error is None:
                acked(clock() - intended_ns)
                landed(message.partition())
            else:
                refused(header(message.value())[1])

        return report

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
