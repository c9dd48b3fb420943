"""confluent-kafka as its README uses it: what the driver's loops are compared with."""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition


def produce(spec: dict[str, Any]) -> dict[str, Any]:
    """One callback a record; `poll` serves them."""
    config = {"acks": "all", "enable.idempotence": True, "linger.ms": spec["linger_ms"]}
    producer = Producer({"bootstrap.servers": spec["bootstrap"], **config, **spec["options"]})
    topic, filler, rate = spec["topic"], os.urandom(spec["size"] - 8), spec["rate"]
    latencies, failed = [], []

    def report(intended: float, error: Any, _message: Any) -> None:
        if error is None:
            latencies.append(time.monotonic() - intended)
        else:
            failed.append(error)

    began, records = time.monotonic(), spec["records"]
    for index in range(records):
        payload = index.to_bytes(8, "big") + filler
        intended = began + index / rate if rate else time.monotonic()
        while rate and time.monotonic() < intended:
            producer.poll(0.001)  # less would be none: librdkafka counts in ms, and it would spin
        callback = partial(report, intended)
        while True:
            try:
                producer.produce(topic, payload, on_delivery=callback)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    producer.flush()
    seconds = time.monotonic() - began
    warm = latencies[spec["warm_records"] :]
    return {"records": records, "seconds": seconds, "failed": len(failed), "latencies": warm}


def consume(spec: dict[str, Any]) -> dict[str, Any]:
    """`poll` gives one message a call, `consume` a batch; the first is there before the clock."""
    config = {"group.id": "bare", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": spec["bootstrap"], **config, **spec["options"]})
    consumer.assign([TopicPartition(spec["topic"], p, 0) for p in range(spec["partitions"])])
    while consumer.poll(1.0) is None:
        pass
    began, count, size, failed = time.monotonic(), 0, 0, 0
    while count < spec["records"] - 1:
        if spec["style"] == "batch":
            messages = consumer.consume(500, 1.0)
        else:
            message = consumer.poll(1.0)
            messages = [] if message is None else [message]
        for message in messages:
            if message.error() is None:
                size += len(message.key() or b"") + len(message.value())
                count += 1
            else:
                failed += 1
    seconds = time.monotonic() - began
    consumer.close()
    return {"records": count, "seconds": seconds, "failed": failed, "latencies": []}


def main() -> None:
    """Answer the spec with one line."""
    spec = json.loads(sys.argv[1])
    found = {"produce": produce, "consume": consume}[spec["op"]](spec)
    latencies = sorted(found.pop("latencies"))
    if latencies:
        found["p99_ms"] = latencies[int(len(latencies) * 0.99)] * 1e3
    print(json.dumps(found))


if __name__ == "__main__":
    main()
