"""What producers, consumers and admins of kafka-python share beside the kit's `Client`."""

from __future__ import annotations

import time
from typing import Any

from driverkit import Client, Command
from kafka.metrics.stats import Total
from kafka.structs import OffsetAndMetadata, TopicPartition
from outcomes import command_outcome, describe

_MORE = (-1,) * (len(OffsetAndMetadata._fields) - 2)  # no leader's epoch, in versions that have it


class KafkaPythonClient(Client):
    """Errors and byte counts that every native client has."""

    native: Any = None

    def outcome(self, op: str, error: BaseException) -> str:
        """`fail` where `error` shows that `op` certainly did not happen."""
        return command_outcome(op, error)

    def describe(self, error: Any) -> dict[str, Any]:
        """An error in the contract's form."""
        return describe(error)

    def runtime(self) -> dict[str, Any]:
        """What the client counts."""
        return {
            "buffered_records": self.buffered(),
            "received_bytes": self.total("bytes-received"),
            "sent_bytes": self.total("bytes-sent"),
        }

    def buffered(self) -> int | None:
        """Records that the client holds."""
        return None

    def total(self, sensor_name: str) -> int | None:
        """All that one of the client's sensors has recorded.

        The client itself derives only rates from its sensors, over windows of 30 s. Its own
        `Total` is added to them as soon as they exist, which is when it has connected.
        """
        totals: dict[str, Total] = self.__dict__.setdefault("totals", {})
        metrics = getattr(self.native, "_metrics", None)
        if sensor_name not in totals and metrics is not None:
            sensor = metrics.get_sensor(sensor_name)
            if sensor is not None:
                total = totals[sensor_name] = Total()
                sensor.add(metrics.metric_name(f"{sensor_name}-total", "kafkalab"), total)
        found = totals.get(sensor_name)
        return None if found is None else int(found.measure(None, None))

    def opened(self, native: Any) -> None:
        """Keep the native client and begin to count."""
        self.native = native
        self.runtime()

    def left_s(self) -> float:
        """How long a close may still take."""
        return max((self.close_by or 0) - time.monotonic(), 0)


def partitions_of(command: Command, key: str = "partitions") -> list[TopicPartition]:
    """[[topic, partition, ..], ..] for the client."""
    return [TopicPartition(row[0], row[1]) for row in command[key]]


def offsets_of(rows: Any) -> dict[TopicPartition, OffsetAndMetadata]:
    """[[topic, partition, next offset], ..] for the client."""
    return {TopicPartition(row[0], row[1]): OffsetAndMetadata(row[2], "", *_MORE) for row in rows}


def rows_of(offsets: dict[TopicPartition, Any]) -> list[list[Any]]:
    """{partition: offset and metadata} as the contract writes it."""
    return [[tp.topic, tp.partition, found.offset] for tp, found in offsets.items()]
