"""The consumer role: polls, positions, commits, and what the group does to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from client import RdkafkaClient, offsets_of, partitions_of
from confluent_kafka import Consumer, KafkaError, TopicPartition
from consume_loop import ConsumeLoop
from driverkit import ANSWERED_LATER, SLICE_S, Command, Outcome, polled, problem
from outcomes import command_outcome, describe
from portable_config import translate

COMMIT_TIMEOUT_S = 60.0  # `committed` and its like ask a broker


class ConsumerClient(RdkafkaClient):
    """Hosts one `confluent_kafka.Consumer`."""

    native: Consumer | None = None
    max_poll_records = 500  # as in the Java client; librdkafka has no such setting
    only_topic: str | None = None  # where no other can be delivered

    def op_open(self, command: Command) -> None:
        """Make the consumer; it connects by itself."""
        portable = dict(command.get("config") or {})
        self.max_poll_records = portable.pop("max_poll_records", self.max_poll_records)
        config = translate("consumer", command["bootstrap"], portable)
        # librdkafka demands a group even of consumers that use none
        config.setdefault("group.id", f"kafkalab-no-group-{self.name}")
        config["on_commit"] = self.on_commit
        self.awaited_commits: deque[Command] = deque()
        self.native = Consumer(config | self.callbacks() | (command.get("options") or {}))

    def op_subscribe(self, command: Command) -> None:
        """Join the group; assignments are reported as they happen."""
        self.note_topics(command["topics"])
        self.native.subscribe(
            command["topics"],
            on_assign=lambda _, partitions: self.on_partitions("assigned", partitions),
            on_revoke=lambda _, partitions: self.on_partitions("revoked", partitions),
            on_lost=lambda _, partitions: self.on_partitions("lost", partitions),
        )

    def op_assign(self, command: Command) -> None:
        """Take partitions without a group."""
        self.note_topics([topic for topic, *_ in command["partitions"]])
        self.native.assign(partitions_of(command))

    def note_topics(self, topics: Sequence[str]) -> None:
        """What the consumer may deliver from now on; `^` begins a pattern."""
        is_one = len(set(topics)) == 1 and not topics[0].startswith("^")
        self.only_topic = topics[0] if is_one else None

    def op_poll(self, command: Command) -> dict[str, Any]:
        """Return as soon as there is a record, or when the time is over."""
        until = time.monotonic() + command["timeout_ms"] / 1e3
        most = min(command["max_records"], self.max_poll_records)
        while True:
            left = until - time.monotonic()
            messages = self.fetch(most, min(max(left, 0), SLICE_S))
            records = self.deliver(messages)
            if records or messages or left <= 0 or self.closing:
                return {"records": records}

    def fetch(self, max_records: int, timeout_s: float) -> list[Any]:
        """Messages that are there; waits for the first only.

        `consume(n)` waits for all n or the timeout, so where nothing is there one is asked for.
        """
        messages = self.native.consume(max_records, 0)
        if not messages and timeout_s > 0:
            messages = self.native.consume(1, timeout_s)
            if messages and max_records > 1:
                messages += self.native.consume(max_records - 1, 0)
        return messages

    def fetch_by_poll(self, max_records: int, timeout_s: float) -> list[Any]:
        """The same through `poll`, which gives one message a call."""
        messages = []
        message = self.native.poll(timeout_s)
        while message is not None:
            messages.append(message)
            if len(messages) == max_records:
                break
            message = self.native.poll(0)
        return messages

    def op_consume(self, command: Command) -> dict[str, Any]:
        """Run a loop."""
        return ConsumeLoop(self, command).run()

    def deliver(self, messages: list[Any]) -> list[list[Any]]:
        """What the program sees of these messages; errors among them are reported as such."""
        records = []
        for message in messages:
            error = message.error()
            if error is not None:
                self.on_message_error(error)
                continue
            records.append(
                polled(
                    message.topic(),
                    message.partition(),
                    message.offset(),
                    message.value(),
                    message.key(),
                    message.headers(),
                )
            )
        return records

    def on_message_error(self, error: KafkaError) -> None:
        """An error in the place of a message: reported, and ends the poll if it is fatal."""
        if error.name() == "_PARTITION_EOF":
            return
        self.on_error(error)
        if error.fatal():
            raise Outcome("fail", describe(error))

    def op_commit(self, command: Command) -> dict[str, Any]:
        """Commit given offsets, or what the client thinks was consumed."""
        given = command.get("offsets")
        offsets = None if given is None else partitions_of(command, "offsets")
        if command["mode"] == "sync":
            return {"offsets": _committed(self.commit(offsets, asynchronous=False))}
        self.awaited_commits.append(command)
        try:
            self.commit(offsets, asynchronous=True)
        except Exception:
            self.awaited_commits.pop()
            raise
        raise ANSWERED_LATER

    def commit(self, offsets: list[TopicPartition] | None, *, asynchronous: bool) -> Any:
        """Commit as the client does; None lets it choose."""
        if offsets is None:
            return self.native.commit(asynchronous=asynchronous)
        return self.native.commit(offsets=offsets, asynchronous=asynchronous)

    def on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Answer the oldest asynchronous commit that this can belong to."""
        command = self._awaited(partitions)
        if command is None:
            return  # the client's own periodic commit
        if error is not None:
            offsets = [[p.topic, p.partition, p.offset] for p in partitions]
            kind = command_outcome("commit", error)
            self.answer(command, kind, error=describe(error), offsets=offsets)
            return
        try:
            self.answer(command, "ok", offsets=_committed(partitions))
        except Outcome as outcome:
            self.answer(command, outcome.kind, **outcome.fields)

    def _awaited(self, partitions: list[TopicPartition]) -> Command | None:
        got = {(p.topic, p.partition, p.offset) for p in partitions}
        for command in self.awaited_commits:
            wanted = command.get("offsets")
            if wanted is None or {tuple(offset) for offset in wanted} == got:
                self.awaited_commits.remove(command)
                return command
        return None

    def op_committed(self, command: Command) -> dict[str, Any]:
        """Offsets as the coordinator has them."""
        return {
            "offsets": offsets_of(self.native.committed(partitions_of(command), COMMIT_TIMEOUT_S))
        }

    def op_position(self, command: Command) -> dict[str, Any]:
        """Next offsets that the client would deliver."""
        return {"offsets": offsets_of(self.native.position(partitions_of(command)))}

    def op_seek(self, command: Command) -> None:
        """Move the position of assigned partitions."""
        for partition in partitions_of(command, "offsets"):
            self.native.seek(partition)

    def op_pause(self, command: Command) -> None:
        """Stop delivering from partitions."""
        self.native.pause(partitions_of(command))

    def op_resume(self, command: Command) -> None:
        """Deliver from partitions again."""
        self.native.resume(partitions_of(command))

    def on_partitions(self, kind: str, partitions: list[TopicPartition]) -> None:
        """Report what the group gave or took; the client acts on it after this returns."""
        self.event(
            kind,
            partitions=[[p.topic, p.partition] for p in partitions],
            generation=None,
            member=self.native.memberid() if hasattr(self.native, "memberid") else None,
        )

    def buffered(self, stats: Mapping[str, Any]) -> int | None:
        """Records fetched and not yet delivered."""
        if "topics" not in stats:
            return None
        return sum(
            partition.get("fetchq_cnt", 0)
            for topic in stats["topics"].values()
            for partition in topic["partitions"].values()
        )

    def close_native(self) -> None:
        """Close; commits that were never confirmed end as unknown."""
        if self.native is None:
            return
        try:
            self.native.close()
        finally:
            self.native = None
        while self.awaited_commits:
            error = problem("closed before the commit was confirmed")
            self.answer(self.awaited_commits.popleft(), "info", error=error)


def _committed(partitions: list[TopicPartition]) -> list[list[Any]]:
    """Offsets that were committed: the client also lists partitions that had none to commit."""
    return [offset for offset in offsets_of(partitions) if offset[2] >= 0]
