"""How fast a build produces (P02) and how fast it reads a backlog (P03), in pairs.

What is driven: closed loops, as fast as the client takes them, after its connections are up. Both
builds take turns; see paired.py for the frame and for what is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

from kafkalab.workloads import loops, paired, roles
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset({"regression", "corrupt-value"})
PRODUCED = "produce_records_per_s_median"
CONSUMED = "consume_records_per_s_median"
# librdkafka stops fetching for a second (fetch.queue.backoff.ms) once 100,000 records wait for the
# program. A backlog of that size then measures the pause: equal builds were seen at 136,000 and,
# where one did not reach it, at 645,000 records/s.
PREFETCH = {
    "confluent-kafka": {"queued.min.messages": 1_000_000, "queued.max.messages.kbytes": 2_000_000}
}


@dataclass(frozen=True)
class ProduceLoad:
    """Load of P02."""

    record_bytes: int
    partitions: int
    trial_s: float
    pairs_min: int
    pairs_max: int


@dataclass(frozen=True)
class ConsumeLoad:
    """Load of P03."""

    records: int
    record_bytes: int
    partitions: int
    pairs_min: int
    pairs_max: int


def drive_produce(lab: Lab, load: ProduceLoad) -> Driven:
    """Closed-loop produce."""
    topic = lab.topic("produce", load.partitions, {"retention.bytes": "100000000"})

    def trial(subject: str, name: str) -> paired.Trial:
        driver = lab.driver(name, subject)
        client = lab.client(driver, name)
        client.open("producer", {"acks": -1, "idempotence": True, "linger_ms": 5})
        # Connections, metadata and producer id first: they are not what is measured here.
        client.send(topic, [(p, v, 64) for p, v in enumerate(lab.values(load.partitions))])
        future = loops.produce_loop(client, topic, size=load.record_bytes, duration_s=load.trial_s)
        done = loops.totals(lab, future, load.trial_s + 60)
        return paired.ended(lab, driver, client, done, **{PRODUCED: done.rate})

    trials, verdict = paired.run(lab, load, trial, [PRODUCED], together=False)
    return paired.driven(trials, {}, verdict)


def drive_consume(lab: Lab, load: ConsumeLoad) -> Driven:
    """Read a backlog that was written once, from its start."""
    topic = lab.topic("backlog", load.partitions)
    lab.mark(f"write a backlog of {load.records:,} records")
    writer = lab.driver("backlog", lab.baseline)
    producer = lab.client(writer, "backlog")
    producer.open("producer", {"acks": -1, "idempotence": True, "linger_ms": 5})
    future = loops.produce_loop(
        producer, topic, size=load.record_bytes, duration_s=120, max_records=load.records
    )
    loops.totals(lab, future, 180)
    roles.close(lab, [producer])
    lab.host.stop(writer)

    def trial(subject: str, name: str) -> paired.Trial:
        driver = lab.driver(name, subject)
        client = lab.client(driver, name)
        config = {"group": f"{topic}-{name}", "auto_commit": False}
        client.open("consumer", config, options=PREFETCH.get(driver.hello["driver"]))
        client.assign([(topic, p, 0) for p in range(load.partitions)])
        reading = loops.consume_loop(client, duration_s=60, max_records=load.records)
        done = loops.totals(lab, reading, 90)
        return paired.ended(lab, driver, client, done, **{CONSUMED: done.rate})

    trials, verdict = paired.run(lab, load, trial, [CONSUMED], together=False)
    return paired.driven(trials, {}, verdict)


PRODUCE = Workload(ProduceLoad, drive_produce, CLAIMS)
CONSUME = Workload(ConsumeLoad, drive_consume, CLAIMS)
