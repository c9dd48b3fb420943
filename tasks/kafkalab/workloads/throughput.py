"""How fast a build produces (P02) and how fast it reads a backlog (P03), in pairs.

What is driven: closed loops, as fast as the client takes them, after its connections are up. Both
builds take turns; see paired.py for the frame and for what is claimed. A consuming process reads
the whole backlog, so that what it fetches ahead is part of what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

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
    trial_s: float  # of each build, all turns together
    turns: int
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


class _Producer:
    """A producing process: its turns share the trial's time."""

    def __init__(self, lab: Lab, load: ProduceLoad, topic: str, subject: str, name: str) -> None:
        self._lab, self._load, self._topic = lab, load, topic
        self._driver = lab.driver(name, subject)
        self._client = lab.client(self._driver, name)
        self._client.open("producer", {"acks": -1, "idempotence": True, "linger_ms": 5})
        # Connections, metadata and producer id first: they are not what is measured here.
        first = [(p, v, 64) for p, v in enumerate(lab.values(load.partitions))]
        self._client.send(topic, first)

    def turn(self) -> loops.Totals:
        seconds = self._load.trial_s / self._load.turns
        looping = loops.produce_loop(
            self._client, self._topic, size=self._load.record_bytes, duration_s=seconds
        )
        return loops.totals(self._lab, looping, seconds + 60)

    def end(self, turns: Sequence[loops.Totals]) -> paired.Trial:
        found = {PRODUCED: paired.rate(turns)}
        return paired.ended(self._lab, self._driver, self._client, turns, **found)


class _Consumer:
    """A consuming process: it reads the backlog from its start."""

    def __init__(self, lab: Lab, load: ConsumeLoad, topic: str, subject: str, name: str) -> None:
        self._lab, self._load, self._topic = lab, load, topic
        self._driver = lab.driver(name, subject)
        self._client = lab.client(self._driver, name)
        config = {"group": f"{topic}-{name}", "auto_commit": False}
        options = PREFETCH.get(self._driver.hello["driver"])
        self._client.open("consumer", config, options=options)

    def turn(self) -> loops.Totals:
        self._client.assign([(self._topic, p, 0) for p in range(self._load.partitions)])
        reading = loops.consume_loop(self._client, duration_s=60, max_records=self._load.records)
        return loops.totals(self._lab, reading, 90)

    def end(self, turns: Sequence[loops.Totals]) -> paired.Trial:
        found = {CONSUMED: paired.rate(turns)}
        return paired.ended(self._lab, self._driver, self._client, turns, **found)


def drive_produce(lab: Lab, load: ProduceLoad) -> Driven:
    """Closed-loop produce."""
    topic = lab.topic("produce", load.partitions, {"retention.bytes": "100000000"})
    race = paired.in_turns(partial(_Producer, lab, load, topic), load.turns)
    trials, verdict = paired.run(lab, load, race, [PRODUCED])
    return paired.driven(trials, {}, verdict)


def drive_consume(lab: Lab, load: ConsumeLoad) -> Driven:
    """Read from the start of a backlog that was written once."""
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

    race = paired.one_by_one(partial(_Consumer, lab, load, topic))
    trials, verdict = paired.run(lab, load, race, [CONSUMED])
    return paired.driven(trials, {}, verdict)


PRODUCE = Workload(ProduceLoad, drive_produce, CLAIMS)
CONSUME = Workload(ConsumeLoad, drive_consume, CLAIMS)
