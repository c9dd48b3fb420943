"""A crowd of clients at once, then the cluster must still answer (C02).

What is driven: half of `clients` produce, half consume as one group with a partition each, all
opened at the same time from `processes` driver processes. Then all are closed, and a fresh pair
must make a round trip on a new topic within the bounds. What is legal: every acknowledged value
is read; while the members join, records may be delivered again. A client that never becomes
usable is `startup`, one that gets nothing is `stall`, one that does not close `hung-close`, one
that waits for ever without CPU `deadlock`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from kafkalab.model.errors import UsageError
from kafkalab.workloads import roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset(
    {
        "startup", "lost-write", "unseen", "duplicate", "delivered-twice", "inconsistent-offsets",
        "corrupt-value", "G1a", "wrong-topic", "stall", "deadlock", "hung-close",
        *roles.ORDER,
    }
)  # fmt: skip

_AFTER_RECORDS = 20


@dataclass(frozen=True)
class Load:
    """Load of a crowd."""

    clients: int  # half of them produce, half consume
    records_per_client: int
    record_bytes: int
    partitions: int
    processes: int  # driver processes that share the clients

    def __post_init__(self) -> None:
        if self.clients < 2 or self.clients % 2:
            raise UsageError(f"load.clients: expected an even number, found {self.clients}.")


def drive(lab: Lab, load: Load) -> Driven:
    """Open everybody at once, move records, close everybody, then try a fresh pair."""
    topic = lab.topic("crowd", load.partitions)
    drivers = [lab.driver(f"d{i}") for i in range(load.processes)]
    half = load.clients // 2
    producers = [lab.client(drivers[i % load.processes], f"p{i}") for i in range(half)]
    consumers = [lab.client(drivers[i % load.processes], f"c{i}") for i in range(half)]
    stop, delivered = threading.Event(), roles.Delivered()
    config = {"group": f"{topic}-group", "offset_reset": "earliest", "auto_commit": False}

    def read(client: Client) -> int:
        client.open("consumer", config, timeout_s=60)
        client.subscribe([topic])
        return roles.consume(lab, client, delivered, stop, 500)

    def write(client: Client) -> int:
        client.open("producer", {"acks": -1, "idempotence": True}, timeout_s=60)
        values = lab.values(load.records_per_client)
        where = {"partitions": load.partitions}
        return roles.produce(lab, client, topic, values, load.record_bytes, 50, **where)

    with lab.threads(load.clients) as pool:
        lab.mark(f"open {load.clients} clients at once")
        reading = [pool.submit(read, client) for client in consumers]
        try:
            sent = sum(future.result() for future in [pool.submit(write, p) for p in producers])
            lab.mark("drain")
            roles.drain(lab, delivered, topic, load.partitions)
        finally:
            stop.set()
        roles.finish(reading, stop)
    roles.close(lab, [*producers, *consumers])
    after = _still_answers(lab)
    bounds = roles.context(redelivery_allowed=True)
    lab.progress(f"sent {sent:,}, delivered {delivered.records:,}; afterwards {after} of 20")
    return Driven(bounds, samples={"sent": sent, "delivered": delivered.records + after})


def _still_answers(lab: Lab) -> int:
    """A fresh driver, producer and consumer on a new topic."""
    lab.mark("a fresh client")
    topic = lab.topic("after", 1)
    driver = lab.driver("after")
    producer, consumer = lab.client(driver, "p-after"), lab.client(driver, "c-after")
    stop, delivered = threading.Event(), roles.Delivered()
    producer.open("producer", {"acks": -1})
    consumer.open("consumer", {"group": f"{topic}-group", "offset_reset": "earliest"})
    consumer.subscribe([topic])
    with lab.threads(1) as pool:
        reading = [pool.submit(roles.consume, lab, consumer, delivered, stop, 100)]
        try:
            roles.produce(lab, producer, topic, lab.values(_AFTER_RECORDS), 100, 20)
            roles.drain(lab, delivered, topic, 1)
        finally:
            stop.set()
        roles.finish(reading, stop)
    roles.close(lab, [producer, consumer])
    return delivered.records


WORKLOAD = Workload(Load, drive, CLAIMS)
