/** @platformatic/kafka as its documentation uses it: what the driver's loops are compared with. */
import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import * as kafka from "@platformatic/kafka";

const CHUNK = 100;

const spec = JSON.parse(process.argv[2]);
const base = { clientId: "bare", bootstrapBrokers: [spec.bootstrap], ...spec.options };

/** `send()` with many messages, as many at a time as the client keeps requests in flight. */
async function produce() {
  const { topic, records, rate, warm_records: warm } = spec;
  const producer = new kafka.Producer({ ...base, idempotent: true });
  const filler = randomBytes(spec.size);
  const window = kafka.defaultOptions?.maxInflights ?? 5;
  const running = new Set();
  const latencies = [];
  let failed = 0;
  const send = (from, count, intended) => {
    const messages = Array.from({ length: count }, (_, index) => {
      const value = Buffer.from(filler);
      value.writeDoubleBE(from + index);
      return { topic, value };
    });
    const work = producer.send({ messages, acks: -1 }).then(
      () => {
        const now = performance.now();
        for (let index = from; index < from + count; index++) {
          latencies.push(now - intended(index));
        }
      },
      () => (failed += count),
    );
    running.add(work);
    work.finally(() => running.delete(work));
  };
  const began = performance.now();
  const scheduled = (index) => began + (index / rate) * 1000;
  let sent = 0;
  while (sent < records) {
    if (rate) {
      const due = Math.floor(((performance.now() - began) / 1000) * rate) + 1;
      const count = Math.min(due, records) - sent;
      if (count > 0) {
        send(sent, count, scheduled);
        sent += count;
      }
      await setTimeout(1);
    } else {
      const count = Math.min(CHUNK, records - sent);
      const now = performance.now();
      send(sent, count, () => now);
      sent += count;
      if (running.size >= window) {
        await Promise.race(running);
      }
    }
  }
  await Promise.all(running);
  const seconds = (performance.now() - began) / 1000;
  await producer.close();
  const counted = latencies.slice(warm).sort((one, other) => one - other);
  const p99 = rate ? counted[Math.floor(counted.length * 0.99)] : undefined;
  return { records, seconds, failed, p99_ms: p99 };
}

/** `for await` over the stream. */
async function consume() {
  const groupId = `bare-${randomUUID()}`;
  const consumer = new kafka.Consumer({ ...base, groupId, autocommit: false });
  const offsets = Array.from({ length: spec.partitions }, (_, partition) => {
    return { topic: spec.topic, partition, offset: 0n };
  });
  const stream = await consumer.consume({ topics: [spec.topic], mode: "manual", offsets });
  let began = 0;
  let count = -1; // the first is there before the clock
  let size = 0;
  for await (const message of stream) {
    began ||= performance.now();
    size += (message.key?.length ?? 0) + message.value.length;
    if (++count === spec.records - 1) {
      break;
    }
  }
  const seconds = (performance.now() - began) / 1000;
  await consumer.close(true);
  return { records: count, seconds, failed: size > 0 ? 0 : 1 };
}

const found = await { produce, consume }[spec.op]();
console.log(JSON.stringify(found));
process.exit(0);
