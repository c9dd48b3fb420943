"""The consume loop of aiokafka's consumer.

Style batch is `getmany`, style stream `async for`, style poll `getone` in a loop. The last two give
one record a time; what they gave is looked at in chunks of `max_poll_records`, or of what came
within 50 ms, and such a chunk is the delivery after which the loop commits. Each record has the
time at which it came.

The loop reads in a task of its own, because the client waits as long as it likes: for an assignment
`getmany` does so whatever its timeout says.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import driverkit
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from driverkit import SLICE_S
from driverkit.aio import WAIT_S

_CHUNK = 256  # records of one look, where `max_poll_records` does not say
_BUSY_NS = 1_000_000  # longest work without letting the client's tasks run


class ConsumeLoop(driverkit.ConsumeLoop):
    """One `consume` command."""

    styles = ("poll", "batch", "stream")

    def __init__(self, client: Any, command: driverkit.Command) -> None:
        super().__init__(client, command)
        self.records: list[Any] = []  # of the chunk
        self.times_ns: list[int] = []
        self.one_at_a_time = asyncio.Lock()  # who looks at a chunk
        self.full = self.chunk_size()

    async def run(self) -> dict[str, Any]:  # type: ignore[override]
        """Run it and return the totals."""
        read = {"poll": self.read_one, "batch": self.read_batch, "stream": self.read_stream}
        reading = asyncio.create_task(read[self.style]())
        try:
            while not reading.done():
                await asyncio.wait([reading], timeout=WAIT_S)
                await self.take_chunk()
                if self.client.wire.congested:
                    await self.client.wire.room()
                if not self.loop.tick() or self.has_all():
                    reading.cancel()
        finally:
            reading.cancel()
        if not reading.cancelled():
            reading.result()
        return self.loop.total()

    async def read_batch(self) -> None:
        """Take batches."""
        getmany, wait_ms = self.client.native.getmany, int(WAIT_S * 1000)
        while self.loop.tick() and not self.has_all():
            try:
                found = await getmany(timeout_ms=wait_ms, max_records=self.want())
            except KafkaError as error:
                await self.survive(error)
                continue
            if found:
                count = self.look_at(found)
                del found
                await self.after_delivery(count)

    async def read_one(self) -> None:
        """Take records one by one."""
        getone, records, now_ns = self.client.native.getone, self.records, time.monotonic_ns
        keep, note = records.append, self.times_ns.append
        while True:
            try:
                while True:
                    keep(await getone())
                    note(now_ns())
                    if len(records) >= self.full and not await self.goes_on():
                        return
            except KafkaError as error:
                await self.survive(error)

    async def read_stream(self) -> None:
        """Take records as a program that iterates."""
        records, now_ns = self.records, time.monotonic_ns
        keep, note = records.append, self.times_ns.append
        while True:
            try:
                async for record in self.client.native:
                    keep(record)
                    note(now_ns())
                    if len(records) >= self.full and not await self.goes_on():
                        return
            except KafkaError as error:
                await self.survive(error)
            else:
                return

    def chunk_size(self) -> int:
        """Records that are looked at together; one where each of them means work."""
        limits = [1 if self.work_ns else self.batch or _CHUNK]
        if self.loop.max_records is not None:
            limits.append(max(self.loop.max_records - self.loop.meter.all_records, 1))
        return min(limits)

    async def goes_on(self) -> bool:
        """Look at the full chunk, and whether there may be another."""
        await self.take_chunk()
        return self.loop.tick() and not self.has_all()

    async def take_chunk(self) -> None:
        """Look at what came one by one."""
        async with self.one_at_a_time:
            records, times_ns = self.records[:], self.times_ns[:]
            if not records:
                return
            self.records.clear()
            self.times_ns.clear()
            self.delivered(times_ns[-1], [each.value for each in records], times_ns)
            self.places(records)
            self.full = self.chunk_size()
            await self.after_delivery(len(records))

    def places(self, records: list[Any]) -> None:
        """Check the order of records that came one by one, mostly of one partition for a while."""
        topic, partitions = records[0].topic, [each.partition for each in records]
        one = partitions.count(partitions[0]) == len(records)
        if one and all(each.topic is topic for each in records):
            self.order(topic, partitions[0], [each.offset for each in records])
            return
        found: dict[tuple[str, int], list[int]] = {}
        for each in records:
            found.setdefault((each.topic, each.partition), []).append(each.offset)
        for (topic, partition), offsets in found.items():
            self.order(topic, partition, offsets)

    def look_at(self, delivery: dict[TopicPartition, list[Any]]) -> int:
        """Check and count one delivery."""
        now_ns = time.monotonic_ns()
        values = [each.value for records in delivery.values() for each in records]
        self.delivered(now_ns, values)
        for at, records in delivery.items():
            self.order(at.topic, at.partition, [each.offset for each in records])
        return len(values)

    async def after_delivery(self, count: int) -> None:
        """Work, and commit as the command says."""
        if self.work_ns:
            await self.be_busy(count)
        if self.commit == "async":
            self.client.in_background(self.commit_what_came())
        elif self.commit == "sync":
            await self.commit_what_came()

    async def be_busy(self, count: int) -> None:
        """Keep busy as a program would, whose tasks wait for something now and then."""
        end_ns = time.monotonic_ns() + self.work_ns * count
        while (now_ns := time.monotonic_ns()) < end_ns and not self.client.closing:
            slice_ns = min(now_ns + _BUSY_NS, end_ns)
            while time.monotonic_ns() < slice_ns:
                pass
            await asyncio.sleep(0)

    async def commit_what_came(self) -> None:
        """Commit; what fails is counted."""
        try:
            await self.client.commit(None)
        except KafkaError as error:
            self.failed(error)

    async def survive(self, error: KafkaError) -> None:
        """Report what the client raised in place of records, and ask it again a little later."""
        self.failed(error)
        await asyncio.sleep(SLICE_S)
