/**
 * The produce loop: closed (as fast as the client takes) or open (a rate that does not wait).
 *
 * How it hands records over is `handover.mjs`'s matter. Records of one chunk of a closed loop share
 * their intended time, the moment before the chunk; in an open loop each has its own, from the
 * schedule, however late the loop is. It wakes once a millisecond, as timers do here, and hands
 * over what is due.
 *
 * The client does not say how many records of a send landed in which partition, only where the
 * first of each partition landed. With partitions given that is known. Where the client chooses, it
 * gives records without a key to a topic's partitions in turn (docs/producer.md of the client);
 * this counts by that rule, holds it against the partitions that the answer names, and counts a
 * chunk in none where they differ: then `partitions` has fewer than `records`, and shows that the
 * rule was broken.
 */
import { setTimeout } from "node:timers/promises";
import { BySend, ByStream } from "./handover.mjs";
import { Loop } from "./loops.mjs";
import { Press } from "./payload.mjs";
import { nowNs } from "./wire.mjs";

const TWO_32 = 2 ** 32;
const LOW = 0xffffffffn;
const CHUNK = 100; // records a send, as in the client's own benchmarks and its streams' default
const OPEN_CHUNK = 1000; // most that an open loop that is late hands over at a time

export class ProduceLoop {
  #client;
  #command;
  #loop;
  #press;
  #handover;
  #partitions;
  #partitionCount = 0; // where the client's rule is to be applied, once it is known
  #sent = 0;
  #spare = []; // messages of acknowledged chunks
  #topic;

  constructor(client, command) {
    this.#client = client;
    this.#command = command;
    this.#topic = command.topic;
    this.#press = new Press(this.#topic, command.record_bytes);
    this.#partitions = command.partitions?.length ? command.partitions : null;
    this.first = BigInt(command.first_value ?? 0);
  }

  /** Run it, flush, and return the totals. */
  async run() {
    const client = this.#client;
    const { rate } = this.#command;
    this.#loop = new Loop(client, this.#command);
    try {
      if (this.#partitions === null && client.keepsTurns) {
        this.#countPartitions(); // is known before anything can be acknowledged
      }
      const How = client.streamOptions === null ? BySend : ByStream;
      this.#handover = new How(client, this, this.#loop);
      await (rate == null ? this.#closed() : this.#open(rate));
      await this.#handover.flush();
      return this.#loop.total();
    } finally {
      this.#loop.stop();
    }
  }

  async #countPartitions() {
    try {
      const metadata = await this.#client.native.metadata({ topics: [this.#topic] });
      this.#partitionCount = metadata.topics.get(this.#topic).partitionsCount;
    } catch (error) {
      this.#client.reportError(error, false); // sends fail for the same reason
    }
  }

  async #closed() {
    const loop = this.#loop;
    while (!loop.over && this.#sent < loop.maxRecords) {
      const now = nowNs();
      const count = Math.min(CHUNK, loop.maxRecords - this.#sent);
      await this.#handover.take(this.#chunk(count, now));
      if (now >= loop.breatheAt) {
        await loop.breathe();
      }
    }
  }

  async #open(rate) {
    const loop = this.#loop;
    const began = nowNs();
    const intended = (index) => began + (index * 1e9) / rate;
    const seconds = this.#command.duration_s ?? Infinity;
    const most = Math.min(loop.maxRecords, Math.ceil(rate * seconds));
    while (!loop.over && this.#sent < most) {
      const now = nowNs();
      const due = Math.floor(((now - began) * rate) / 1e9) + 1 - this.#sent;
      const count = Math.min(due, OPEN_CHUNK, most - this.#sent);
      if (count > 0) {
        await this.#handover.take(this.#chunk(count, intended), true);
      }
      if (now >= loop.breatheAt) {
        await loop.breathe();
      } else if (count < OPEN_CHUNK) {
        await setTimeout(1);
      }
    }
  }

  /**
   * Records to hand over, with what has to be known when they are acknowledged. `intended` is the
   * time of a record by its number, or one time for all of them. Acknowledged chunks are used
   * again: what the process allocates should be the client's doing.
   */
  #chunk(count, intended) {
    const from = this.#sent;
    const turn = this.#partitions === null ? this.#client.takeTurns(this.#topic, count) : from;
    const messages = (count === CHUNK && this.#spare.pop()) || this.#blanks(count);
    const first = BigInt.asUintN(64, this.first + BigInt(from));
    let high = Number(first >> 32n);
    let low = Number(first & LOW);
    for (let index = 0; index < count; index++) {
      const time = typeof intended === "number" ? intended : intended(from + index);
      const message = messages[index];
      const partition = this.#partitions === null ? -1 : this.#place(from + index);
      if (partition >= 0) {
        message.partition = partition;
      }
      this.#press.stamp(message.value, high, low, partition, time);
      if (++low === TWO_32) {
        low = 0;
        high = (high + 1) % TWO_32;
      }
    }
    this.#sent += count;
    return { messages, intended, from, turn, count, done: 0 };
  }

  #blanks(count) {
    const topic = this.#topic;
    return Array.from({ length: count }, () => ({ topic, value: this.#press.blank() }));
  }

  /** The partition of the record with this number: one of those given, or by the client's rule. */
  #place(number) {
    const given = this.#partitions;
    return given === null ? number % this.#partitionCount : given[number % given.length];
  }

  /** The next `count` records of a chunk were acknowledged. */
  acknowledged(chunk, count, result) {
    const { meter } = this.#loop;
    const { intended } = chunk;
    const now = nowNs();
    const end = chunk.done + count;
    meter.delivered(now, count);
    meter.bytes += count * this.#press.size;
    meter.addRun(this.first + BigInt(chunk.from + chunk.done), count);
    if (typeof intended === "number") {
      meter.latency(now - intended, count);
    } else {
      for (let index = chunk.done; index < end; index++) {
        meter.latency(now - intended(chunk.from + index));
      }
    }
    this.#count(chunk.turn + chunk.done, count, result.offsets);
    chunk.done = end;
    if (end === CHUNK && chunk.count === CHUNK) {
      this.#spare.push(chunk.messages);
    }
  }

  /** Count acknowledged records by partition, the first of which has this number. */
  #count(number, count, offsets) {
    const topic = this.#topic;
    const { meter } = this.#loop;
    const named = offsets?.length ? new Set(offsets.map((each) => each.partition)) : null;
    if (named?.size === 1) {
      meter.counter(topic, offsets[0].partition).count += count;
      return;
    }
    if (this.#partitions === null && this.#partitionCount === 0) {
      return; // where they landed is not known
    }
    const landed = new Map();
    for (let index = 0; index < count; index++) {
      const partition = this.#place(number + index);
      landed.set(partition, (landed.get(partition) ?? 0) + 1);
    }
    if (named === null || sameKeys(landed, named)) {
      landed.forEach((records, partition) => (meter.counter(topic, partition).count += records));
    }
  }

  /** The rest of a chunk did not get through. */
  failed(chunk, error) {
    this.#loop.meter.errors += chunk.count - chunk.done;
    chunk.done = chunk.count;
    this.lastError = error;
  }
}

function sameKeys(map, set) {
  return map.size === set.size && [...map.keys()].every((key) => set.has(key));
}
