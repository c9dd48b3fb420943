/**
 * The produce loop: closed (as fast as the client takes) or open (a rate that does not wait).
 *
 * How it hands records over is `handover.mjs`'s matter. Records of one chunk of a closed loop share
 * their intended time, the moment before the chunk; in an open loop each has its own, from the schedule,
 * however late the loop is. It wakes once a millisecond, as timers do here, and hands over what is due.
 *
 * The client does not say how many records of a send landed in which partition, only where the first of
 * each partition landed. With partitions given that is known. Where the client chooses, it gives records
 * without a key to a topic's partitions in turn (docs/producer.md of the client); this counts by that
 * rule, holds it against the partitions that the answer names, and counts a chunk in none where they
 * differ: then `partitions` has fewer than `records`, and shows that the rule was broken.
 */
import { setTimeout } from "node:timers/promises";
import { BySend, ByStream } from "./handover.mjs";
import { Loop } from "./loops.mjs";
import { Packer } from "./payload.mjs";
import { nowNs } from "./wire.mjs";

export const CHUNK = 100; // records a send, as in the client's own benchmarks and its streams' default
const OPEN_CHUNK = 1000; // most that an open loop that is late hands over at a time

export class ProduceLoop {
  #client;
  #command;
  #loop;
  #packer;
  #handover;
  #partitions;
  #partitionCount = 0;
  #sent = 0;

  constructor(client, command) {
    this.#client = client;
    this.#command = command;
    this.#packer = new Packer(command.topic, command.record_bytes);
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
        this.#partitionCount = await this.#countPartitions();
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

  /** How many partitions the topic has; 0 when the cluster does not say: sends will show why. */
  async #countPartitions() {
    const { topic } = this.#command;
    try {
      const asked = this.#client.native.metadata({ topics: [topic] });
      const metadata = await Promise.race([asked, this.#loop.ended]);
      return metadata?.topics.get(topic)?.partitionsCount ?? 0;
    } catch (error) {
      this.#client.reportError(error, false);
      return 0;
    }
  }

  async #closed() {
    const loop = this.#loop;
    while (!loop.over && this.#sent < loop.maxRecords) {
      const now = nowNs();
      const count = Math.min(CHUNK, loop.maxRecords - this.#sent);
      await this.#handover.take(this.#chunk(count, now, () => now));
      if (now >= loop.breatheAt) {
        await loop.breathe();
      }
    }
  }

  async #open(rate) {
    const loop = this.#loop;
    const began = nowNs();
    const intended = (index) => began + (index * 1e9) / rate;
    const most = Math.min(loop.maxRecords, Math.ceil(rate * (this.#command.duration_s ?? Infinity)));
    while (!loop.over && this.#sent < most) {
      const now = nowNs();
      const due = Math.floor(((now - began) * rate) / 1e9) + 1 - this.#sent;
      const count = Math.min(due, OPEN_CHUNK, most - this.#sent);
      if (count > 0) {
        await this.#handover.take(this.#chunk(count, intended(this.#sent), intended), true);
      }
      if (now >= loop.breatheAt) {
        await loop.breathe();
      } else if (count < OPEN_CHUNK) {
        await Promise.race([setTimeout(1), loop.ended]);
      }
    }
  }

  /** Records to hand over, with what has to be known when they are acknowledged. */
  #chunk(count, firstIntended, intended) {
    const { topic } = this.#command;
    const partitions = this.#partitions;
    const messages = new Array(count);
    const times = new Float64Array(count);
    const places = partitions === null ? this.#turns(topic, count) : new Array(count);
    let value = this.first + BigInt(this.#sent);
    const small = value + BigInt(count) <= Number.MAX_SAFE_INTEGER;
    if (small) {
      value = Number(value);
    }
    const one = small ? 1 : 1n;
    for (let index = 0; index < count; index++, value += one) {
      const time = index === 0 ? firstIntended : intended(this.#sent + index);
      times[index] = time;
      if (partitions === null) {
        messages[index] = { topic, value: this.#packer.pack(value, -1, time) };
      } else {
        const partition = partitions[(this.#sent + index) % partitions.length];
        places[index] = partition;
        messages[index] = { topic, partition, value: this.#packer.pack(value, partition, time) };
      }
    }
    const first = this.first + BigInt(this.#sent);
    this.#sent += count;
    return { messages, times, places, first, count, done: 0 };
  }

  /** The partitions that the client's rule gives to its next records of a topic, or null. */
  #turns(topic, count) {
    const from = this.#client.takeTurns(topic, count);
    const partitions = this.#partitionCount;
    return partitions ? Array.from({ length: count }, (_, index) => (from + index) % partitions) : null;
  }

  /** The next `count` records of a chunk were acknowledged. */
  acknowledged(chunk, count, result) {
    const { meter } = this.#loop;
    const now = nowNs();
    const end = chunk.done + count;
    meter.delivered(now, count);
    meter.bytes += count * this.#packer.size;
    meter.addRun(chunk.first + BigInt(chunk.done), count);
    for (let index = chunk.done; index < end; index++) {
      meter.latency(now - chunk.times[index]);
    }
    this.#count(chunk.places?.slice(chunk.done, end), count, result.offsets);
    chunk.done = end;
  }

  #count(places, count, offsets) {
    const { topic } = this.#command;
    const { meter } = this.#loop;
    const named = offsets?.length ? new Set(offsets.map((each) => each.partition)) : null;
    if (named?.size === 1) {
      meter.counter(topic, offsets[0].partition).count += count;
    } else if (places && (named === null || sameSet(named, new Set(places)))) {
      for (const partition of places) {
        meter.counter(topic, partition).count++;
      }
    }
  }

  /** The rest of a chunk did not get through. */
  failed(chunk, error) {
    this.#loop.meter.errors += chunk.count - chunk.done;
    chunk.done = chunk.count;
    this.lastError = error;
  }
}

function sameSet(one, other) {
  return one.size === other.size && one.isSubsetOf(other);
}
