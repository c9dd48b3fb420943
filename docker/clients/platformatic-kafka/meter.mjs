/**
 * What a loop counts: one interval and the whole, in the contract's words.
 *
 * Counting must not slow down what is counted. A latency costs one increment in a flat array whose
 * buckets are those of an HdrHistogram with three digits; once an interval they go into the real
 * one. Sums of 64-bit values are kept in two halves, as plain numbers, and put together once an
 * interval.
 */
import * as hdr from "hdr-histogram-js";
import { integer, nowNs } from "./wire.mjs";

const LATENCY_US_MAX = 3_600_000_000;
const EXACT = 2048; // latencies below it have a bucket each
const HALF = EXACT / 2;
const BUCKETS = EXACT + 21 * HALF; // up to 2^32
const MASK64 = (1n << 64n) - 1n;

function histogram() {
  return hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_US_MAX,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 64,
    autoResize: false,
  });
}

/** One bucket's lowest latency. */
function lowest(bucket) {
  const above = bucket - EXACT;
  return above < 0 ? bucket : (HALF + (above % HALF)) * 2 ** (Math.floor(above / HALF) + 1);
}

class Counts {
  records = 0;
  bytes = 0;
  errors = 0;
  corrupt = 0;
  outOfOrder = 0;
  valueSum = 0n;
  gapNsMax = 0;
  partitions = new Map();

  constructor(beganNs, latencies) {
    this.beganNs = beganNs;
    this.latencies = latencies;
  }

  fields(now) {
    const some = this.latencies.totalCount > 0;
    return {
      interval_s: (now - this.beganNs) / 1e9,
      records: this.records,
      bytes: this.bytes,
      errors: this.errors,
      corrupt: this.corrupt,
      out_of_order: this.outOfOrder,
      value_sum: integer(this.valueSum & MASK64),
      partitions: Object.fromEntries(this.partitions),
      gap_ms_max: this.gapNsMax / 1e6,
      latency_us: some ? hdr.encodeIntoCompressedBase64(this.latencies) : null,
    };
  }
}

/** Counters of one loop. `sample` starts the next interval, `total` ends it all. */
export class Meter {
  records = 0; // the plain numbers of this interval; loops add to them
  bytes = 0;
  errors = 0;
  corrupt = 0;
  outOfOrder = 0;
  valueHigh = 0;
  valueLow = 0;
  allRecords = 0;
  settle = () => {}; // a loop that counts later counts what it has, before anything is reported
  #sum = 0n;
  #gapNsMax = 0;
  #deliveredNs;
  #beganNs;
  #buckets = new Uint32Array(BUCKETS);
  #counters = new Map(); // "topic/partition" → {count}
  #interval = histogram();
  #all;

  constructor() {
    this.#beganNs = this.#deliveredNs = nowNs();
    this.#all = new Counts(this.#beganNs, histogram());
  }

  /** Note a delivery of some records at a time. */
  delivered(now, records) {
    const gap = now - this.#deliveredNs;
    if (gap > this.#gapNsMax) {
      this.#gapNsMax = gap;
    }
    this.#deliveredNs = now;
    this.records += records;
    this.allRecords += records;
  }

  /** Count a latency that so many records had. */
  latency(ns, count = 1) {
    const us = ns > 0 ? Math.min(ns / 1000, LATENCY_US_MAX) >>> 0 : 0;
    if (us < EXACT) {
      this.#buckets[us] += count;
    } else {
      const shift = 21 - Math.clz32(us);
      this.#buckets[EXACT + (shift - 1) * HALF + (us >>> shift) - HALF] += count;
    }
  }

  /** What counts the records of one partition: an object whose `count` the loop increments. */
  counter(topic, partition) {
    const name = `${topic}/${partition}`;
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      counter = { count: 0 };
      this.#counters.set(name, counter);
    }
    return counter;
  }

  /** Add the values first, first + 1, ... of `count` records. */
  addRun(first, count) {
    const many = BigInt(count);
    this.#sum += many * first + (many * (many - 1n)) / 2n;
  }

  /** The interval in the contract's form; it becomes part of the whole. */
  sample() {
    this.settle();
    const now = nowNs();
    const part = new Counts(this.#beganNs, this.#fold());
    this.#gapNsMax = Math.max(this.#gapNsMax, now - this.#deliveredNs);
    part.valueSum = this.#sum + (BigInt(this.valueHigh) << 32n) + BigInt(this.valueLow);
    part.gapNsMax = this.#gapNsMax;
    for (const name of ["records", "bytes", "errors", "corrupt", "outOfOrder"]) {
      part[name] = this[name];
      this.#all[name] += this[name];
      this[name] = 0;
    }
    for (const [name, counter] of this.#counters) {
      if (counter.count > 0) {
        part.partitions.set(name, counter.count);
        this.#all.partitions.set(name, (this.#all.partitions.get(name) ?? 0) + counter.count);
        counter.count = 0;
      }
    }
    this.#all.valueSum += part.valueSum;
    this.#all.gapNsMax = Math.max(this.#all.gapNsMax, part.gapNsMax);
    this.#all.latencies.add(part.latencies);
    this.#beganNs = now;
    this.#sum = 0n;
    this.valueHigh = this.valueLow = this.#gapNsMax = 0;
    return part.fields(now);
  }

  /** The whole loop in the contract's form. */
  total() {
    this.sample();
    return this.#all.fields(nowNs());
  }

  #fold() {
    this.#interval.reset();
    this.#buckets.forEach((count, bucket) => {
      if (count > 0) {
        this.#interval.recordValueWithCount(Math.min(lowest(bucket), LATENCY_US_MAX), count);
      }
    });
    this.#buckets.fill(0);
    return this.#interval;
  }
}
