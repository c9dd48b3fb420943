"""One broker fails and returns under load (K03).

What is driven: a producer and a reader of one group, each in a process of its own; one broker,
drawn from the run's seed, is killed for `down_s` and started again. The producer sends a batch over
all partitions every `pause_s`, one after the other, so it stands still while a leader is away; it
goes on until a batch was acknowledged that was sent after the broker was back, or until nothing
like that has come for longer than `recovery_s`. Then the reader may take as long. It asks again
when a poll fails, as a program would that has seen an outage before.

What is legal: while the broker is away, and for `recovery_s` after, anything may stand still
(checkers/progress.py); nothing that was acknowledged is lost, since two of three replicas are asked
for (min.insync.replicas), and nothing is appended twice, since the producer is idempotent. The
group's coordinator may have been on that broker, and the reader commits nothing: what it had may be
given again. Not checked: how long the time without a leader was, that replicas are in sync
afterwards.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from kafkalab.model.errors import UsageError
from kafkalab.workloads import faults, roles
from kafkalab.workloads.client import Client, FailedError
from kafkalab.workloads.lab import Driven, Lab, Workload

CLAIMS = frozenset(
    {
        "startup", "lost-write", "unseen", "duplicate", "delivered-twice", "inconsistent-offsets",
        "corrupt-value", "G1a", "wrong-topic", "stall", "hung-close", "unrecovered",
        "slow-watermark",
        *roles.ORDER,
    }
)  # fmt: skip

AGAIN_S = 0.2  # after a poll that failed


@dataclass(frozen=True)
class Load:
    """Load of an outage."""

    record_bytes: int
    batch_records: int
    partitions: int
    poll_records: int
    pause_s: float  # between two batches
    before_s: float  # under load before the broker is killed
    down_s: float  # until it is started again
    recovery_s: float  # after it is back: longer without success is `unrecovered`

    def __post_init__(self) -> None:
        if self.partitions < 3:
            raise UsageError("load.partitions: expected at least 3, one led by each broker.")


def drive(lab: Lab, load: Load) -> Driven:
    """Load, outage, recovery, drain, close."""
    topic = lab.topic("outage", load.partitions)
    producer = lab.client(lab.driver("producer"), "p0")
    consumer = lab.client(lab.driver("consumer"), "c0")
    group = {"group": f"{topic}-group", "offset_reset": "earliest", "auto_commit": False}
    producer.open("producer", {"acks": -1, "idempotence": True})
    consumer.open("consumer", group)
    consumer.subscribe([topic])
    broker = lab.rng.choice(sorted(lab.host.brokers()))
    stop, enough, delivered = threading.Event(), threading.Event(), roles.Delivered()
    sending = _Sending(lab, load, producer, topic, enough)
    with lab.threads(2) as pool:
        lab.mark("load")
        reading = pool.submit(_read, lab, load, consumer, delivered, stop)
        writing = pool.submit(sending.run)
        try:
            enough.wait(load.before_s)
            with faults.broker_down(lab, broker):
                enough.wait(load.down_s)
            sending.wait_for_success(time.monotonic(), load.recovery_s + roles.SETTLE_S)
            enough.set()
            sent = writing.result(timeout=sending.answer_s)
            lab.mark("drain")
            patience_s = max(roles.STALL_S, load.recovery_s) + roles.SETTLE_S
            roles.drain(lab, delivered, topic, load.partitions, patience_s)
        finally:
            enough.set()
            stop.set()
        roles.finish([reading], stop)
    roles.close(lab, [producer, consumer])
    lab.progress(f"sent {sent:,}, delivered {delivered.records:,}")
    bounds = roles.context(redelivery_allowed=True, recovery_ns=int(load.recovery_s * 1e9))
    return Driven(bounds, samples={"sent": sent, "delivered": delivered.records})


def _read(
    lab: Lab, load: Load, client: Client, delivered: roles.Delivered, stop: threading.Event
) -> int:
    said = ""
    while not stop.is_set():
        try:
            roles.consume(lab, client, delivered, stop, load.poll_records)
            break
        except FailedError as error:
            if str(error) != said:
                said = str(error)
                lab.progress(said)
            stop.wait(AGAIN_S)
    return delivered.records


class _Sending:
    """The producer's side: batches until it is enough, and when the last success was sent."""

    def __init__(
        self, lab: Lab, load: Load, client: Client, topic: str, enough: threading.Event
    ) -> None:
        self._lab, self._load, self._client, self._topic = lab, load, client, topic
        self._enough = enough
        self._answered = threading.Condition()
        self._succeeded = 0.0  # time.monotonic() at which the last batch began that was stored
        # A send may stand for all of the outage and of the time to recover: the lab waits longer.
        self.answer_s = load.down_s + faults.RETURN_S + load.recovery_s + 30

    def run(self) -> int:
        """Send; returns how many records."""
        sent = 0
        while not self._enough.is_set():
            self._lab.check_time()
            began = time.monotonic()
            values = self._lab.values(self._load.batch_records)
            records = [(v % self._load.partitions, v, self._load.record_bytes) for v in values]
            reply = self._client.send(self._topic, records, self.answer_s)
            sent += len(records)
            if reply.type == "ok":
                with self._answered:
                    self._succeeded = began
                    self._answered.notify_all()
            self._enough.wait(self._load.pause_s)
        return sent

    def wait_for_success(self, since: float, seconds: float) -> bool:
        """Whether a batch that began at or after `since` was stored within `seconds`."""
        with self._answered:
            return self._answered.wait_for(lambda: self._succeeded >= since, seconds)


WORKLOAD = Workload(Load, drive, CLAIMS)
