import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 as native } from "node:zlib";
import * as hdr from "hdr-histogram-js";
import { Meter } from "./meter.mjs";
import { Packer, Press } from "./payload.mjs";
import { Received } from "./received.mjs";

const MS = 1e6;

/** What a loop reports after it received these: [value, time] each. */
function report(rows) {
  const meter = new Meter();
  const received = new Received(meter);
  meter.settle = () => received.look();
  for (const [value, now] of rows) {
    received.take(value, now);
  }
  return meter.total();
}

function payloads(size, count, first = 0) {
  const packer = new Packer("t", size);
  return Array.from({ length: count }, (_, index) => [packer.pack(first + index, 0), 0]);
}

function foreign(size) {
  const data = Buffer.alloc(size, 7);
  data.writeUInt32LE(native(data.subarray(0, size - 4)), size - 4);
  return data;
}

test("intact payloads are counted, however many and of whatever size", () => {
  for (const size of [32, 100, 4096, 4097, 70_000]) {
    for (const count of [1, 7, 8, 500, 3000]) {
      const { bytes, corrupt, value_sum: sum } = report(payloads(size, count));
      assert.deepEqual([bytes, corrupt, sum], [size * count, 0, (count * (count - 1)) / 2]);
    }
  }
});

test("one broken byte in a long series is one corrupt record, and the others count", () => {
  for (const at of [0, 5, 30, 99]) {
    const rows = payloads(100, 400);
    rows[123][0][at] ^= 1;
    const { bytes, corrupt, value_sum: sum } = report(rows);
    assert.deepEqual([bytes, corrupt, sum], [39_900, 1, (400 * 399) / 2 - 123], `byte ${at}`);
  }
});

test("nulls, short ones and what another program wrote are corrupt", () => {
  const rows = [...payloads(64, 20), ...payloads(64, 20)];
  rows[3][0] = null;
  rows[9][0] = Buffer.from("short");
  rows[15][0] = foreign(64); // its checksum is right
  rows[30][0] = Buffer.alloc(64, 7);
  const { bytes, corrupt } = report(rows);
  assert.deepEqual([bytes, corrupt], [36 * 64, 4]);
});

test("sizes may change with each record", () => {
  const rows = [40, 32, 5000, 40, 40, 100].flatMap((size, index) => payloads(size, 1, index));
  const { bytes, corrupt, value_sum: sum } = report(rows);
  assert.deepEqual([bytes, corrupt, sum], [5252, 0, 15]);
});

test("latencies are those at which records came, of those that say when they were sent", () => {
  const press = new Press("t", 100);
  const rows = Array.from({ length: 100 }, (_, index) => {
    const data = press.blank();
    press.stamp(data, 0, index, 0, index < 50 ? 1000 * MS : 0);
    return [data, (1000 + index) * MS];
  });
  const found = hdr.decodeFromCompressedBase64(report(rows).latency_us);
  assert.equal(found.totalCount, 50);
  assert.ok(Math.abs(found.maxValue - 49_000) < 50, `${found.maxValue} µs`);
});
