"""The admin role: what the lab itself needs to know of a cluster. From 3.0 on."""

from __future__ import annotations

import time
from typing import Any

from client import KafkaPythonClient, partitions_of, rows_of
from driverkit import NO_OFFSET, SLICE_S, Command, Outcome, problem
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from kafka.protocol.consumer import OffsetSpec
from kafka.structs import TopicPartition
from settings import settings

TIMEOUT_S = 30.0


class AdminRole(KafkaPythonClient):
    """Hosts one `KafkaAdminClient`."""

    native: KafkaAdminClient | None = None

    def op_open(self, command: Command) -> None:
        """Make the client; it connects before this returns."""
        self.opened(KafkaAdminClient(**settings(KafkaAdminClient, "admin", command)))

    def op_create_topic(self, command: Command) -> None:
        """Create a topic and wait until the leader of every partition answers."""
        name, count = command["topic"], command["partitions"]
        row = {
            "num_partitions": count,
            "replication_factor": command["replication"],
            "configs": dict(command.get("configs") or {}),
        }
        self.native.create_topics({name: row})
        partitions = [TopicPartition(name, number) for number in range(count)]
        until = time.monotonic() + TIMEOUT_S
        while (lacking := self.without_leader(partitions)) and time.monotonic() < until:
            time.sleep(SLICE_S / 5)
        if lacking:
            raise Outcome("info", problem(f"{name}: {lacking} after {TIMEOUT_S:g} s"))

    def without_leader(self, partitions: list[TopicPartition]) -> str:
        """What is missing before a topic can be used; empty when its leaders answer."""
        try:
            self.ends(partitions)
        except KafkaError as error:
            if not error.retriable:
                raise
            return str(error)
        return ""

    def ends(self, partitions: list[TopicPartition]) -> dict[TopicPartition, Any]:
        """The offset after the last record of each partition."""
        return self.native.list_partition_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))

    def op_describe_cluster(self, _command: Command) -> dict[str, Any]:
        """Brokers and controller."""
        found = self.native.describe_cluster()
        brokers = sorted(broker["broker_id"] for broker in found["brokers"])
        return {"brokers": brokers, "controller": found["controller_id"]}

    def op_end_offsets(self, command: Command) -> dict[str, Any]:
        """Offset after the last record of each partition, stable ones and others alike."""
        return {"offsets": rows_of(self.ends(partitions_of(command)))}

    def op_group_offsets(self, command: Command) -> dict[str, Any]:
        """What the group's coordinator has."""
        group, partitions = command["group"], partitions_of(command)
        found = self.native.list_group_offsets({group: partitions})[group]
        rows = [[*tp, found[tp].offset if tp in found else NO_OFFSET] for tp in partitions]
        return {"offsets": rows}

    def close_native(self) -> None:
        """Close the client."""
        if self.native is not None:
            native, self.native = self.native, None
            native.close()
