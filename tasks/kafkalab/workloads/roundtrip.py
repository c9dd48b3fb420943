"""Records in and out: producers send, a group reads everything back (C01, C03, A01).

What is driven: `producers` clients send `records` values in acknowledged batches over the
partitions in turn while `consumers` members of one group poll; then the group reads on until
every partition's end was delivered, or nothing moves for the stall bound. Where a cell names
several clients, each has a producer and a member in the one group, on an assignor that all of
them have, and sending begins when each has partitions. What is legal: each acknowledged value
is read exactly once, where it was sent, unchanged; with more than one consumer a rebalance may
deliver again what was not committed, which is allowed then; in a mixed group each member has a
share (`unshared-group`). Not checked here: order across producers, commits (C13), time beyond
the bounds.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from kafkalab.clients.driver import Driver
from kafkalab.model.errors import UsageError
from kafkalab.workloads import roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset(
    {
        "startup", "lost-write", "unseen", "duplicate", "delivered-twice", "inconsistent-offsets",
        "corrupt-value", "G1a", "wrong-topic", "stall", "hung-close", "unshared-group",
        *roles.ORDER,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """Load of a round trip."""

    records: int  # in all
    record_bytes: int  # payload size, header included (at least 32)
    batch_records: int  # records of one send command
    partitions: int
    producers: int
    consumers: int
    poll_records: int  # most records that one poll may return
    batch_bytes_max: int = 1_048_588  # the topic's max.message.bytes: largest batch it takes

    def __post_init__(self) -> None:
        for name, least in (("records", 1), ("record_bytes", 32), ("partitions", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"load.{name}: expected at least {least}.")


def drive(lab: Lab, load: Load) -> Driven:
    """Produce and consume at once, drain, close."""
    several = len(lab.subjects)
    limit = {"max.message.bytes": str(load.batch_bytes_max)}
    topic = lab.topic("roundtrip", max(load.partitions, several), limit)
    drivers = [lab.driver(f"d{i}", subject) for i, subject in enumerate(lab.subjects)]
    producers = _clients(lab, drivers, "p", load.producers)
    consumers = _clients(lab, drivers, "c", load.consumers)
    stop, delivered = threading.Event(), roles.Delivered()
    config = {"group": f"{topic}-group", "offset_reset": "earliest", "auto_commit": False}
    if several > 1:
        config["assignor"] = "roundrobin"  # the one that every client has
    for consumer in consumers:
        consumer.open("consumer", config)
        consumer.subscribe([topic])
    for producer in producers:
        producer.open("producer", {"acks": -1, "idempotence": True})
    share = load.records // len(producers)
    with lab.threads(len(producers) + len(consumers)) as pool:
        lab.mark(f"produce {load.records:,} records of {load.record_bytes:,} bytes and consume")
        reading = [
            pool.submit(roles.consume, lab, c, delivered, stop, load.poll_records)
            for c in consumers
        ]
        try:
            if several > 1:
                roles.wait_for_shares(lab, consumers)
            writing = [
                pool.submit(
                    roles.produce, lab, p, topic, lab.values(share), load.record_bytes,
                    load.batch_records, partitions=load.partitions,
                )
                for p in producers
            ]  # fmt: skip
            sent = sum(future.result() for future in writing)
            lab.mark("drain")
            roles.drain(lab, delivered, topic, load.partitions)
        finally:
            stop.set()
        roles.finish(reading, stop)
    metrics = roles.fetched(lab, drivers, delivered)
    roles.close(lab, [*producers, *consumers])
    bounds = roles.context(redelivery_allowed=len(consumers) > 1)
    lab.progress(f"sent {sent:,}, delivered {delivered.records:,}")
    also = ("unshared-group",) if several > 1 else ()
    return Driven(bounds, metrics, {"sent": sent, "delivered": delivered.records}, also=also)


def _clients(lab: Lab, drivers: Sequence[Driver], kind: str, count: int) -> list[Client]:
    """At least one of each driver, dealt in turn."""
    wanted = max(count, len(drivers))
    return [lab.client(drivers[i % len(drivers)], f"{kind}{i}") for i in range(wanted)]


WORKLOAD = Workload(Load, drive, CLAIMS)
