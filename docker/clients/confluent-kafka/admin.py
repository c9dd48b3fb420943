"""The admin role: what the lab itself needs to know of a cluster."""

from __future__ import annotations

import time
from typing import Any

from client import RdkafkaClient, offsets_of, partitions_of
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from driverkit import SLICE_S, Command, Outcome, problem
from offsets_topic import stored
from portable_config import translate

TIMEOUT_S = 30.0
_NOT_YET = (  # what a broker says that does not know yet what the controller has decided
    "_NOENT",  # librdkafka's own word when its cached metadata shows no leader for any partition
    "NOT_LEADER_FOR_PARTITION",
    "LEADER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
    "OFFSET_NOT_AVAILABLE",
    "FENCED_LEADER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
    "UNKNOWN_TOPIC_OR_PART",
)


class AdminRole(RdkafkaClient):
    """Hosts one `confluent_kafka.admin.AdminClient`."""

    native: AdminClient | None = None

    def op_open(self, command: Command) -> None:
        """Make the client; it connects by itself."""
        config = translate("admin", command["bootstrap"], command.get("config") or {})
        self.config = config | {"error_cb": self.on_error} | (command.get("options") or {})
        self.native = AdminClient(self.config)

    def op_create_topic(self, command: Command) -> None:
        """Create a topic and wait until the leader of every partition answers."""
        name, count = command["topic"], command["partitions"]
        topic = NewTopic(
            name, count, command["replication"], config=dict(command.get("configs") or {})
        )
        self.native.create_topics([topic], operation_timeout=TIMEOUT_S)[name].result(TIMEOUT_S)
        until = time.monotonic() + TIMEOUT_S
        while (lacking := self.without_leader(name, count)) and time.monotonic() < until:
            self.native.poll(SLICE_S / 5)
        if lacking:
            raise Outcome("info", problem(f"{name}: {lacking} after {TIMEOUT_S:g} s"))

    def without_leader(self, name: str, count: int) -> str:
        """What is missing before a topic can be used; empty when its leaders answer.

        A broker can name itself leader in its metadata before it serves as one.
        """
        found = self.native.list_topics(name, TIMEOUT_S).topics[name].partitions
        led = [TopicPartition(name, number) for number, p in found.items() if p.leader >= 0]
        if len(led) < count:
            return f"{len(led)} of {count} partitions have a leader"
        try:
            for future in self.native.list_offsets({p: OffsetSpec.latest() for p in led}).values():
                future.result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].name() not in _NOT_YET:
                raise
            return str(error)
        return ""

    def op_describe_cluster(self, _command: Command) -> dict[str, Any]:
        """Brokers and controller, as the cluster's metadata says."""
        metadata = self.native.list_topics(timeout=TIMEOUT_S)
        return {"brokers": sorted(metadata.brokers), "controller": metadata.controller_id}

    def op_end_offsets(self, command: Command) -> dict[str, Any]:
        """Offset after the last record of each partition, stable ones and others alike.

        librdkafka keeps a partition without a leader in its metadata cache for
        metadata.max.age.ms and then refuses without asking a broker again, so metadata is
        fetched first (rd_kafka_topic_partition_list_get_leaders in its rdkafka_partition.c).
        """
        wanted = partitions_of(command)
        for topic in {p.topic for p in wanted}:
            self.native.list_topics(topic, TIMEOUT_S)
        futures = self.native.list_offsets({p: OffsetSpec.latest() for p in wanted})
        found = [
            TopicPartition(p.topic, p.partition, future.result(TIMEOUT_S).offset)
            for p, future in futures.items()
        ]
        return {"offsets": offsets_of(found)}

    def op_group_offsets(self, command: Command) -> dict[str, Any]:
        """What the group's coordinator has.

        librdkafka remembers a group's coordinator and forgets it only when transactions are told
        that it is another one (rd_kafka_coord_cache_evict, called in its rdkafka_txnmgr.c alone):
        this client would ask the old one for ever. So the next question is a new client's.
        """
        group = command["group"]
        request = ConsumerGroupTopicPartitions(group, partitions_of(command))
        future = self.native.list_consumer_group_offsets([request])[group]
        try:
            return {"offsets": offsets_of(future.result(TIMEOUT_S).topic_partitions)}
        except KafkaException as error:
            if error.args[0].name() == "NOT_COORDINATOR":
                self.native = AdminClient(self.config)
            raise

    def op_offset_commits(self, command: Command) -> dict[str, Any]:
        """What the group's offsets topic holds, with times of this host's monotonic clock."""
        ahead_ns = time.time_ns() - time.monotonic_ns()
        found = stored(self.config, command["group"], TIMEOUT_S)
        return {"commits": [[*commit, wall_ns - ahead_ns] for *commit, wall_ns in found]}

    def close_native(self) -> None:
        """The client closes when it is collected."""
        self.native = None
