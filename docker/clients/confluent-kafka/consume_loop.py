"""The consume loop of librdkafka's consumer: `consume(n)` as style batch, `poll` as style poll."""

from __future__ import annotations

import time
from collections import defaultdict
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
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        places = zip(
            map(Message.topic, messages),
            map(Message.partition, messages),
            map(Message.offset, messages),
            strict=True,
        )
        for topic, partition, offset in places:
            found[topic, partition].append(offset)
        for (topic, partition), offsets in found.items():
            self.order(topic, partition, offsets)
        return len(messages)

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
