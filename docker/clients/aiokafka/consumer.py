"""The consumer role: polls, positions, commits, and what the group does to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from client import AioClient, partitions_of
from consume_loop import ConsumeLoop
from driverkit import ANSWERED_LATER, NO_OFFSET, Command, polled, problem
from driverkit.aio import WAIT_S
from settings import settings

UNCONFIRMED = "closed before the commit was confirmed"


class ConsumerClient(AioClient):
    """Hosts one `AIOKafkaConsumer`, started without topics: `subscribe` and `assign` follow."""

    group: str | None = None
    max_poll_records: int | None = None  # None: all that is there, as the client does

    def __init__(self, *place: Any) -> None:
        super().__init__(*place)
        self.background: set[asyncio.Task[None]] = set()  # commits that nothing waits for

    async def op_open(self, command: Command) -> None:
        """Make the consumer and connect."""
        arguments = settings("consumer", command)
        self.group = arguments.get("group_id")
        self.max_poll_records = arguments.get("max_poll_records")
        await self.start(AIOKafkaConsumer(**arguments))

    def op_subscribe(self, command: Command) -> None:
        """Join the group in the background; assignments are reported as they happen."""
        self.native.subscribe(topics=command["topics"], listener=Listener(self))

    def op_assign(self, command: Command) -> None:
        """Take partitions without a group."""
        self.native.assign(partitions_of(command))
        self.seek([each for each in command["partitions"] if each[2] is not None])

    async def op_poll(self, command: Command) -> dict[str, Any]:
        """Return as soon as there is a record, or when the time is over.

        While the group rebalances the client waits longer than it was told to.
        """
        until = time.monotonic() + command["timeout_ms"] / 1e3
        limits = (command["max_records"], self.max_poll_records)
        most = min(limit for limit in limits if limit)
        while True:
            left_s = until - time.monotonic()
            wait_ms = int(max(min(left_s, WAIT_S), 0) * 1000)
            try:
                found = await self.native.getmany(timeout_ms=wait_ms, max_records=most)
            except asyncio.CancelledError:
                if not self.closing:
                    raise  # not by a close: then nothing here may be answered any more
                found = {}
            if found or left_s <= 0 or self.closing:
                return {"records": self.deliver(found)}

    def deliver(self, found: dict[TopicPartition, list[Any]]) -> list[list[Any]]:
        """What the program sees of a delivery."""
        return [
            polled(each.topic, each.partition, each.offset, each.value, each.key, each.headers)
            for records in found.values()
            for each in records
        ]

    async def op_consume(self, command: Command) -> dict[str, Any]:
        """Run a loop."""
        return await ConsumeLoop(self, command).run()

    async def op_commit(self, command: Command) -> dict[str, Any]:
        """Commit given offsets, or what the client thinks was consumed."""
        if command["mode"] == "sync":
            return {"offsets": await self.commit(command.get("offsets"))}
        self.in_background(self.commit_later(command))
        raise ANSWERED_LATER

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """The client's own way to commit and go on is a task."""
        task = asyncio.create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    async def commit_later(self, command: Command) -> None:
        """Commit, and answer when it is known."""
        try:
            self.answer(command, "ok", offsets=await self.commit(command.get("offsets")))
        except asyncio.CancelledError:
            self.answer(command, "info", error=problem(UNCONFIRMED))
        except Exception as error:  # noqa: BLE001 whatever a client raises is reported, never hidden
            self.raised(command, error)

    async def commit(self, offsets: list[list[Any]] | None) -> list[list[Any]]:
        """Commit, and say what: where the client chooses, it takes what it has at this moment."""
        if offsets is None:
            chosen = self.consumed()
            await self.native.commit()
            return chosen
        await self.native.commit({TopicPartition(t, p): offset for t, p, offset in offsets})
        return offsets

    def consumed(self) -> list[list[Any]]:
        """Next offsets after what was delivered, of partitions that have any."""
        subscription = self.native._subscription.subscription  # noqa: SLF001 no public way that does not wait
        if subscription is None or subscription.assignment is None:
            return []  # the commit that follows says what is wrong
        found = subscription.assignment.all_consumed_offsets()
        return [[at.topic, at.partition, each.offset] for at, each in found.items()]

    async def op_committed(self, command: Command) -> dict[str, Any]:
        """Offsets as the coordinator has them."""
        return {"offsets": [await self.committed(each) for each in partitions_of(command)]}

    async def committed(self, at: TopicPartition) -> list[Any]:
        """What the coordinator has for one partition."""
        offset = await self.native.committed(at)
        return [at.topic, at.partition, NO_OFFSET if offset is None else offset]

    async def op_position(self, command: Command) -> dict[str, Any]:
        """Next offsets that the client would deliver; where it has none yet, it waits for one."""
        wanted = partitions_of(command)
        offsets = [[at.topic, at.partition, await self.native.position(at)] for at in wanted]
        return {"offsets": offsets}

    def op_seek(self, command: Command) -> None:
        """Move the position of assigned partitions."""
        self.seek(command["offsets"])

    def seek(self, offsets: list[list[Any]]) -> None:
        """Move positions."""
        for topic, partition, offset in offsets:
            self.native.seek(TopicPartition(topic, partition), offset)

    def op_pause(self, command: Command) -> None:
        """Stop delivering from partitions."""
        self.native.pause(*partitions_of(command))

    def op_resume(self, command: Command) -> None:
        """Deliver from partitions again."""
        self.native.resume(*partitions_of(command))

    async def close_native(self) -> None:
        """Stop it; commits that were never confirmed end as unknown."""
        try:
            await super().close_native()
        finally:
            for task in list(self.background):
                task.cancel()
            await asyncio.gather(*self.background, return_exceptions=True)


class Listener(ConsumerRebalanceListener):
    """Reports what the group gives and takes; the client goes on after this returns."""

    def __init__(self, client: ConsumerClient) -> None:
        self.client = client

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called before each rebalance, with nothing before the first one."""
        await self.report("revoked", revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called after each rebalance, with all that the member has now."""
        await self.report("assigned", assigned)

    async def report(self, kind: str, partitions: Iterable[TopicPartition]) -> None:
        """Report with the member's place in the group, which the client keeps to itself."""
        coordinator = self.client.native._coordinator  # noqa: SLF001 no public way
        generation = getattr(coordinator, "generation", -1)
        self.client.event(
            kind,
            partitions=sorted([at.topic, at.partition] for at in partitions),
            generation=generation if generation >= 0 else None,
            member=getattr(coordinator, "member_id", None) or None,
        )
        if self.client.wire.congested:
            await self.client.wire.room()
