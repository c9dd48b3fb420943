"""One hot partition must not starve the others (B04).

What is driven: partition 0 holds a backlog ten times as long as each of the others; one member
with small fetches and a slow application reads half of everything, then the rest is drained. What
is legal: while every partition has records left, each gets its share; `starved-partition` fails
when one gets less than `fairness_ratio_min` of what it could expect (checkers/fairness.py). All
connections are up and all partitions are resumed together, so that nobody has a head start.
Afterwards nothing may be lost or twice.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from kafkalab.model.errors import UsageError
from kafkalab.workloads import roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset(
    {
        "starved-partition", "lost-write", "unseen", "duplicate", "delivered-twice",
        "inconsistent-offsets", "corrupt-value", "G1a", "wrong-topic", "stall", "hung-close",
        *roles.ORDER,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Load:
    """Load of a hot partition."""

    hot_records: int
    cold_records: int  # in each cold partition
    cold_partitions: int
    record_bytes: int
    poll_records: int
    work_us: int  # the application's work per record during the window
    fairness_ratio_min: float

    def __post_init__(self) -> None:
        if not 0 < self.fairness_ratio_min < 1:
            raise UsageError("load.fairness_ratio_min: expected a ratio between 0 and 1.")


def drive(lab: Lab, load: Load) -> Driven:
    """Fill the partitions unevenly, read a window, judge it, drain."""
    partitions = load.cold_partitions + 1
    topic = lab.topic("hot", partitions)
    delivered = roles.Delivered()
    consumer = _connected(lab, topic, partitions, delivered)
    producer = lab.client(lab.driver("producer"), "p0")
    producer.open("producer", {"acks": -1, "idempotence": True})
    lab.mark(f"fill: {load.hot_records:,} hot, {load.cold_records:,} in each cold partition")
    for partition in range(partitions):
        values = lab.values(load.hot_records if partition == 0 else load.cold_records)
        roles.produce(lab, producer, topic, values, load.record_bytes, 1000, partition=partition)
    window = _window(lab, load, consumer, delivered, topic)
    lab.progress(f"window: deliveries per partition {list(window.values())}")
    lab.mark("drain")
    stop = threading.Event()
    with lab.threads(1) as pool:
        reading = [pool.submit(roles.consume, lab, consumer, delivered, stop, 1000)]
        try:
            roles.drain(lab, delivered, topic, partitions)
        finally:
            stop.set()
        roles.finish(reading, stop)
    roles.close(lab, [producer, consumer])
    sent = load.hot_records + load.cold_records * load.cold_partitions
    return Driven(
        roles.context(fairness_ratio_min=load.fairness_ratio_min),
        {"fairness_ratio": _ratio(load, window)},
        {"sent": sent, "delivered": delivered.records},
    )


def _connected(lab: Lab, topic: str, partitions: int, delivered: roles.Delivered) -> Client:
    """A consumer that has read one record of each partition and is paused on all of them."""
    starter = lab.client(lab.driver("starter"), "p-start")
    starter.open("producer", {"acks": -1})
    for partition in range(partitions):
        roles.produce(lab, starter, topic, lab.values(1), 100, 1, partition=partition)
    consumer = lab.client(lab.driver("consumer"), "c0")
    config = {
        "group": f"{topic}-group",
        "offset_reset": "earliest",
        "auto_commit": False,
        "max_partition_fetch_bytes": 65_536,
    }
    consumer.open("consumer", config)
    consumer.subscribe([topic])
    began = time.monotonic()
    while delivered.records < partitions and _moving(lab, delivered, began):
        delivered.add(consumer.poll(partitions, 500))
    consumer.pause([(topic, p) for p in range(partitions)])
    roles.close(lab, [starter])
    return consumer


def _window(
    lab: Lab, load: Load, consumer: Client, delivered: roles.Delivered, topic: str
) -> dict[int, int]:
    """Read half of everything slowly; records per partition."""
    partitions = load.cold_partitions + 1
    counts = dict.fromkeys(range(partitions), 0)
    half = (load.hot_records + load.cold_records * load.cold_partitions) // 2
    lab.mark(f"read the first {half:,} records slowly")
    consumer.resume([(topic, p) for p in counts])
    work, began = threading.Event(), time.monotonic()
    while sum(counts.values()) < half and _moving(lab, delivered, began):
        records = consumer.poll(load.poll_records, 500)
        delivered.add(records)
        for _topic, partition, *_rest in records:
            counts[partition] += 1
        work.wait(len(records) * load.work_us / 1e6)  # the application's work
    return counts


def _ratio(load: Load, counts: dict[int, int]) -> float:
    """Least share of what a partition could expect: the mean, or all that it had."""
    mean = sum(counts.values()) / len(counts)
    backlog = {p: load.cold_records if p else load.hot_records for p in counts}
    return min(counts[p] / max(1.0, min(mean, backlog[p])) for p in counts)


def _moving(lab: Lab, delivered: roles.Delivered, began: float) -> bool:
    """Whether something was delivered lately; what happened before this reading does not count."""
    lab.check_time()
    idle_s = time.monotonic() - max(delivered.moved_at, began)
    return idle_s < roles.STALL_S + roles.SETTLE_S


WORKLOAD = Workload(Load, drive, CLAIMS)
