"""The four measurements. Each gives rows of the table.

Throughput: driver and bare program in turns (A B B A), a fresh process each, so that what disturbs
the host meets both. Latency at a fixed rate: both at the same time, on topics of their own: a tail
is made of single disturbances, which must fall on both. 2,000 requests/s of each were too many for
two JVMs and a broker on two cores: the bare client's p99 was 120 ms. Both are given time to
compile, and nothing is collected (linger 0), so that the tail is the client's and not the wait's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import programs
from operations import batches
from programs import Found, Spec
from ratios import Row, absolute, compared
from stage import PARTITIONS, Stage

from kafkalab.measure import histogram
from kafkalab.model.subject import Subject
from kafkalab.workloads.throughput import PREFETCH

TURN_S = 6.0  # what a driver produces in that time is a turn
LONG_TURNS_S = {"kafka-clients": 15.0}  # a JVM compiles for the first seconds
TURN_RECORDS_MAX = 6_000_000
BACKLOG_RECORDS_MAX = 12_000_000  # 1.3 GB on the broker's disk
RATE, RATE_S, WARM_S = 500, 10, 8
THROUGHPUT_LEAST, LATENCY_MOST, OPERATIONS_LEAST, RESOLVE_MOST = 0.95, 1.05, 50_000, 0.5

# The client collects records for a time only in another way of producing, which is slower.
LINGERS: dict[str, int | None] = {"platformatic-kafka": None}
# aiokafka alone has no limit for a batch: it would be what happens to be there.
OPTIONS = {**PREFETCH, "aiokafka": {"max_poll_records": 500}}
# client → styles that are compared, each with the same style of its bare loop
STYLES = {
    "confluent-kafka": ("poll", "batch"),
    "kafka-clients": ("poll",),
    "sarama": ("stream",),
    "franz-go": ("poll",),
    "platformatic-kafka": ("stream",),
    "aiokafka": ("batch",),
    "kafka-python": ("batch",),
}
# clients whose bare loop can send in batches, to tell where the bound is beyond the client itself
BARE_BATCHES = ("kafka-python",)
Say = Callable[[str], None]


def produce(stage: Stage, subject: Subject, pairs: int, say: Say) -> list[Row]:
    """Closed loops, in."""
    with stage.topic() as topic:
        spec = _produced(stage, subject, topic, TURN_RECORDS_MAX)
        records = driver_produce(stage, subject, spec, seconds=_turn_s(subject)).records
    say(f"{subject}: {records:,} records a turn")
    theirs, against = _theirs(subject, "ProducerPerformance")
    ours = partial(driver_produce, stage, subject)
    found = in_turns(stage, replace(spec, records=records), pairs, ours, theirs, say)
    return [compared(str(subject), "produce, closed loop", "records/s", against, found,
                     least=THROUGHPUT_LEAST)]  # fmt: skip


def consume(stage: Stage, subject: Subject, pairs: int, say: Say) -> list[Row]:
    """Closed loops, out."""
    theirs, against = _theirs(subject, "ConsumerPerformance")
    rows = []
    for style in STYLES[subject.name]:
        with stage.topic() as topic:
            spec = replace(_produced(stage, subject, topic, TURN_RECORDS_MAX), style=style)
            read = _backlog(stage, subject, spec)
            say(f"{subject}: {read.records:,} records to read")
            ours = partial(driver_consume, stage, subject)
            found = in_turns(stage, read, pairs, ours, theirs, say)
        rows.append(compared(str(subject), f"consume, style {style}", "records/s", against, found,
                             least=THROUGHPUT_LEAST))  # fmt: skip
    return rows


def _turn_s(subject: Subject) -> float:
    return LONG_TURNS_S.get(subject.name, TURN_S)


def _produced(stage: Stage, subject: Subject, topic: str, records: int) -> Spec:
    linger_ms = LINGERS.get(subject.name, 5)
    return Spec(
        "produce", stage.bootstrap, topic, records, partitions=PARTITIONS, linger_ms=linger_ms
    )


def _theirs(subject: Subject, tool: str) -> tuple[Callable[[Spec], Found], str]:
    if subject.name == "kafka-clients":
        return partial(programs.run_tool, subject), tool
    return partial(programs.run_bare, programs.bare(subject)), "the bare loop"


def _backlog(stage: Stage, subject: Subject, written: Spec) -> Spec:
    """Write what a driver takes a turn's time to read; a JVM compiles for a second of it."""
    written = replace(
        written, records=driver_produce(stage, subject, written, seconds=_turn_s(subject)).records
    )
    read = replace(written, op="consume", options=OPTIONS.get(subject.name, {}))
    rate = driver_consume(stage, subject, read).rate
    total = max(written.records, min(int(rate * _turn_s(subject)), BACKLOG_RECORDS_MAX))
    if total > written.records:
        driver_produce(stage, subject, replace(written, records=total - written.records))
    return replace(read, records=total)


def in_turns(
    stage: Stage,
    spec: Spec,
    pairs: int,
    ours: Callable[[Spec], Found],
    theirs: Callable[[Spec], Found],
    say: Say,
) -> list[tuple[float, float]]:
    """Rates of driver and bare program, pair by pair, A B B A; the first pair is not counted."""
    found = []
    for number in range(pairs + 1):
        rates = {}
        for who in (ours, theirs) if number % 2 == 0 else (theirs, ours):
            rates[who] = _turn(stage, spec, who).rate
        say(
            f"{spec.op} {spec.style} pair {number}: {rates[ours]:,.0f} against "
            f"{rates[theirs]:,.0f}: {rates[ours] / rates[theirs]:.3f}"
        )
        if number:
            found.append((rates[ours], rates[theirs]))
    return found


