"""kafka-python as its documentation uses it: what the driver's loops are compared with."""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def produce(spec: dict[str, Any]) -> dict[str, Any]:
    """`send` gives a future; each has one callback and one errback."""
    config = {"acks": "all", "enable_idempotence": True, "linger_ms": spec["linger_ms"]}
    producer = KafkaProducer(bootstrap_servers=spec["bootstrap"], **config, **spec["options"])
    topic, filler, rate = spec["topic"], os.urandom(spec["size"] - 8), spec["rate"]
    records, latencies, failed = spec["records"], [], []

    def report(intended: float, _metadata: Any) -> None:
        latencies.append(time.monotonic() - intended)

    began = time.monotonic()
    for index in range(records):
        payload = index.to_bytes(8, "big") + filler
        intended = began + index / rate if rate else time.monotonic()
        while rate and (early := intended - time.monotonic()) > 0:
            time.sleep(min(early, 0.001))
        future = producer.send(topic, payload)
        future.add_errback(failed.append)
        future.add_callback(partial(report, intended))
    producer.flush()
    seconds = time.monotonic() - began
    producer.close()
    warm = latencies[spec["warm_records"] :]
    return {"records": records, "seconds": seconds, "failed": len(failed), "latencies": warm}


def consume(spec: dict[str, Any]) -> dict[str, Any]:
    """`poll` gives a batch."""
    consumer = KafkaConsumer(
        bootstrap_servers=spec["bootstrap"], auto_offset_reset="earliest", **spec["options"]
    )
    places = [TopicPartition(spec["topic"], p) for p in range(spec["partitions"])]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    first = 0
    while not first:  # they are there before the clock
        first = sum(map(len, consumer.poll(timeout_ms=1000).values()))
    began, count, size = time.monotonic(), 0, 0
    while count < spec["records"] - first:
        for records in consumer.poll(timeout_ms=1000, max_records=500).values():
            for record in records:
                size += len(record.key or b"") + len(record.value)
                count += 1
    seconds = time.monotonic() - began
    consumer.close()
    return {"records": count, "seconds": seconds, "failed": 0, "latencies": []}


def batches(spec: dict[str, Any]) -> dict[str, Any]:
    """100 records at a time from each of 8 producers: what operations mode asks of the client."""
    config = {"bootstrap_servers": spec["bootstrap"], "acks": "all", "enable_idempotence": True}
    producers = [KafkaProducer(**config, **spec["options"]) for _ in range(8)]
    filler, places, each = os.urandom(spec["size"] - 8), spec["partitions"], spec["records"] // 8

    def work(producer: KafkaProducer, records: int) -> int:
        for start in range(0, records, 100):
            futures = [
                producer.send(spec["topic"], n.to_bytes(8, "big") + filler, partition=n % places)
                for n in range(start, start + 100)
            ]
            for future in futures:
                future.get(30)
        return records

    with ThreadPoolExecutor(len(producers)) as pool:
        list(pool.map(work, producers, [spec["warm_records"] // 8] * 8))
        began = time.monotonic()
        sent = sum(pool.map(work, producers, [each] * 8))
        seconds = time.monotonic() - began
    for producer in producers:
        producer.close()
    return {"records": sent, "seconds": seconds, "failed": 0, "latencies": []}


def main() -> None:
    """Answer the spec with one line."""
    spec = json.loads(sys.argv[1])
    found = {"produce": produce, "consume": consume, "batches": batches}[spec["op"]](spec)
    latencies = sorted(found.pop("latencies"))
    if latencies:
        found["p99_ms"] = latencies[int(len(latencies) * 0.99)] * 1e3
    print(json.dumps(found))


if __name__ == "__main__":
    main()
