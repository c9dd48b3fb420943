"""aiokafka as its documentation uses it: what the driver's loops are compared with."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition


async def produce(spec: dict[str, Any]) -> dict[str, Any]:
    """`send` waits for room in a batch and gives a future; each future has one callback."""
    config = {"acks": "all", "enable_idempotence": True, "linger_ms": spec["linger_ms"]}
    producer = AIOKafkaProducer(bootstrap_servers=spec["bootstrap"], **config, **spec["options"])
    await producer.start()
    topic, filler, rate = spec["topic"], os.urandom(spec["size"] - 8), spec["rate"]
    records, latencies, failed = spec["records"], [], []

    def report(intended: float, future: asyncio.Future[Any]) -> None:
        if future.exception() is None:
            latencies.append(time.monotonic() - intended)
        else:
            failed.append(future)

    began = time.monotonic()
    for index in range(records):
        payload = index.to_bytes(8, "big") + filler
        intended = began + index / rate if rate else time.monotonic()
        while rate and (early := intended - time.monotonic()) > 0:
            await asyncio.sleep(min(early, 0.001))
        (await producer.send(topic, payload)).add_done_callback(partial(report, intended))
    await producer.flush()
    seconds = time.monotonic() - began
    await producer.stop()
    warm = latencies[spec["warm_records"] :]
    return {"records": records, "seconds": seconds, "failed": len(failed), "latencies": warm}


async def consume(spec: dict[str, Any]) -> dict[str, Any]:
    """`getmany` gives a batch, `async for` one record at a time."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=spec["bootstrap"], auto_offset_reset="earliest", **spec["options"]
    )
    await consumer.start()
    consumer.assign([TopicPartition(spec["topic"], p) for p in range(spec["partitions"])])
    await consumer.getone()  # is there before the clock
    began, count, size, wanted = time.monotonic(), 0, 0, spec["records"] - 1
    while count < wanted and spec["style"] == "batch":
        for records in (await consumer.getmany(timeout_ms=1000, max_records=500)).values():
            for record in records:
                size += len(record.key or b"") + len(record.value)
                count += 1
    while count < wanted:
        record = await consumer.getone()
        size += len(record.key or b"") + len(record.value)
        count += 1
    seconds = time.monotonic() - began
    await consumer.stop()
    return {"records": count, "seconds": seconds, "failed": 0, "latencies": []}


def main() -> None:
    """Answer the spec with one line."""
    spec = json.loads(sys.argv[1])
    found = asyncio.run({"produce": produce, "consume": consume}[spec["op"]](spec))
    latencies = sorted(found.pop("latencies"))
    if latencies:
        found["p99_ms"] = latencies[int(len(latencies) * 0.99)] * 1e3
    print(json.dumps(found))


if __name__ == "__main__":
    main()
