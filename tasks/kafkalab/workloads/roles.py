"""The roles that workloads are put together from: producing, consuming, draining, closing.

Every workload ends the same way: wait until what was appended is delivered (or until nothing
moves any more), then close each client, each step with a time limit. Nothing here judges; it only
drives, and the history tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from kafkalab.clients.driver import Driver
from kafkalab.model.errors import InfrastructureError
from kafkalab.model.history import CheckContext
from kafkalab.workloads.client import Client, UnansweredError
from kafkalab.workloads.lab import Lab

# what any workload can be judged for whose clients send and poll more than once
ORDER = frozenset(
    {
        "poll-skip", "int-poll-skip", "nonmonotonic-poll", "int-nonmonotonic-poll",
        "nonmonotonic-send", "int-nonmonotonic-send",
    }
)  # fmt: skip
CLOSE_S = 15.0
STALL_S = 10.0
JOIN_S = 30.0  # until each member of a group has been given partitions
SETTLE_S = 2.0  # beyond a bound, so that what breaks it is seen as longer


class Delivered:
    """What consumers got so far, by partition; shared by their threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next: dict[tuple[str, int], int] = {}
        self.records = 0
        self.bytes = 0  # of their values
        self.moved_at = time.monotonic()

    def add(self, records: Iterable[Sequence[Any]]) -> int:
        """Count polled records; returns how many there were."""
        with self._changed:
            before = self.records
            for topic, partition, offset, _value, size, *_rest in records:
                key = (topic, partition)
                self._next[key] = max(self._next.get(key, 0), offset + 1)
                self.records += 1
                self.bytes += size
            if self.records > before:
                self.moved_at = time.monotonic()
                self._changed.notify_all()
            return self.records - before

    def reached(self, ends: dict[tuple[str, int], int]) -> bool:
        """Whether every partition was delivered up to its end."""
        with self._changed:
            return all(self._next.get(key, 0) >= end for key, end in ends.items())

    def wait(self, seconds: float) -> None:
        """Wait until something is delivered, at most `seconds`."""
        with self._changed:
            self._changed.wait(seconds)


def produce(
    lab: Lab, client: Client, topic: str, values: Sequence[int], size: int, batch: int, **where: int
) -> int:
    """Send `values` in batches over `partitions` in turn (or to one `partition`); returns sends.

    A send that fails or stays unknown is not an error here: the history has it, the checkers judge.
    """
    partitions = where.get("partitions", 1)
    for start in range(0, len(values), batch):
        lab.check_time()
        chunk = values[start : start + batch]
        fixed = where.get("partition")
        records = [(v % partitions if fixed is None else fixed, v, size) for v in chunk]
        client.send(topic, records)
    return len(values)


def consume(
    lab: Lab,
    client: Client,
    delivered: Delivered,
    stop: threading.Event,
    poll_records: int,
    work_us: int = 0,
) -> int:
    """Poll until told to stop; `work_us` of work per record makes the consumer slow.

    A poll that never comes back ends this client's reading and no more: the history has it.
    """
    total = 0
    while not stop.is_set():
        lab.check_time()
        try:
            records = client.poll(poll_records, 500)
        except UnansweredError as error:
            lab.progress(str(error))
            break
        total += delivered.add(records)
        if work_us and records:
            stop.wait(len(records) * work_us / 1e6)  # the application's own work, not a wait
    return total


def drain(
    lab: Lab,
    delivered: Delivered,
    topic: str,
    partitions: int,
    patience_s: float = STALL_S + SETTLE_S,
) -> bool:
    """Wait until the topic's ends are delivered; False when nothing moved for `patience_s`."""
    ends = {(topic, p): end for p, end in lab.admin.end_offsets(topic, partitions).items()}
    started = time.monotonic()
    while not delivered.reached(ends):
        lab.check_time()
        if time.monotonic() - max(delivered.moved_at, started) > patience_s:
            return False
        delivered.wait(0.5)
    return True


def wait_for_shares(lab: Lab, members: Sequence[Client]) -> None:
    """Wait until each member of a group has been given partitions, or somewhat beyond the bound.

    The members must be polling already, and subscribe to at least as many partitions as they are.
    """
    lab.mark(f"wait until {len(members)} members share the group")
    until = time.monotonic() + JOIN_S + SETTLE_S
    while not all(lab.recorder.owned(member.name) for member in members):
        lab.check_time()
        if time.monotonic() > until:
            return
        lab.recorder.wait(0.5)


def finish(futures: Iterable[Future[int]], stop: threading.Event) -> None:
    """Tell the consuming threads to stop and raise what any of them met."""
    stop.set()
    for future in futures:
        future.result(timeout=60)


def fetched(lab: Lab, drivers: Iterable[Driver], delivered: Delivered) -> dict[str, float]:
    """`fetched_bytes_per_delivered_byte`; empty where the engine does not see connections.

    Everything that the drivers' processes received counts: metadata, and acknowledgements where a
    process also produces. Call it when all is delivered, before clients close.
    """
    looks = [lab.host.stats(driver) for driver in drivers]
    received = [look.received_bytes for look in looks if look and look.connections >= 0]
    if len(received) < len(looks) or not delivered.bytes:
        return {}
    return {"fetched_bytes_per_delivered_byte": sum(received) / delivered.bytes}


def close(lab: Lab, clients: Sequence[Client]) -> None:
    """Close all clients at once; one that hangs is left to the history and to the driver's end."""
    lab.mark("close")
    for driver in {client.driver for client in clients}:
        with suppress(InfrastructureError):  # it ended by itself: the cell says so elsewhere
            lab.host.stats(driver)  # connections take their counters with them
    if clients:
        with lab.threads(len(clients)) as pool:
            list(pool.map(lambda client: client.close(CLOSE_S + SETTLE_S), clients))


def context(**changes: object) -> CheckContext:
    """The bounds of this lab, taken when reading has stopped."""
    return CheckContext(
        finished_ns=time.monotonic_ns(),
        stall_ns=int(STALL_S * 1e9),
        close_ns=int(CLOSE_S * 1e9),
        join_ns=int(JOIN_S * 1e9),
        **changes,  # type: ignore[arg-type]
    )
