"""Steady load for minutes; memory must stay on its plateau (M01).

What is driven: one producer and one consumer, each in a process of its own, loop at a fixed rate
that the host can hold easily; the processes are read from outside twice a second. What is legal:
after the warm-up, resident memory may wander but not grow: `leak` is a robust slope whose
confidence interval lies above zero and whose growth is material (measure/growth.py). The loops
count and sum what they sent and got: a count that is short is `unseen`, one that is long
`duplicate`, a checksum `corrupt-value`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from kafkalab.measure import growth
from kafkalab.model.errors import UsageError
from kafkalab.model.verdict import worst
from kafkalab.workloads import loops, roles
from kafkalab.workloads.lab import Driven, Lab, Workload
from kafkalab.workloads.sampler import cpu_seconds, series

CLAIMS = frozenset({"leak", "unseen", "duplicate", "corrupt-value", "stall", "hung-close"})


@dataclass(frozen=True)
class Load:
    """Load of a steady run."""

    duration_s: float
    rate_records_per_s: int
    record_bytes: int
    partitions: int
    warmup_s: float  # not judged for growth

    def __post_init__(self) -> None:
        if self.warmup_s >= self.duration_s / 2:
            raise UsageError("load.warmup_s: expected less than half of duration_s.")


def drive(lab: Lab, load: Load) -> Driven:
    """Loop at the rate, sample, drain, judge the growth."""
    topic = lab.topic("steady", load.partitions)
    producing, consuming = lab.driver("producer"), lab.driver("consumer")
    producer, consumer = lab.client(producing, "p0"), lab.client(consuming, "c0")
    producer.open("producer", {"acks": -1, "idempotence": True})
    consumer.open(
        "consumer", {"group": f"{topic}-group", "offset_reset": "earliest", "auto_commit": True}
    )
    consumer.subscribe([topic])
    lab.mark(f"steady load, {load.rate_records_per_s:,} records/s for {load.duration_s:g} s")
    began = time.monotonic()
    pair = loops.run_pair(
        lab, producer, consumer, topic,
        rate=load.rate_records_per_s, duration_s=load.duration_s, size=load.record_bytes,
    )  # fmt: skip
    window = (began, time.monotonic())
    cpu_s = cpu_seconds(lab, consuming)
    roles.close(lab, [producer, consumer])
    leaks = [_growth(lab, load, driver.name, window) for driver in (producing, consuming)]
    rss = [max(series(lab, f"driver:{d}", "rss_bytes")[1]) for d in ("producer", "consumer")]
    slopes = [leak.slope for leak in leaks]
    metrics = {
        "rss_bytes_max": max(rss),
        "rss_bytes_per_s_slope": max(slopes),
        "cpu_s_per_100k_records": cpu_s / max(1, pair.consumed.records) * 100_000,
        "throughput_records_per_s_median": pair.consumed.rate,
    }
    claims = (worst([leak.verdict for leak in leaks]), *loops.accounting(pair))
    samples = {
        "sent": pair.produced.records,
        "delivered": pair.consumed.records,
        "samples": len(series(lab, "driver:consumer", "rss_bytes")[1]),
    }
    return Driven(roles.context(), metrics, samples, claims)


def _growth(lab: Lab, load: Load, driver: str, window: tuple[float, float]) -> growth.Leak:
    """Growth between the warm-up and the end of the load; an idle process proves nothing."""
    found = zip(*series(lab, f"driver:{driver}", "rss_bytes"), strict=True)
    points = [(t, v) for t, v in found if window[0] <= t <= window[1]]
    times, values = [t for t, _ in points], [v for _, v in points]
    start = window[0] + load.warmup_s
    return growth.leak(times, values, start, what=f"{driver} process")


WORKLOAD = Workload(Load, drive, CLAIMS)