def _turn(stage: Stage, spec: Spec, who: Callable[[Spec], Found]) -> Found:
    if spec.op == "consume":
        return who(spec)
    with stage.topic() as topic:
        return who(replace(spec, topic=topic))


def driver_produce(
    stage: Stage, subject: Subject, spec: Spec, seconds: float | None = None
) -> Found:
    """A driver's produce loop; of an open loop, the second, on a warm process."""
    config: dict[str, Any] = {"acks": -1, "idempotence": True}
    if spec.linger_ms is not None:
        config["linger_ms"] = spec.linger_ms
    loop: dict[str, Any] = {"topic": spec.topic, "record_bytes": spec.size, "rate": spec.rate}
    with stage.driver(str(subject)) as hand:
        hand.open("p0", "producer", config)
        if spec.warm_records:
            hand.must("produce", "p0", **loop, max_records=spec.warm_records)
        records = spec.records - spec.warm_records
        raw = hand.must("produce", "p0", **loop, max_records=records, duration_s=seconds).raw
        hand.must("close", "p0", timeout_ms=10_000)
    assert raw["errors"] == 0, raw
    assert raw["records"] == records or seconds, raw
    latency = histogram.percentiles([raw["latency_us"]])
    return Found(raw["records"], raw["interval_s"], latency.p99 if latency else 0.0)


def driver_consume(stage: Stage, subject: Subject, spec: Spec) -> Found:
    """A driver's consume loop, once the first records are there."""
    with stage.driver(str(subject)) as hand:
        hand.open("c0", "consumer", {"offset_reset": "earliest"}, **spec.options)
        hand.must("assign", "c0", partitions=[[spec.topic, p, 0] for p in range(spec.partitions)])
        first = hand.must("poll", "c0", max_records=1, timeout_ms=20_000).raw["records"]
        left = spec.records - len(first)
        raw = hand.must("consume", "c0", style=spec.style, max_records=left, duration_s=200).raw
        hand.must("close", "c0", timeout_ms=10_000)
    assert raw["records"] >= left, raw
    assert raw["corrupt"] == raw["errors"] == 0, raw
    return Found(raw["records"], raw["interval_s"])


def latency(stage: Stage, subject: Subject, pairs: int, say: Say) -> list[Row]:
    """p99 at a fixed rate, open loop, both at once."""
    bare = partial(programs.run_bare, programs.bare(subject))
    ours = partial(driver_produce, stage, subject)
    found = []
    for number in range(pairs):
        with stage.topic() as one, stage.topic() as two, ThreadPoolExecutor(2) as pool:
            spec = Spec(
                "produce", stage.bootstrap, one, RATE * (RATE_S + WARM_S),
                rate=RATE, warm_records=RATE * WARM_S, linger_ms=LINGERS.get(subject.name, 0),
            )  # fmt: skip
            tasks = [(ours, spec), (bare, replace(spec, topic=two))]
            if number % 2:
                tasks.reverse()
            running = {who: pool.submit(who, wanted) for who, wanted in tasks}
            pair = running[ours].result().p99_ms, running[bare].result().p99_ms
        say(f"p99 pair {number + 1}: {pair[0]:.2f} ms against {pair[1]:.2f} ms")
        found.append(pair)
    what = f"p99 of sends at {RATE:,} records/s"
    row = compared(str(subject), what, "ms", "the bare loop", found, most=LATENCY_MOST)
    return [row]


def operations(stage: Stage, subject: Subject, pairs: int, say: Say) -> list[Row]:
    """Operations mode, from the first send to a recorded history."""
    rates = []
    for _ in range(max(3, pairs // 2)):
        with stage.topic() as topic:
            rates.append(batches(stage, str(subject), topic))
        say(f"operations: {rates[-1]:,.0f} records/s")
    what = "operations mode, send to history, batches of 100"
    row = absolute(str(subject), what, "records/s", rates, least=OPERATIONS_LEAST)
    if row.holds or subject.name not in BARE_BATCHES:
        return [row]
    with stage.topic() as topic:
        spec = Spec(
            "batches", stage.bootstrap, topic, 160_000, partitions=PARTITIONS, warm_records=24_000
        )
        alone = programs.run_bare(programs.bare(subject), spec).rate
    return [replace(row, against=f"the bare client: {alone:,.0f} records/s")]


_RESOLVE = """
import json, sys, time
began = time.perf_counter()
from kafkalab.clients.resolver import resolve_client
from kafkalab.model.subject import Subject
from kafkalab.runtime import pins
resolve_client(Subject.parse(sys.argv[1]), pins.load(), "process")
print(json.dumps(time.perf_counter() - began))
"""


def resolve(_stage: Stage, subject: Subject, pairs: int, say: Say) -> list[Row]:
    """A client that is in the cache already, in a fresh process, imports included."""
    spent = []
    for _ in range(max(5, pairs)):
        command = [sys.executable, "-c", _RESOLVE, str(subject)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        spent.append(float(json.loads(done.stdout)))
    say(f"resolve: {min(spent):.3f} to {max(spent):.3f} s")
    what = "resolving a cached client"
    return [absolute(str(subject), what, "s", spent, most=RESOLVE_MOST)]
