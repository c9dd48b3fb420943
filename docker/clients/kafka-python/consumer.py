"""The consumer role: polls, positions, commits, and what the group does to it."""

from __future__ import annotations

import inspect
import time
from functools import partial
from typing import Any

from client import KafkaPythonClient, offsets_of, partitions_of, rows_of
from consume_loop import ConsumeLoop
from driverkit import ANSWERED_LATER, NO_OFFSET, SLICE_S, Command, polled, problem
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import KafkaTimeoutError
from kafka.structs import TopicPartition
from outcomes import command_outcome, describe
from settings import settings

POSITION_WAIT_MS = 200  # the client asks a broker for a position that it has not yet


class ConsumerClient(KafkaPythonClient):
    """Hosts one `KafkaConsumer`."""

    native: KafkaConsumer | None = None
    max_poll_records: int | None = None

    def op_open(self, command: Command) -> None:
        """Make the consumer; it connects before this returns."""
        config = settings(KafkaConsumer, "consumer", command)
        # How long the iterator waits for a record; it would never give control back.
        config.setdefault("consumer_timeout_ms", int(SLICE_S * 1e3))
        self.awaited_commits: list[Command] = []
        self.opened(KafkaConsumer(**config))
        self.max_poll_records = self.native.config["max_poll_records"]

    def op_subscribe(self, command: Command) -> None:
        """Join the group; assignments are reported as they happen."""
        self.native.subscribe(topics=command["topics"], listener=Listener(self))

    def op_assign(self, command: Command) -> None:
        """Take partitions without a group."""
        self.native.assign(partitions_of(command))
        for topic, partition, *offset in command["partitions"]:
            if offset and offset[0] is not None:
                self.native.seek(TopicPartition(topic, partition), offset[0])

    def op_poll(self, command: Command) -> dict[str, Any]:
        """Return as soon as there is a record, or when the time is over."""
        until = time.monotonic() + command["timeout_ms"] / 1e3
        while True:
            left = until - time.monotonic()
            delivery = self.fetch(command["max_records"], min(max(left, 0), SLICE_S))
            if delivery or left <= 0 or self.closing:
                return {"records": [_row(each) for part in delivery.values() for each in part]}

    def fetch(self, max_records: int | None, timeout_s: float) -> dict[TopicPartition, list[Any]]:
        """One poll of the client; it cannot be woken."""
        return self.native.poll(timeout_ms=int(timeout_s * 1e3), max_records=max_records)

    def op_consume(self, command: Command) -> dict[str, Any]:
        """Run a loop."""
        return ConsumeLoop(self, command).run()

    def op_commit(self, command: Command) -> dict[str, Any]:
        """Commit given offsets, or what the client thinks was consumed."""
        given = command.get("offsets")
        offsets = None if given is None else offsets_of(given)
        if command["mode"] == "sync":
            committed = self.consumed() if offsets is None else offsets
            self.native.commit(offsets)
            return {"offsets": rows_of(committed)}
        self.awaited_commits.append(command)
        try:
            self.native.commit_async(offsets, callback=partial(self.on_commit, command))
        except Exception:
            self.awaited_commits.remove(command)
            raise
        raise ANSWERED_LATER

    def consumed(self) -> dict[TopicPartition, Any]:
        """What a commit without offsets commits; the client does not return it."""
        return self.native._subscription.all_consumed_offsets()  # noqa: SLF001

    def on_commit(self, command: Command, offsets: dict[TopicPartition, Any], found: Any) -> None:
        """Answer an asynchronous commit."""
        self.awaited_commits.remove(command)
        rows = rows_of(offsets)
        if isinstance(found, Exception):
            kind = command_outcome("commit", found)
            self.answer(command, kind, error=describe(found), offsets=rows)
        else:
            self.answer(command, "ok", offsets=rows)

    def op_committed(self, command: Command) -> dict[str, Any]:
        """Offsets as the coordinator has them."""
        return self.each_offset(command, self.native.committed)

    def op_position(self, command: Command) -> dict[str, Any]:
        """Next offsets that the client would deliver."""
        return self.each_offset(command, self.position)

    def position(self, partition: TopicPartition) -> int | None:
        """One position, or None where there is none yet."""
        if "timeout_ms" not in inspect.signature(self.native.position).parameters:
            return self.native.position(partition)  # up to 2.0 it waits
        try:
            return self.native.position(partition, timeout_ms=POSITION_WAIT_MS)
        except KafkaTimeoutError:
            return None

    def each_offset(self, command: Command, ask: Any) -> dict[str, Any]:
        """What the client answers for each partition."""
        rows = []
        for partition in partitions_of(command):
            offset = ask(partition)
            rows.append([*partition, NO_OFFSET if offset is None else offset])
        return {"offsets": rows}

    def op_seek(self, command: Command) -> None:
        """Move the position of assigned partitions."""
        for topic, partition, offset in command["offsets"]:
            self.native.seek(TopicPartition(topic, partition), offset)

    def op_pause(self, command: Command) -> None:
        """Stop delivering from partitions."""
        self.native.pause(*partitions_of(command))

    def op_resume(self, command: Command) -> None:
        """Deliver from partitions again."""
        self.native.resume(*partitions_of(command))

    def on_partitions(self, kind: str, partitions: Any) -> None:
        """Report what the group gave or took; the client acts on it after this returns."""
        generation, member = self.membership()
        rows = sorted([tp.topic, tp.partition] for tp in partitions)
        self.event(kind, partitions=rows, generation=generation, member=member)

    def membership(self) -> tuple[int | None, str | None]:
        """Generation and member as the client has them at this moment."""
        if hasattr(self.native, "group_metadata"):
            found = self.native.group_metadata()
        else:  # up to 2.3 nothing else shows it
            found = self.native._coordinator._generation  # noqa: SLF001
        return (found.generation_id if found.generation_id >= 0 else None), found.member_id or None

    def close_native(self) -> None:
        """Close; commits that were never confirmed end as unknown."""
        if self.native is None:
            return
        close = self.native.close
        try:
            if "timeout_ms" in inspect.signature(close).parameters:
                close(timeout_ms=int(self.left_s() * 1e3))
            else:
                close()
        finally:
            self.native = None
            for command in list(self.awaited_commits):
                error = problem("closed before the commit was confirmed")
                self.answer(command, "info", error=error)


class Listener(ConsumerRebalanceListener):
    """Reports what the group gives and takes. From 3.0 on it runs in the client's own thread."""

    def __init__(self, consumer: ConsumerClient) -> None:
        self.consumer = consumer

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Partitions that were not its own before."""
        self.consumer.on_partitions("assigned", assigned)

    def on_partitions_revoked(self, revoked: Any) -> None:
        """Partitions that it gives back."""
        self.consumer.on_partitions("revoked", revoked)

    def on_partitions_lost(self, lost: Any) -> None:
        """Partitions that it no longer had. Up to 2.3 the client calls these revoked."""
        self.consumer.on_partitions("lost", lost)


def _row(record: Any) -> list[Any]:
    where = record.topic, record.partition, record.offset
    return polled(*where, record.value, record.key, record.headers)
