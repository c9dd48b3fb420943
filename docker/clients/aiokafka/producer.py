"""The producer role: sends with one future a record, and transactions."""

from __future__ import annotations

import asyncio
from typing import Any

import outcomes
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation
from client import AioClient
from driverkit import Command, Packer, RefusedError, parts, problem, sent
from produce_loop import ProduceLoop
from settings import settings

UNREPORTED = "the client was closed before it reported this"
NOT_HANDED_OVER = "the client was closed before this was handed over"


class ProducerClient(AioClient):
    """Hosts one `AIOKafkaProducer`.

    Its `start` gets the producer id, so for a transactional one it is what `txn init` means.
    """

    waiting: AIOKafkaProducer | None = None  # a transactional one before `init`

    async def op_open(self, command: Command) -> None:
        """Make the producer and connect."""
        arguments = settings("producer", command)
        native = AIOKafkaProducer(**arguments)
        if arguments.get("transactional_id") is None:
            await self.start(native)
        else:
            self.waiting = native

    def started(self) -> AIOKafkaProducer:
        """The producer; refuses where `init` is missing."""
        if self.native is None:
            raise RefusedError("a transactional producer has to be started first: txn init")
        return self.native

    async def op_send(self, command: Command) -> dict[str, Any]:
        """Send records and wait until the client has reported each of them."""
        native, records = self.started(), command["records"]
        futures: list[asyncio.Future[Any] | None] = [None] * len(records)
        results: list[Any] = [None] * len(records)
        try:
            await self.hand_over(command["topic"], records, futures, results)
            if not command.get("linger", False):
                await native.flush()
            if unreported := [each for each in futures if each is not None and not each.done()]:
                await asyncio.wait(unreported)
        except asyncio.CancelledError:
            if not self.closing:
                raise  # not by a close: then nothing here may be answered any more
        for index, (record, future) in enumerate(zip(records, futures, strict=True)):
            if results[index] is None:
                results[index] = _result(record[0], future)
        return sent(results)

    async def hand_over(
        self, topic: str, records: Any, futures: list[Any], results: list[Any]
    ) -> None:
        """Give every record to the client; one that it refuses certainly did not happen."""
        send, packer = self.native.send, Packer(topic)
        for index, (partition, value, size, *content) in enumerate(records):
            try:
                data = packer.pack(value, size, -1 if partition is None else partition)
                if content:
                    key, data, headers = parts(content[0], data)
                    call = send(topic, data, key=key, partition=partition, headers=headers)
                else:
                    call = send(topic, data, partition=partition)
                futures[index] = await call
            except Exception as error:  # noqa: BLE001 whatever it is, it is reported for its record
                results[index] = ["fail", partition, None, self.describe(error)]

    async def op_produce(self, command: Command) -> dict[str, Any]:
        """Run a loop."""
        self.started()
        return await ProduceLoop(self, command).run()

    async def op_txn(self, command: Command) -> None:
        """One step of a transaction."""
        action = command["action"]
        if action == "init":
            await self.init()
        elif action == "begin":
            await self.started().begin_transaction()
        elif action == "commit":
            await self.started().commit_transaction()
        elif action == "abort":
            await self.started().abort_transaction()
        elif action == "send_offsets":
            group = getattr(self.siblings[command["group_of"]], "group", None)
            offsets = {TopicPartition(t, p): offset for t, p, offset in command["offsets"]}
            await self.started().send_offsets_to_transaction(offsets, group)
        else:
            expected = "init, begin, commit, abort or send_offsets"
            raise RefusedError(f"action: expected {expected}, found '{action}'")

    async def init(self) -> None:
        """Start the producer, which fences others of its id."""
        waiting, self.waiting = self.waiting, None
        if waiting is None:
            raise IllegalOperation("init: no transactional producer that is not started yet")
        await self.start(waiting)

    async def close_native(self) -> None:
        """Stop it; one that was never started, too."""
        if self.native is None:
            self.native, self.waiting = self.waiting, None
        await super().close_native()

    def buffered(self) -> int | None:
        """Records handed over and not yet reported: what waits and what is in flight."""
        accumulator = getattr(self.native, "_message_accumulator", None)
        if accumulator is None:
            return None
        waiting = [batch for queue in list(accumulator._batches.values()) for batch in list(queue)]  # noqa: SLF001
        return sum(batch.record_count for batch in [*waiting, *accumulator._pending_batches])  # noqa: SLF001


def _result(partition: int | None, future: asyncio.Future[Any] | None) -> list[Any]:
    if future is None:
        return ["fail", partition, None, problem(NOT_HANDED_OVER)]
    if not future.done():
        return ["info", partition, None, problem(UNREPORTED)]
    error = future.exception()
    if error is not None:
        return [outcomes.send_outcome(error), partition, None, outcomes.describe(error)]
    metadata = future.result()
    if metadata is None:  # acks=0: nobody answers
        return ["ok", partition, None, None]
    return ["ok", metadata.partition, metadata.offset if metadata.offset >= 0 else None, None]
