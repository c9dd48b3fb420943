"""The produce loop of aiokafka's producer: `send`, whose futures tell how each record ended.

A done-callback for each record would cost more than the rest of the loop. The futures of a chunk
are looked at together instead, when the first of them that is pending is done: the records of one
batch are done at the same moment. Where that first one is stuck (a partition without a leader) its
chunk is looked at every 50 ms.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import driverkit
from driverkit import Command
from driverkit.aio import WAIT_S

if TYPE_CHECKING:
    from producer import ProducerClient


class ProduceLoop(driverkit.ProduceLoop):
    """One `produce` command."""

    client: ProducerClient

    def __init__(self, client: ProducerClient, command: Command) -> None:
        super().__init__(client, command)
        self.send = client.started().send
        self.chunks: set[Chunk] = set()
        self.looked_at_s = 0.0
        self.seen: set[type] = set()  # kinds of errors

    async def run(self) -> dict[str, Any]:  # type: ignore[override]
        """Run it, flush, and return the totals."""
        self.began_ns = time.monotonic_ns()
        try:
            while self.goes_on():
                left = self.left()
                if left <= 0:
                    break
                if self.rate is None:
                    await self.chunk(left)
                else:
                    await self.due_chunk(left)
                if self.client.wire.congested:
                    await self.client.wire.room()
            await self.all_reported()
        except asyncio.CancelledError:
            if not self.client.closing:
                raise  # not by a close: then nothing here may be answered any more
        self.give_up()
        return self.total()

    def goes_on(self) -> bool:
        """Look at chunks whose first record is stuck, and whether the loop goes on."""
        now_s = time.monotonic()
        if now_s >= self.looked_at_s + WAIT_S:
            self.looked_at_s = now_s
            for chunk in list(self.chunks):
                chunk.look()
        return self.loop.tick()

    async def chunk(self, count: int) -> None:
        """Hand over as many records, all at once. Where there is no room, `send` waits for it."""
        now_ns = time.monotonic_ns()
        await self.hand_over_all(self.payloads(count, now_ns), now_ns)

    async def due_chunk(self, most: int) -> None:
        """Hand over what is due by now, or wait until the next record is."""
        count = self.due(most)
        if count <= 0:
            wait_ns = self.intended(self.value) - time.monotonic_ns()
            await asyncio.sleep(min(max(wait_ns / 1e9, 0), WAIT_S))
            return
        for value in range(self.value, self.value + count):
            intended_ns, partition = self.intended(value), next(self.partitions)
            await self.hand_over_all(
                [(self.build(value, partition, intended_ns), partition)], intended_ns
            )
        if self.due(1) > 0:
            await asyncio.sleep(0)  # late: a program that does not wait lets other tasks run

    async def hand_over_all(self, payloads: Iterable[tuple[bytes, int]], intended_ns: int) -> None:
        """Hand over records of one intended time."""
        send, topic, first = self.send, self.topic, self.value
        futures: list[asyncio.Future[Any] | None] = []
        try:
            for payload, partition in payloads:
                try:
                    futures.append(
                        await send(topic, payload, partition=None if partition < 0 else partition)
                    )
                except Exception as error:  # noqa: BLE001 whatever it is, it is counted and reported
                    futures.append(None)
                    self.not_handed_over(first + len(futures) - 1, error)
        finally:
            self.value = first + len(futures)
            Chunk(self, first, intended_ns, futures)
        if None in futures:
            await asyncio.sleep(0)  # who refuses does not wait: let the client's tasks run

    def not_handed_over(self, value: int, error: Exception) -> None:
        """The client refused a record; each kind of reason is reported once."""
        self.refused(value)
        if type(error) not in self.seen:
            self.seen.add(type(error))
            self.client.error(error)

    async def all_reported(self) -> None:
        """Wait until everything is reported; a close that is over cancels this."""
        flushing = asyncio.ensure_future(self.client.native.flush())
        try:
            while self.chunks or not flushing.done():
                firsts = [chunk.watched for chunk in self.chunks]
                await asyncio.wait([*firsts, flushing], timeout=WAIT_S)
                self.goes_on()
            flushing.result()
        finally:
            flushing.cancel()

    def reported(self, chunk: Chunk, done: list[asyncio.Future[Any]]) -> None:
        """Count records of a chunk whose futures are done."""
        try:
            landed = [each.result() for each in done]
        except Exception:  # noqa: BLE001 counted one by one: at least one of them was refused
            landed = []
            for each in done:
                if each.exception() is None:
                    landed.append(each.result())
                else:
                    self.refused(chunk.value_of(each))
        if not landed:
            return
        now_ns, meter, count = time.monotonic_ns(), self.loop.meter, len(landed)
        meter.delivered(now_ns, count)
        meter.bytes += count * self.size
        meter.latencies.add_shared((now_ns - chunk.intended_ns) // 1000, count)
        for partition, records in Counter(map(_partition, landed)).items():
            meter.partitions[f"{self.topic}/{partition}"] += records

    def give_up(self) -> None:
        """What was not reported until now counts as an error."""
        for chunk in list(self.chunks):
            chunk.look()
            for each in chunk.pending:
                self.refused(chunk.value_of(each))


class Chunk:
    """Records that were handed over together and are looked at together."""

    def __init__(
        self,
        loop: ProduceLoop,
        first: int,
        intended_ns: int,
        futures: list[asyncio.Future[Any] | None],
    ) -> None:
        self.loop = loop
        self.first = first
        self.intended_ns = intended_ns
        self.futures = futures
        self.pending = [each for each in futures if each is not None]
        self.watched: asyncio.Future[Any] | None = None
        if self.pending:
            loop.chunks.add(self)
            self.watch()

    def value_of(self, future: asyncio.Future[Any]) -> int:
        """The value of one of its records."""
        return self.first + self.futures.index(future)

    def watch(self) -> None:
        """Look again when the first pending record is done."""
        if self.pending[0] is not self.watched:
            self.watched = self.pending[0]
            self.watched.add_done_callback(self.look)

    def look(self, _future: Any = None) -> None:
        """Count what is done."""
        before, pending = self.pending, [each for each in self.pending if not each.done()]
        if len(pending) == len(before):
            return
        self.pending = pending
        if pending:
            self.watch()
            before = [each for each in before if each.done()]
        else:
            self.loop.chunks.discard(self)
        self.loop.reported(self, before)


def _partition(metadata: Any) -> int:
    """Where a record landed; −1 where nobody answers (acks=0)."""
    return -1 if metadata is None else metadata.partition
