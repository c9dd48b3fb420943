"""The consume loop of librdkafka's consumer: `consume(n)` as style batch, `poll` as style poll."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby, repeat
from typing import Any

import driverkit
from confluent_kafka import KafkaException, Message
from driverkit import SLICE_S


class ConsumeLoop(driverkit.ConsumeLoop):
    """One `consume` command."""

    styles = ("poll", "batch")

    def fetch(self, most: int | None) -> list[Any]:
        """One delivery."""
        fetch = self.client.fetch if self.style == "batch" else self.client.fetch_by_poll
        return fetch(most, SLICE_S)

    def look_at(self, delivery: list[Any]) -> int:
        """Check and count one delivery."""
        now_ns, messages = time.monotonic_ns(), delivery
        if any(map(Message.error, messages)):
            messages = self.without_errors(messages)
            if not messages:
                return 0  # errors alone are no delivery: the gap since the last one goes on
        self.delivered(now_ns, list(map(Message.value, messages)))
        offsets = list(map(Message.offset, messages))
        for topic, partition, some in self.runs(messages, offsets):
            self.order(topic, partition, some)
        return len(messages)

    def runs(self, messages: list[Any], offsets: list[int]) -> Iterator[tuple[str, int, list[int]]]:
        """Offsets of messages of one partition that stand side by side, as they mostly do."""
        partitions = list(map(Message.partition, messages))
        topic = self.client.only_topic
        if topic is not None and partitions.count(partitions[0]) == len(partitions):
            yield topic, partitions[0], offsets
            return
        # A message makes its topic's name anew each time that it is asked.
        topics = map(Message.topic, messages) if topic is None else repeat(topic)
        start = 0
        for (name, partition), run in groupby(zip(topics, partitions, strict=False)):
            end = start + sum(1 for _ in run)
            yield name, partition, offsets[start:end]
            start = end

    def without_errors(self, messages: list[Any]) -> list[Any]:
        """Report errors that stand in the place of messages."""
        good = []
        for message in messages:
            if message.error() is None:
                good.append(message)
            elif message.error().name() != "_PARTITION_EOF":
                self.loop.meter.errors += 1
                self.client.on_message_error(message.error())
        return good

    def commit_now(self) -> None:
        """Commit what the client thinks was consumed."""
        try:
            self.client.commit(None, asynchronous=self.commit == "async")
        except KafkaException as error:
            self.failed(error)
