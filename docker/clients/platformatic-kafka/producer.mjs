/**
 * The producer role: sends, and transactions.
 *
 * A `send` command is one send() of this client with all its records, as a program batches; it has
 * no queue that a flush could empty, so `linger` makes no difference. A record without a partition
 * is a send of its own: the client's answer has the first offset of each partition only, and would
 * not say where such a record landed. Sends start in the order of the records.
 *
 * A transaction of this client is made by beginTransaction(), which also initializes the producer:
 * the action `init` has nothing to call.
 */
import { setTimeout } from "node:timers/promises";
import { Client } from "./client.mjs";
import { kafka } from "./library.mjs";
import { producerOptions } from "./options.mjs";
import { describe, Outcome, Refused, sendOutcome } from "./outcomes.mjs";
import { messageOf, Packer } from "./payload.mjs";
import { ProduceLoop } from "./produce_loop.mjs";

const SLICE_MS = 100;

export class ProducerClient extends Client {
  held = 0; // records handed over and not yet reported
  sendOptions = {};
  streamOptions = null;
  keepsTurns = true; // the client's own partitioner is at work
  #transaction = null;
  #transactional = false;
  #turns = new Map(); // topic → records without partition and key that the client was given
  #closing = null;

  async op_open(command) {
    const { native, stream, acks } = producerOptions(command);
    this.streamOptions = stream;
    this.sendOptions = acks === undefined ? {} : { acks };
    this.keepsTurns = native.partitioner === undefined;
    this.#transactional = native.transactionalId !== undefined;
    this.watch(new kafka.Producer(native));
  }

  /** One send of the client, in the transaction if there is one. */
  send(messages) {
    const options = { messages, ...this.sendOptions };
    const open = this.#transaction !== null && !this.#transaction.completed;
    return open ? this.#transaction.send(options) : this.native.send(options);
  }

  async op_send({ topic, records }) {
    const sends = this.#split(topic, records);
    const results = new Array(records.length);
    this.held += records.length;
    try {
      const work = [];
      for (const send of sends) {
        work.push(this.#sendOne(topic, send, results));
        if (this.#transaction !== null) {
          await work.at(-1);
        }
      }
      await Promise.all(work);
    } finally {
      this.held -= records.length;
    }
    const kinds = new Set(results.map((result) => result[0]));
    if (kinds.size === 0 || (kinds.size === 1 && kinds.has("ok"))) {
      return { results };
    }
    const error = results.find((result) => result[3] !== null)[3];
    const kind = kinds.size === 1 && kinds.has("fail") ? "fail" : "info";
    throw new Outcome(kind, error, { results });
  }

  /** The sends of a command: [{at: index of the first record, messages}, ..]. */
  #split(topic, records) {
    const packers = new Map();
    const sends = [];
    let together = false;
    records.forEach(([partition, value, size, content], index) => {
      let packer = packers.get(size);
      if (packer === undefined) {
        packers.set(size, (packer = new Packer(topic, size)));
      }
      const message = messageOf(packer.pack(value, partition ?? -1), content);
      message.topic = topic;
      if (partition === null) {
        sends.push({ at: index, messages: [message] });
        if (message.key === undefined) {
          this.takeTurns(topic, 1);
        }
      } else {
        message.partition = partition;
        if (!together) {
          sends.push({ at: index, messages: [] });
        }
        sends.at(-1).messages.push(message);
      }
      together = partition !== null;
    });
    return sends;
  }

  async #sendOne(topic, { at, messages }, results) {
    let acknowledged;
    let failure = null;
    try {
      acknowledged = await this.send(messages);
    } catch (error) {
      failure = error;
      acknowledged = error.produced; // what other brokers took of it, where the version says it
    }
    const landed = new Map(acknowledged?.offsets?.map((each) => [each.partition, each.offset]));
    const described = failure && describe(failure);
    messages.forEach((message, index) => {
      const partition = message.partition ?? (landed.size === 1 ? [...landed.keys()][0] : null);
      const offset = landed.get(partition);
      if (offset !== undefined) {
        landed.set(partition, offset + 1n);
        results[at + index] = ["ok", partition, Number(offset), null];
      } else if (failure === null) {
        results[at + index] = ["ok", partition, null, null]; // without acknowledgements
      } else {
        const kind = sendOutcome(failure, topic, partition);
        results[at + index] = [kind, partition, null, described];
      }
    });
  }

  op_produce(command) {
    return new ProduceLoop(this, command).run();
  }

  /** Note records that the client gives to a topic's partitions in turn; how many it had before. */
  takeTurns(topic, count) {
    const before = this.#turns.get(topic) ?? 0;
    this.#turns.set(topic, before + count);
    return before;
  }

  /** Whether a close was asked for and its time is over. */
  get impatient() {
    return this.closing && performance.now() >= this.closeBy;
  }

  /** Waits for any of these, for a while only: at the latest until a close's time is over. */
  async patience(promises) {
    const left = this.closing ? this.closeBy - performance.now() : SLICE_MS;
    const waited = new AbortController();
    const ms = Math.min(Math.max(left, 1), SLICE_MS);
    const slice = setTimeout(ms, null, { signal: waited.signal }).catch(() => {}); // was aborted
    await Promise.race([...promises, slice]);
    waited.abort();
  }

  async op_txn({ action, offsets, group_of: group }) {
    if (!this.#transactional) {
      throw new Refused("txn: this producer was opened without transactional_id");
    }
    if (action === "init") {
      return;
    }
    if (action === "begin") {
      this.#transaction = await this.native.beginTransaction();
      return;
    }
    if (this.#transaction === null) {
      throw new Refused(`txn: ${action}: no transaction was begun`);
    }
    if (action === "send_offsets") {
      await this.#sendOffsets(offsets, group);
    } else if (action === "commit" || action === "abort") {
      await this.#transaction[action]();
    } else {
      throw new Refused(`action: expected init, begin, commit, abort or send_offsets: ${action}`);
    }
  }

  async #sendOffsets(offsets, group) {
    const consumer = this.siblings.get(group);
    await this.#transaction.addConsumer(consumer.native);
    for (const message of consumer.messagesBefore(offsets)) {
      await this.#transaction.addOffset(message);
    }
  }

  /** Close as the client does, with its streams where it has them. */
  closeNative() {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close() {
    const { native } = this;
    await (native !== null && "asStream" in native ? native.close(true) : native?.close());
  }

  /** Records handed over and not yet acknowledged. */
  buffered() {
    return this.held;
  }
}
