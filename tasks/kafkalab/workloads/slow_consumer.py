"""A consumer slower than its producer, poll style (B01).

What is driven: a consumer whose application spends `work_us` on every record, against a producer
that sends as fast as it is acknowledged; after `overload_s` the application stops working and the
group drains. What is legal: every record arrives once, deliveries never stop for the stall bound
while records are there, and what the client holds stays bounded. The client's buffers are read
through `stats`; its memory through the process. Not checked: how much it should prefetch.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from kafkalab.model.series import Reading
from kafkalab.workloads import roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset(
    {
        "lost-write", "unseen", "duplicate", "delivered-twice", "inconsistent-offsets",
        "corrupt-value", "G1a", "wrong-topic", "stall", "hung-close",
        *roles.ORDER,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """Load of a slow consumer."""

    records: int
    record_bytes: int
    batch_records: int
    partitions: int
    poll_records: int
    work_us: int  # the application's work per record
    overload_s: float  # how long the consumer stays slow


def drive(lab: Lab, load: Load) -> Driven:
    """Overload, then recover, drain and close."""
    topic = lab.topic("slow", load.partitions)
    producer = lab.client(lab.driver("producer"), "p0")
    consumer = lab.client(lab.driver("consumer"), "c0")
    producer.open("producer", {"acks": -1, "idempotence": True})
    consumer.open(
        "consumer",
        {"group": f"{topic}-group", "offset_reset": "earliest", "auto_commit": False},
    )
    consumer.subscribe([topic])
    stop, recover, delivered = threading.Event(), threading.Event(), roles.Delivered()
    buffered: list[float] = []
    with lab.threads(2) as pool:
        lab.mark(f"overload for {load.overload_s:g} s")
        lab.follow(roles.context())
        reading = pool.submit(
            _read_slowly, lab, load, consumer, delivered, (stop, recover, buffered)
        )
        try:
            sent = roles.produce(
                lab, producer, topic, lab.values(load.records), load.record_bytes,
                load.batch_records, partitions=load.partitions,
            )  # fmt: skip
            recover.wait(load.overload_s)
            overloaded = delivered.records
            lab.mark("recover and drain")
            recover.set()
            roles.drain(lab, delivered, topic, load.partitions)
        finally:
            stop.set()
            recover.set()
        roles.finish([reading], stop)
    metrics = roles.fetched(lab, [consumer.driver], delivered)
    roles.close(lab, [producer, consumer])
    if buffered:
        metrics["buffered_records_max"] = max(buffered)
    lab.progress(f"sent {sent:,}, delivered {overloaded:,} slowly, {delivered.records:,} in all")
    return Driven(roles.context(), metrics, {"sent": sent, "delivered": delivered.records})


def _read_slowly(
    lab: Lab,
    load: Load,
    client: Client,
    delivered: roles.Delivered,
    signals: tuple[threading.Event, threading.Event, list[float]],
) -> int:
    stop, recover, buffered = signals
    total = 0
    while not stop.is_set():
        lab.check_time()
        records = client.poll(load.poll_records, 500)
        total += delivered.add(records)
        if records and not recover.is_set():
            recover.wait(len(records) * load.work_us / 1e6)  # the application's work
        held = (client.call("stats", 10).raw.get("runtime") or {}).get("buffered_records")
        if held is not None:
            buffered.append(float(held))
            lab.readings.append(
                Reading(time.monotonic_ns(), f"client:{client.name}", "buffered_records", held)
            )
    return total


WORKLOAD = Workload(Load, drive, CLAIMS)
