"""The produce loop of aiokafka's producer: `send`, whose futures tell how each record ended.

A done-callback for each record would cost more than the rest of the loop. The futures of a chunk
are looked at together instead, when the first of them that is pending is done: the records of one
batch are done at the same moment. Where that first one is stuck (a partition without a leader) its
chunk is looked at every 50 ms.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import driverkit
from driverkit import Command
from driverkit.aio import WAIT_S

if TYPE_CHECKING:
    from producer import ProducerClient

Sent = tuple[asyncio.Future[Any], int, int, int]  # future, value, partition or −1, intended time


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
        await self.hand_over_all([now_ns] * count)

    async def due_chunk(self, most: int) -> None:
        """Hand over what is due by now, or wait until the next record is."""
        count = self.due(most)
        if count <= 0:
            wait_ns = self.intended(self.value) - time.monotonic_ns()
            await asyncio.sleep(min(max(wait_ns / 1e9, 0), WAIT_S))
            return
        await self.hand_over_all([self.intended(self.value + index) for index in range(count)])
        await asyncio.sleep(0)  # as a program that waits for its next record

    async def hand_over_all(self, intended: list[int]) -> None:
        """Hand over a record for each intended time."""
        build, send, topic, sent = self.build, self.send, self.topic, []
        value = self.value
        try:
            for intended_ns, partition in zip(intended, self.partitions, strict=False):
                data = build(value, partition, intended_ns)
                try:
                    future = await send(topic, data, partition=None if partition < 0 else partition)
                except Exception as error:  # noqa: BLE001 whatever it is, it is counted and reported
                    self.not_handed_over(value, error)
                else:
                    sent.append((future, value, partition, intended_ns))
                value += 1
        finally:
            self.value = value
            Chunk(self, sent)
        if len(sent) < len(intended):
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
                pending = [chunk.pending[0][0] for chunk in self.chunks]
                await asyncio.wait([*pending, flushing], timeout=WAIT_S)
                self.goes_on()
            flushing.result()
        finally:
            flushing.cancel()

    def give_up(self) -> None:
        """What was not reported until now counts as an error."""
        for chunk in list(self.chunks):
            chunk.look()
            for _, value, _, _ in chunk.pending:
                self.refused(value)


class Chunk:
    """Records that were handed over together and are looked at together."""

    def __init__(self, loop: ProduceLoop, sent: Sequence[Sent]) -> None:
        self.loop = loop
        self.pending = sent
        self.watched: asyncio.Future[Any] | None = None
        if sent:
            loop.chunks.add(self)
            self.watch()

    def watch(self) -> None:
        """Look again when the first pending record is done."""
        first = self.pending[0][0]
        if first is not self.watched:
            self.watched = first
            first.add_done_callback(self.look)

    def look(self, _future: Any = None) -> None:
        """Count what is done."""
        loop, pending = self.loop, []
        acked, landed = loop.acked.append, loop.landed.append
        for each in self.pending:
            future, value, partition, intended_ns = each
            if not future.done():
                pending.append(each)
            elif future.exception() is None:
                metadata = future.result()
                acked(intended_ns)
                landed(partition if metadata is None else metadata.partition)
            else:
                loop.refused(value)
        self.pending = pending
        loop.account()
        if pending:
            self.watch()
        else:
            loop.chunks.discard(self)
