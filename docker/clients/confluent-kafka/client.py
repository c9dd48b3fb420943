"""What producers, consumers and admins of librdkafka share beside the kit's `Client`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from confluent_kafka import TopicPartition
from driverkit import NO_OFFSET, Client, Command, Outcome
from outcomes import command_outcome, describe


class RdkafkaClient(Client):
    """Errors, statistics and callbacks that every native client of librdkafka has."""

    native_stats = ""

    def outcome(self, op: str, error: BaseException) -> str:
        """`fail` where `error` shows that `op` certainly did not happen."""
        return command_outcome(op, error)

    def describe(self, error: Any) -> dict[str, Any]:
        """An error in the contract's form."""
        return describe(error)

    def runtime(self) -> dict[str, Any]:
        """What librdkafka's newest statistics say, at most 1 s old."""
        stats = json.loads(self.native_stats) if self.native_stats else {}
        return {
            "buffered_records": self.buffered(stats),
            "received_bytes": stats.get("rx_bytes"),
            "sent_bytes": stats.get("tx_bytes"),
        }

    def buffered(self, _stats: Mapping[str, Any]) -> int | None:
        """Records that the client holds."""
        return None

    def callbacks(self) -> dict[str, Any]:
        """Configuration that reports what happens outside commands."""
        return {
            "error_cb": self.on_error,
            "stats_cb": self.on_stats,
            "statistics.interval.ms": 1000,
        }

    def on_error(self, error: Any) -> None:
        """An error that belongs to no command."""
        self.error(error, fatal=bool(error.fatal()))

    def on_stats(self, text: str) -> None:
        """Keep the newest statistics; they are parsed only when asked for."""
        self.native_stats = text


def partitions_of(command: Command, key: str = "partitions") -> list[TopicPartition]:
    """[[topic, partition], ..] or [[topic, partition, offset or null], ..] for the client."""
    found = []
    for topic, partition, *offset in command[key]:
        if offset and offset[0] is not None:
            found.append(TopicPartition(topic, partition, offset[0]))
        else:
            found.append(TopicPartition(topic, partition))
    return found


def offsets_of(partitions: list[TopicPartition]) -> list[list[Any]]:
    """Offsets as the contract writes them; raises the first error that a partition carries."""
    for each in partitions:
        if each.error is not None:
            error = each.error
            raise Outcome(
                command_outcome("commit", error),
                describe(error),
                offsets=[[p.topic, p.partition, max(p.offset, NO_OFFSET)] for p in partitions],
            )
    return [[p.topic, p.partition, max(p.offset, NO_OFFSET)] for p in partitions]
