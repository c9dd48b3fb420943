"""The consume loop: takes records as fast as the program works, and looks at every one of them.

Records are checked a delivery at a time with the interpreter's C code (`map`, `zip`, `sorted`), and
one by one only where that finds something.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from zlib import crc32

from client import SLICE_S, Command
from confluent_kafka import KafkaException, Message
from loops import Loop
from outcomes import describe
from payload import MAGIC, RESIDUE, SIZE_MIN, header, unpack

if TYPE_CHECKING:
    from consumer import ConsumerClient

STYLES = ("poll", "batch")
COMMITS = ("none", "auto", "sync", "async")


class ConsumeLoop:
    """One `consume` command."""

    def __init__(self, client: ConsumerClient, command: Command) -> None:
        self.client = client
        self.style = command["style"]
        if self.style not in STYLES:
            raise ValueError(f"style: this client has {', '.join(STYLES)}, found '{self.style}'")
        self.commit = command.get("commit") or "none"
        if self.commit not in COMMITS:
            raise ValueError(f"commit: expected one of {', '.join(COMMITS)}, found '{self.commit}'")
        self.batch = command.get("max_poll_records") or client.max_poll_records
        self.work_ns = int((command.get("work_us") or 0) * 1000)
        self.loop = Loop(client, command)
        self.positions: dict[tuple[str, int], int] = {}

    def run(self) -> dict[str, Any]:
        """Run it and return the totals."""
        fetch = self.client.fetch if self.style == "batch" else self.client.fetch_by_poll
        meter, most = self.loop.meter, self.loop.max_records
        while self.loop.tick() and (most is None or meter.all_records < most):
            want = self.batch if most is None else min(self.batch, most - meter.all_records)
            messages = fetch(want, SLICE_S)
            if messages:
                self.look_at(messages)
                self.work(len(messages))
                self.commit_batch()
        return self.loop.total()

    def look_at(self, messages: list[Any]) -> None:
        """Check and count one delivery."""
        now_ns, meter = time.monotonic_ns(), self.loop.meter
        if any(map(Message.error, messages)):
            messages = self.without_errors(messages)
            if not messages:
                return  # errors alone are no delivery: the gap since the last one goes on
        values = list(map(Message.value, messages))
        meter.delivered(now_ns, len(messages))
        if None in values or min(map(len, values), default=SIZE_MIN) < SIZE_MIN:
            values = self.without_bad(values)
        meter.bytes += sum(map(len, values))
        checks = list(map(crc32, values))
        headers = list(map(header, values))
        if checks.count(RESIDUE) != len(checks) or any(each[0] != MAGIC for each in headers):
            values = self.without_bad(values)
            headers = list(map(header, values))
        meter.value_sum = (meter.value_sum or 0) + sum([each[1] for each in headers])
        meter.add_latencies([(now_ns - each[2]) // 1000 for each in headers if each[2]])
        self.look_at_order(messages)

    def without_errors(self, messages: list[Any]) -> list[Any]:
        """Report errors that stand in the place of messages."""
        good = []
        for message in messages:
            if message.error() is None:
                good.append(message)
            elif message.error().name() != "_PARTITION_EOF":
                self.loop.meter.errors += 1
                self.client.on_message_error(message.error())
        return good

    def without_bad(self, values: list[bytes | None]) -> list[bytes]:
        """Count payloads that are not what was sent, and leave them out."""
        good = [value for value in values if value is not None and unpack(value)[1] is None]
        self.loop.meter.corrupt += len(values) - len(good)
        return good

    def look_at_order(self, messages: list[Any]) -> None:
        """Count records by partition, and offsets that step back."""
        found: dict[tuple[str, int], list[int]] = defaultdict(list)
        places = zip(
            map(Message.topic, messages),
            map(Message.partition, messages),
            map(Message.offset, messages),
            strict=True,
        )
        for topic, partition, offset in places:
            found[topic, partition].append(offset)
        for place, offsets in found.items():
            self.loop.meter.partitions[f"{place[0]}/{place[1]}"] += len(offsets)
            before = self.positions.get(place, -1)
            if offsets[0] <= before or offsets != sorted(set(offsets)):
                for offset in offsets:
                    self.loop.meter.out_of_order += offset <= before
                    before = offset
            self.positions[place] = offsets[-1]

    def work(self, records: int) -> None:
        """Keep busy as long as a program would with so many records."""
        until_ns = time.monotonic_ns() + self.work_ns * records
        while time.monotonic_ns() < until_ns and not self.client.closing:
            pass

    def commit_batch(self) -> None:
        """Commit as the command says; a commit that fails is reported and counted."""
        if self.commit in ("none", "auto"):
            return
        try:
            self.client.commit(None, asynchronous=self.commit == "async")
        except KafkaException as error:
            self.loop.meter.errors += 1
            self.client.event("error", error=describe(error), fatal=False)
