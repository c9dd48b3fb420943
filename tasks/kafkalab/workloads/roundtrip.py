"""Records in and out: producers send, a group reads everything back (C01, C03, A01).

What is driven: `producers` clients send `records` values in acknowledged batches over the
partitions in turn while `consumers` members of one group poll; then the group reads on until
every partition's end was delivered, or nothing moves for the stall bound. What is legal: each
acknowledged value is read exactly once, where it was sent, unchanged; with more than one consumer
a rebalance may deliver again what was not committed, which is allowed then. Not checked here:
order across producers, commits (C13), time beyond the bounds.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from kafkalab.model.errors import UsageError
from kafkalab.workloads import roles
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset(
    {
        "startup", "lost-write", "unseen", "duplicate", "delivered-twice", "inconsistent-offsets",
        "corrupt-value", "G1a", "wrong-topic", "stall", "hung-close",
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

    def __post_init__(self) -> None:
        for name, least in (("records", 1), ("record_bytes", 32), ("partitions", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"load.{name}: expected at least {least}.")


def drive(lab: Lab, load: Load) -> Driven:
    """Produce and consume at once, drain, close."""
    topic = lab.topic("roundtrip", load.partitions)
    driver = lab.driver("d0")
    producers = [lab.client(driver, f"p{i}") for i in range(load.producers)]
    consumers = [lab.client(driver, f"c{i}") for i in range(load.consumers)]
    stop, delivered = threading.Event(), roles.Delivered()
    config = {"group": f"{topic}-group", "offset_reset": "earliest", "auto_commit": False}
    for consumer in consumers:
        consumer.open("consumer", config)
        consumer.subscribe([topic])
    for producer in producers:
        producer.open("producer", {"acks": -1, "idempotence": True})
    share = load.records // load.producers
    with lab.threads(load.producers + load.consumers) as pool:
        lab.mark(f"produce {load.records:,} records of {load.record_bytes:,} bytes and consume")
        reading = [
            pool.submit(roles.consume, lab, c, delivered, stop, load.poll_records)
            for c in consumers
        ]
        try:
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
    metrics = roles.fetched(lab, [driver], delivered)
    roles.close(lab, [*producers, *consumers])
    bounds = roles.context(redelivery_allowed=load.consumers > 1)
    lab.progress(f"sent {sent:,}, delivered {delivered.records:,}")
    return Driven(bounds, metrics, {"sent": sent, "delivered": delivered.records})


WORKLOAD = Workload(Load, drive, CLAIMS)
