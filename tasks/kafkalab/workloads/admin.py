"""The lab's own hands in Kafka: topics, readiness and offsets through a driver's admin role.

The step process holds no Kafka client (docs/decisions/0002-admin-through-a-driver.md); it asks
the pinned confluent-kafka driver, whichever client is under test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from kafkalab.clients.driver import Driver
from kafkalab.model.errors import InfrastructureError
from kafkalab.workloads.client import Client
from kafkalab.workloads.expansion import error_name
from kafkalab.workloads.recorder import Recorder

SPREADING_S = 15.0
# What a broker answers whose metadata does not have a new topic, leader or coordinator yet. The lab
# asks for itself here, not for a subject: asking again hides nothing of the client under test.
_SPREADING = frozenset(
    {
        "_NOENT", "UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_OR_PARTITION", "LEADER_NOT_AVAILABLE",
        "NOT_LEADER_FOR_PARTITION", "NOT_LEADER_OR_FOLLOWER", "UNKNOWN_LEADER_EPOCH",
        "FENCED_LEADER_EPOCH", "REPLICA_NOT_AVAILABLE", "OFFSET_NOT_AVAILABLE",
        "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR", "COORDINATOR_LOAD_IN_PROGRESS",
    }
)  # fmt: skip


class RefusedError(InfrastructureError):
    """The cluster refused an admin operation; `name` is the protocol's error."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


def _is_spreading(error: BaseException) -> bool:
    return isinstance(error, RefusedError) and error.name in _SPREADING


class Admin:
    """Admin operations on one cluster, recorded in the cell's history as process "admin"."""

    def __init__(self, driver: Driver, recorder: Recorder, bootstrap: str) -> None:
        self._client = Client(driver, "admin", recorder, bootstrap)
        self._driver = driver
        self._recorder = recorder
        self._bootstrap = bootstrap
        self._begun: set[str] = set()
        self._roundtrips = 0
        self._client.open("admin", {})

    def create_topic(
        self, topic: str, partitions: int, configs: Mapping[str, str], replication: int = 3
    ) -> None:
        """Create a topic and wait for its leaders.

        A request whose answer was lost (a broker that just started) may have created the topic;
        asked again, it is there already, and then only its leaders are waited for.
        """
        again = topic in self._begun
        self._begun.add(topic)
        try:
            self._ask(
                "create_topic",
                topic=topic,
                partitions=partitions,
                replication=replication,
                configs=dict(configs),
            )
        except RefusedError as error:
            exists = again and error.name == "TOPIC_ALREADY_EXISTS"
            if not exists and not _is_spreading(error):
                raise
            self.end_offsets(topic, partitions)

    def describe_cluster(self) -> tuple[list[int], int]:
        """Broker ids that the metadata shows, and the controller's id."""
        raw = self._ask("describe_cluster")
        return list(raw["brokers"]), int(raw["controller"])

    def end_offsets(self, topic: str, partitions: int) -> dict[int, int]:
        """Next offset of each partition of a topic."""
        wanted = [[topic, p] for p in range(partitions)]
        raw = self._read("end_offsets", partitions=wanted)
        return {partition: offset for _topic, partition, offset in raw["offsets"]}

    def group_offsets(self, group: str, topic: str, partitions: int) -> dict[int, int]:
        """Committed next offsets as the coordinator has them; −1 where there is none."""
        wanted = [[topic, p] for p in range(partitions)]
        raw = self._read("group_offsets", group=group, partitions=wanted)
        return {partition: offset for _topic, partition, offset in raw["offsets"]}

    def offset_commits(self, group: str) -> None:
        """Note what the group's offsets topic holds: each commit, in the order of its log."""
        self._read("offset_commits", group=group)

    def roundtrip(self, topic: str = "kafkalab-ready") -> None:
        """Produce one record and consume it again; raises when either does not work.

        It may be tried again at once: clients have new names each time, so that one that failed,
        or hangs in its close, is not in the way.
        """
        self._roundtrips += 1
        names = (f"ready-producer-{self._roundtrips}", f"ready-consumer-{self._roundtrips}")
        clients = [Client(self._driver, n, self._recorder, self._bootstrap) for n in names]
        try:
            self._move_a_record(topic, *clients)
        finally:
            for client in clients:
                client.close(10)

    def _move_a_record(self, topic: str, producer: Client, consumer: Client) -> None:
        producer.open("producer", {"acks": -1})
        consumer.open("consumer", {"group": "kafkalab-ready", "offset_reset": "earliest"})
        sent = producer.send(topic, [(0, 1, 64)], timeout_s=30)
        if sent.type != "ok":
            raise InfrastructureError(
                f"readiness: a record could not be produced: {error_name(sent.raw.get('error'))}."
            )
        consumer.assign([(topic, 0, 0)])
        if not consumer.poll(1, 15_000):
            raise InfrastructureError("readiness: a produced record was not readable in 15 s.")

    def close(self) -> None:
        """Close the admin client; its driver is ended by whoever started it."""
        self._client.close(10)

    def _read(self, op: str, **fields: object) -> Mapping[str, Any]:
        """Ask for what can be asked again while metadata of a new topic or group spreads."""
        for attempt in Retrying(
            retry=retry_if_exception(_is_spreading),
            stop=stop_after_delay(SPREADING_S),
            wait=wait_fixed(0.25),
            reraise=True,
        ):
            with attempt:
                return self._ask(op, **fields)
        raise AssertionError  # reraise=True: the loop returns or raises

    def _ask(self, op: str, **fields: object) -> Mapping[str, Any]:
        reply = self._client.call(op, 60, **fields)
        if reply.type != "ok":
            name = error_name(reply.error) or ""
            raise RefusedError(f"the cluster refused '{op}': {name}: {reply.error}", name)
        return reply.raw
