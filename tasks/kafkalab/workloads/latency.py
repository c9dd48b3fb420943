"""End-to-end latency at a fixed rate, open loop, in pairs (P04).

What is driven: a producer that offers records on schedule, whether or not the client keeps up,
and a consumer of the same build; latency runs from the intended send time to delivery, so that a
stall costs its whole length (no coordinated omission; G. Tene, "How NOT to Measure Latency").
Connections are up before the schedule starts. Both builds run at the same time on topics of their
own: at this rate they do not compete, and a disturbance of the host falls on both. What is
claimed: `regression` on the median (decided) and on p95 and p99 (when confirmed); the loops'
counts give `unseen`, `duplicate`, `corrupt-value` and `stall`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from kafkalab.measure import histogram
from kafkalab.model.errors import DriverError
from kafkalab.model.verdict import worst
from kafkalab.workloads import loops, paired
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset({"regression", "unseen", "duplicate", "corrupt-value", "stall"})
COMPARED = ("latency_ms_p50", "latency_ms_p95", "latency_ms_p99")


@dataclass(frozen=True)
class Load:
    """Load of P04."""

    rate_records_per_s: int  # of each build
    record_bytes: int
    partitions: int
    trial_s: float
    pairs_min: int
    pairs_max: int


def drive(lab: Lab, load: Load) -> Driven:
    """Both builds at once, pair by pair."""

    def trial(subject: str, name: str) -> paired.Trial:
        topic = lab.topic(name, load.partitions)
        driver = lab.driver(name, subject)
        producer, consumer = lab.client(driver, f"{name}-p"), lab.client(driver, f"{name}-c")
        _connect(lab, load, producer, consumer, topic)
        pair = loops.run_pair(
            lab, producer, consumer, topic,
            rate=load.rate_records_per_s, duration_s=load.trial_s, size=load.record_bytes,
        )  # fmt: skip
        found = histogram.percentiles([pair.consumed.latency_us])
        if found is None:
            raise DriverError(f"{name}: the consuming loop measured no latency; see {driver.log}.")
        values = {f"latency_ms_{p}": getattr(found, p) for p in ("p50", "p95", "p99", "p999")}
        done = paired.ended(lab, driver, consumer, [pair.consumed], **values)
        return dataclasses.replace(done, claims=loops.accounting(pair))

    trials, verdict = paired.run(lab, load, paired.together(lab, trial), COMPARED)
    accounts = zip(*(trial.claims for trial in trials.ours), strict=True)
    return paired.driven(trials, {}, verdict, *(worst(claims) for claims in accounts))


def _connect(lab: Lab, load: Load, producer: Client, consumer: Client, topic: str) -> None:
    """Open both, and send one record through each partition."""
    producer.open("producer", {"acks": -1, "idempotence": True, "linger_ms": 0})
    consumer.open("consumer", {"group": f"{topic}-group", "auto_commit": False})
    consumer.assign([(topic, p, 0) for p in range(load.partitions)])
    producer.send(topic, [(p, v, 64) for p, v in enumerate(lab.values(load.partitions))])
    left = load.partitions
    while left > 0:
        lab.check_time()
        left -= len(consumer.poll(left, 500))


WORKLOAD = Workload(Load, drive, CLAIMS)
