"""Records of every shape, written by one implementation and read by another (C11).

What is driven: in a topic of its own the client under test writes `records` records, in batches, of
sizes from 32 bytes to `record_bytes_max` and of every shape in SHAPES in turn, among them null and
empty keys, values and headers; a witness of another implementation reads them. In a second topic
the witness writes and the client reads. What is legal: each record arrives once and is what was
sent: payload, key, headers, and null is not empty. A client cannot vouch for itself here: one that
writes null as empty bytes reads it back as null. Not checked: order, commits, codecs (C26), records
that are no payload at all.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kafkalab.model.errors import UsageError
from kafkalab.workloads import roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.lab import WITNESS, Driven, Lab, Workload

CLAIMS = frozenset(
    {
        "lost-write", "unseen", "duplicate", "delivered-twice", "inconsistent-offsets",
        "corrupt-value", "null-becomes-empty", "changed-content", "G1a", "wrong-topic", "stall",
        "hung-close",
        *roles.ORDER,
    }
)  # fmt: skip

# Exactly one part of each is the payload, by which the record is recognised.
SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"key": "payload", "value": None},
    {"key": "payload", "value": ""},
    {"key": ""},
    {"key": "k"},
    {"key": "\x00\xff", "headers": [["name", "text"], ["empty", ""]]},
    {"value": None, "headers": [["id", "payload"]]},
    {"value": "", "headers": [["id", "payload"], ["\u00fc", "\x00"]]},
    {"key": "", "value": "other", "headers": [["id", "payload"]]},
)
# Shapes that not every client can write: the capability that says so.
RARE: dict[str, dict[str, Any]] = {
    "null-headers": {"headers": [["name", None]]},
    "repeated-headers": {"headers": [["name", "1"], ["other", "2"], ["name", "3"]]},
}
_SIZES = (32, 33, 100, 1000)


@dataclass(frozen=True)
class Load:
    """Load of records of every shape."""

    records: int  # in each direction
    record_bytes_max: int  # of the payload
    batch_records: int
    partitions: int
    poll_records: int

    def __post_init__(self) -> None:
        if self.record_bytes_max < max(_SIZES):
            raise UsageError(f"load.record_bytes_max: expected at least {max(_SIZES)}.")


def drive(lab: Lab, load: Load) -> Driven:
    """Client to witness, then witness to client."""
    ours = lab.driver("client")
    theirs = lab.driver(WITNESS, lab.witness)
    able = set(ours.hello["capabilities"]) & set(theirs.hello["capabilities"])
    shapes = [*SHAPES, *(shape for name, shape in RARE.items() if name in able)]
    sent = delivered = 0
    for name, writer, reader in (
        ("written", lab.client(ours, "p-client"), lab.client(theirs, "c-witness")),
        ("read", lab.client(theirs, "p-witness"), lab.client(ours, "c-client")),
    ):
        topic = lab.topic(name, load.partitions)
        lab.mark(f"{writer.name} writes {load.records:,} records of {len(shapes)} shapes")
        count, got = _one_way(lab, load, topic, (writer, reader), shapes)
        sent, delivered = sent + count, delivered + got
    lab.progress(f"sent {sent:,}, delivered {delivered:,}")
    return Driven(roles.context(), samples={"sent": sent, "delivered": delivered})


def _one_way(
    lab: Lab, load: Load, topic: str, clients: tuple[Client, Client], shapes: Sequence[Any]
) -> tuple[int, int]:
    writer, reader = clients
    stop, delivered = threading.Event(), roles.Delivered()
    group = {"group": f"{topic}-group", "offset_reset": "earliest", "auto_commit": False}
    writer.open("producer", {"acks": -1, "idempotence": True})
    reader.open("consumer", group)
    reader.subscribe([topic])
    with lab.threads(1) as pool:
        reading = [pool.submit(roles.consume, lab, reader, delivered, stop, load.poll_records)]
        try:
            count = _write(lab, load, topic, writer, shapes)
            roles.drain(lab, delivered, topic, load.partitions)
        finally:
            stop.set()
        roles.finish(reading, stop)
    roles.close(lab, [writer, reader])
    return count, delivered.records


def _write(lab: Lab, load: Load, topic: str, writer: Client, shapes: Sequence[Any]) -> int:
    values = lab.values(load.records)
    sizes = (*_SIZES, load.record_bytes_max)
    for start in range(0, len(values), load.batch_records):
        lab.check_time()
        chunk = values[start : start + load.batch_records]
        records = [
            # Shapes and sizes turn at different speeds, so that each meets each.
            (n % load.partitions, v, sizes[n // len(shapes) % len(sizes)], shapes[n % len(shapes)])
            for n, v in enumerate(chunk, start)
        ]
        writer.send(topic, records)
    return len(values)


WORKLOAD = Workload(Load, drive, CLAIMS)
