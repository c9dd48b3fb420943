import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { crc32 as native } from "node:zlib";
import * as hdr from "hdr-histogram-js";
import { crc32, Stamps } from "./checksum.mjs";
import { Meter } from "./meter.mjs";
import { messageOf, Packer, Press, recordOf, RESIDUE, unpack } from "./payload.mjs";
import { integer, parse, u64 } from "./wire.mjs";

const LARGEST = 2n ** 64n - 1n;

function histogram() {
  return hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 3_600_000_000,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 64,
    autoResize: false,
  });
}

test("a checksum is what zlib says, whatever the length", () => {
  for (let length = 0; length < 400; length++) {
    const data = randomBytes(length);
    assert.equal(crc32(data), native(data), `${length} bytes`);
  }
});

test("a stamp is the checksum of the copy that it is for", () => {
  const template = randomBytes(96).fill(0, 4, 24);
  const stamps = new Stamps(template, 4, 24);
  for (let times = 0; times < 500; times++) {
    const copy = Buffer.from(template);
    randomBytes(20).copy(copy, 4);
    assert.equal(stamps.of(copy), native(copy));
  }
});

test("a pressed payload is what a packed one is, and intact", () => {
  for (const size of [32, 33, 100, 5000]) {
    const packer = new Packer("t", size);
    const press = new Press("t", size);
    for (const value of [0n, 1n, 2n ** 32n - 1n, 2n ** 53n + 1n, LARGEST]) {
      const [high, low] = [Number(value >> 32n), Number(value & 0xffffffffn)];
      const data = press.blank();
      press.stamp(data, high, low, -1, 1_700_000_000_123_456_000);
      assert.equal(native(data), RESIDUE);
      assert.equal(data.readBigUInt64BE(4), value);
      assert.equal(data.readBigUInt64BE(12), 1_700_000_000_123_456_000n);
      press.stamp(data, high, low, 7, 0); // used again
      assert.deepEqual(data.subarray(0, 28), packer.pack(value, 7).subarray(0, 28));
      assert.equal(native(data), RESIDUE);
    }
  }
});

test("a payload is read back, and what is wrong with it is named", () => {
  const data = new Packer("t", 64).pack(2n ** 60n + 3n, 5);
  const [value, problem, partition, topic] = unpack(data);
  assert.equal(JSON.stringify(value), (2n ** 60n + 3n).toString());
  assert.deepEqual([problem, partition, topic], [null, 5, native("t")]);
  const broken = Buffer.from(data);
  broken[40] ^= 1;
  assert.equal(unpack(broken)[1], "checksum");
  assert.equal(unpack(null)[1], "null-value");
  assert.equal(unpack(Buffer.from("short"))[1], "short");
  assert.equal(unpack(Buffer.alloc(40))[1], "foreign");
});

test("a record's parts come back as they were sent, null and empty apart", () => {
  const payload = new Packer("t", 32).pack(9, -1);
  const content = { key: "", value: null, headers: [["a", "payload"], ["a", null], ["é", "\xff"]] };
  const message = messageOf(payload, content);
  assert.equal(message.value, null);
  assert.equal(message.key.length, 0);
  const headerEntries = [...message.headers];
  const record = recordOf({ topic: "t", partition: 1, offset: 3n, ...message, headerEntries });
  assert.deepEqual(record.slice(0, 6), ["t", 1, 3, 9, 0, null]);
  assert.deepEqual(record.at(-1), content);
});

test("latencies stand where a histogram of three digits has them", () => {
  const meter = new Meter();
  const expected = histogram();
  for (let bits = 0; bits < 32; bits++) {
    for (let times = 0; times < 50; times++) {
      const us = Math.floor(Math.random() * 2 ** bits);
      meter.latency(us * 1000, 1 + (times % 3));
      expected.recordValueWithCount(Math.min(us, 3_600_000_000), 1 + (times % 3));
    }
  }
  meter.latency(-5); // clocks that differ
  expected.recordValue(0);
  meter.latency(1e16);
  expected.recordValue(3_600_000_000);
  meter.sample();
  const found = hdr.decodeFromCompressedBase64(meter.total().latency_us);
  assert.equal(found.totalCount, expected.totalCount);
  for (const percentile of [0, 10, 25, 50, 75, 90, 99, 99.9, 100]) {
    const [one, other] = [found, expected].map((each) => each.getValueAtPercentile(percentile));
    assert.equal(one, other, `p${percentile}`);
  }
});

test("an interval begins at nothing, and the whole has all of them", () => {
  const meter = new Meter();
  const count = () => {
    meter.delivered(performance.now() * 1e6, 10);
    meter.bytes += 1000;
    meter.counter("t", 1).count += 10;
    meter.addRun(LARGEST - 4n, 10); // passes 2^64
    meter.valueHigh += 1;
  };
  const sum = (times) => {
    const run = Array.from({ length: 10 }, (_, index) => LARGEST - 4n + BigInt(index));
    const once = run.reduce((left, right) => left + right) + 2n ** 32n;
    return (once * BigInt(times)) % (LARGEST + 1n);
  };
  for (const [times, expected] of [[1, 10], [2, 20], [0, 0]]) {
    for (let n = 0; n < times; n++) {
      count();
    }
    const part = meter.sample();
    assert.deepEqual([part.records, part.bytes], [expected, expected * 100]);
    assert.deepEqual(part.partitions, expected === 0 ? {} : { "t/1": expected });
    assert.equal(JSON.stringify(part.value_sum), sum(times).toString());
    assert.equal(part.latency_us, null);
  }
  const total = meter.total();
  assert.deepEqual([total.records, total.partitions["t/1"]], [30, 30]);
  assert.equal(JSON.stringify(total.value_sum), sum(3).toString());
});

test("64-bit numbers pass through JSON whole", () => {
  assert.equal(JSON.stringify(u64(0xffffffff, 0xffffffff)), LARGEST.toString());
  assert.equal(u64(1, 5), 2 ** 32 + 5);
  assert.equal(JSON.stringify(integer(LARGEST)), LARGEST.toString());
  assert.equal(integer(7n), 7);
  assert.deepEqual(parse(`{"a": ${LARGEST}, "b": 12, "c": "1234567890123456789"}`), {
    a: LARGEST,
    b: 12,
    c: "1234567890123456789",
  });
});
