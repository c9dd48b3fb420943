"""Loop mode, as the lab uses it: start the loops, wait for their totals, account for every record.

The driver loops by itself and reports once a second; what comes back is added up here. Loops do
not write a history of records: each side counts its records and sums their values (modulo 2^64),
so a lost, doubled or damaged record still shows, though not which one. For that there are the
operation-mode scenarios.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from typing import Any

from kafkalab.clients.contract import Command, Reply
from kafkalab.model.errors import DriverError
from kafkalab.model.verdict import ClaimVerdict, Outcome
from kafkalab.workloads import roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import Lab


@dataclass(frozen=True)
class Totals:
    """What one loop did in all."""

    records: int
    bytes: int
    errors: int
    corrupt: int
    out_of_order: int
    value_sum: int
    seconds: float
    gap_ms_max: float
    latency_us: str | None  # HdrHistogram V2, base64

    @property
    def rate(self) -> float:
        """Records per second over the whole loop."""
        return self.records / self.seconds if self.seconds else 0.0

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Totals:
        """From the completion of a loop command."""
        return cls(
            records=int(raw["records"]),
            bytes=int(raw["bytes"]),
            errors=int(raw["errors"]),
            corrupt=int(raw.get("corrupt") or 0),
            out_of_order=int(raw.get("out_of_order") or 0),
            value_sum=int(raw["value_sum"]),
            seconds=float(raw["interval_s"]),
            gap_ms_max=float(raw.get("gap_ms_max") or 0.0),
            latency_us=raw.get("latency_us"),
        )


@dataclass(frozen=True)
class Pair:
    """A producing and a consuming loop on one topic."""

    produced: Totals
    consumed: Totals


def produce_loop(
    client: Client, topic: str, *, size: int, duration_s: float, rate: float | None = None,
    max_records: int | None = None, first_value: int = 0,
) -> Future[Reply]:  # fmt: skip
    """Start a producing loop: open loop at `rate` records/s, or closed where it is None."""
    return client.submit(
        "produce",
        topic=topic,
        partitions=None,
        record_bytes=size,
        rate=rate,
        duration_s=duration_s,
        max_records=max_records,
        first_value=first_value,
    )


def consume_loop(
    client: Client, *, duration_s: float, max_records: int | None = None, commit: str = "none"
) -> Command:
    """Start a consuming loop, poll style."""
    return client.submit(
        "consume",
        style="poll",
        max_poll_records=500,
        work_us=0,
        duration_s=duration_s,
        max_records=max_records,
        commit=commit,
    )


def totals(lab: Lab, future: Future[Reply], bound_s: float) -> Totals:
    """Wait for a loop's totals; raises `DriverError` when it failed or did not end in time."""
    try:
        reply = future.result(bound_s)
    except FutureTimeoutError as error:
        raise DriverError(
            f"{lab.scenario.id}: expected a loop to end within {bound_s:g} s, it did not; see the "
            "logs of its drivers."
        ) from error
    if reply.type != "ok":
        raise DriverError(f"{lab.scenario.id}: a loop ended as {reply.type}: {reply.error}")
    return Totals.of(reply.raw)


def run_pair(
    lab: Lab, producer: Client, consumer: Client, topic: str, *, rate: float, duration_s: float,
    size: int,
) -> Pair:  # fmt: skip
    """Loop both at a fixed rate, then let the consumer catch up, bounded.

    The consumer ends by itself once it has all that was to be sent. Fewer may have got through (the
    host did not hold the rate, a record was refused): it is stopped once it has those, because
    idling until its own end would be a gap like a stall's.
    """
    extra = roles.STALL_S + roles.SETTLE_S
    wanted = int(rate * duration_s)
    consuming = consume_loop(
        consumer, duration_s=duration_s + 3 * extra, max_records=wanted, commit="auto"
    )
    producing = produce_loop(
        producer, topic, size=size, duration_s=duration_s + extra, rate=rate, max_records=wanted
    )
    produced = totals(lab, producing, duration_s + 2 * extra)
    lab.mark("drain")
    _stop_when_read(lab, consumer, consuming, produced.records)
    return Pair(produced, totals(lab, consuming, 2 * extra + 10))


def _stop_when_read(lab: Lab, consumer: Client, consuming: Command, records: int) -> None:
    """Stop a loop that has so many records, or that gets none for the stall bound and a bit."""
    read, moved = -1, time.monotonic()
    while not consuming.done():
        found = sum(
            event["records"]
            for _op, event in lab.recorder.samples()
            if event["client"] == consumer.name and event["id"] == consuming.op_id
        )
        if found > read:
            read, moved = found, time.monotonic()
        patience_s = roles.SETTLE_S if read >= records else roles.STALL_S + roles.SETTLE_S
        if time.monotonic() - moved > patience_s:
            consumer.call("stop", 30, loop=consuming.op_id)
            return
        wait_for([consuming], timeout=0.2)


def accounting(pair: Pair) -> tuple[ClaimVerdict, ...]:
    """Claims that counts and sums can decide; a sum that differs at equal counts is both."""
    missing = pair.produced.records - pair.consumed.records
    differs = missing == 0 and pair.produced.value_sum != pair.consumed.value_sum
    return (
        _counted("unseen", max(missing, int(differs)), "acknowledged, not delivered by the loop"),
        _counted("duplicate", max(-missing, int(differs)), "delivered more often than sent"),
        _counted("corrupt-value", pair.consumed.corrupt, "delivered with a wrong checksum"),
        _gap(pair),
    )


def _counted(claim: str, count: int, what: str) -> ClaimVerdict:
    outcome = Outcome.FAIL if count else Outcome.PASS
    return ClaimVerdict(claim, outcome, count, f"{count} records {what}")


def _gap(pair: Pair) -> ClaimVerdict:
    gap_s = pair.consumed.gap_ms_max / 1e3
    stalled = gap_s > roles.STALL_S or pair.consumed.records == 0
    summary = f"longest time between two deliveries {gap_s:.2f} s (bound {roles.STALL_S:g} s)"
    return ClaimVerdict("stall", Outcome.FAIL if stalled else Outcome.PASS, int(stalled), summary)
