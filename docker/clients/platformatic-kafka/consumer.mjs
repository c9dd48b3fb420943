/**
 * The consumer role: streams, polls, commits, and what the group does to it.
 *
 * `subscribe` and `assign` make a stream with `consume()`, which resolves when the client has
 * joined its group. In a group it starts from the committed offsets (mode "committed"), which is
 * what a group is for; this client's own default, "latest", ignores them, and can be had as the
 * option `mode`.
 *
 * The client pauses a stream as a whole and moves no position of one that runs: `pause`, `resume`
 * and `seek` are refused, and their capabilities are not declared.
 *
 * A commit without offsets is what a program of this client does: each last delivered message's own
 * `commit()`. Where the client commits by itself those do nothing, so `commit()` of the consumer is
 * called instead, with what was delivered.
 */
import { ANSWERED_LATER, Client } from "./client.mjs";
import { ConsumeLoop } from "./consume_loop.mjs";
import { Group } from "./group.mjs";
import { kafka } from "./library.mjs";
import { consumerOptions } from "./options.mjs";
import { commandOutcome, describe, Outcome, Refused } from "./outcomes.mjs";
import { recordOf } from "./payload.mjs";
import { Positions } from "./positions.mjs";
import { Reading } from "./reading.mjs";
import { integer } from "./wire.mjs";

const NO_OFFSET = -1;

export class ConsumerClient extends Client {
  positions = new Positions();
  #options;
  #group;
  #reading = null;
  #request = null; // of the last consume()
  #awaited = new Set(); // asynchronous commits

  get maxPollRecords() {
    return this.#options.maxPollRecords;
  }

  async op_open(command) {
    this.#options = consumerOptions(command);
    const native = new kafka.Consumer(this.#options.native);
    this.#group = new Group(this, native, this.#options.incremental);
    native.on("consumer:group:autocommit:error", ({ error }) => this.reportError(error, false));
    this.watch(native);
  }

  async op_subscribe({ topics }) {
    const { grouped, reset } = this.#options;
    const alone = reset === "earliest" ? "earliest" : "latest";
    await this.#consume({ topics, mode: grouped ? "committed" : alone }, null);
  }

  async op_assign({ partitions }) {
    const given = partitions.filter((each) => each[2] != null);
    const { grouped, reset } = this.#options;
    if (grouped && given.length > 0 && given.length < partitions.length) {
      throw new Refused("assign: this client takes offsets for all partitions or for none");
    }
    const topics = [...new Set(partitions.map((each) => each[0]))];
    const offsets = given.map(([topic, partition, offset]) => {
      return { topic, partition, offset: BigInt(offset) };
    });
    const from = grouped ? "committed" : reset === "earliest" ? "earliest" : "latest";
    const request = given.length > 0 ? { topics, mode: "manual", offsets } : { topics, mode: from };
    await this.#consume(request, grouping(partitions));
  }

  async #consume(request, wanted) {
    const before = this.#reading;
    this.#reading = null;
    await before?.close();
    this.positions = new Positions();
    this.#group.wanted = wanted;
    await this.#stream(request);
  }

  async #stream(request) {
    this.#request = request;
    const stream = await this.native.consume({ ...request, ...this.#options.stream });
    if (this.#group.wanted !== null) {
      this.native.assignments = this.#group.wanted; // it may have had no need to join again
    }
    stream.on("autocommit", (error) => error && this.reportError(error, false));
    this.#reading = new Reading(stream, (error) => this.reportError(error, true));
  }

  /**
   * The stream to read from. One that a pipeline ended is destroyed, as in any program, and is made
   * anew: from what was delivered where offsets were given, else from where its mode says.
   */
  async reading() {
    if (this.#reading === null) {
      throw new Refused("nothing was subscribed to or assigned");
    }
    if (this.#reading.spent && !this.closing) {
      const { offsets, ...rest } = this.#request;
      const reached = offsets?.map(({ topic, partition, offset }) => {
        const found = this.positions.find(topic, partition);
        return { topic, partition, offset: found ? found.offset + 1n : offset };
      });
      await this.#stream(reached ? { ...rest, offsets: reached } : rest);
    }
    return this.#reading;
  }

  async op_poll({ max_records: wanted, timeout_ms: timeoutMs }) {
    const until = performance.now() + timeoutMs;
    const most = Math.min(wanted, this.maxPollRecords);
    const reading = await this.reading();
    for (;;) {
      const messages = reading.take(most);
      if (messages.length > 0) {
        return { records: messages.map((message) => this.#deliver(message)) };
      }
      if (reading.error !== null) {
        throw new Outcome("fail", describe(reading.error));
      }
      const left = until - performance.now();
      if (left <= 0 || this.closing) {
        return { records: [] };
      }
      await reading.wait(left);
    }
  }

  #deliver(message) {
    this.positions.at(message.topic, message.partition).take(message);
    return recordOf(message);
  }

  op_consume(command) {
    return new ConsumeLoop(this, command).run();
  }

  async op_commit(command) {
    const { mode, offsets } = command;
    const work = offsets == null ? this.commitDelivered() : this.#commit(offsets);
    if (mode === "sync") {
      return { offsets: await work };
    }
    this.#awaited.add(command);
    work.then(
      (committed) => this.#answerCommit(command, "ok", { offsets: committed }),
      (error) =>
        this.#answerCommit(command, commandOutcome("commit", error), { error: describe(error) }),
    );
    return ANSWERED_LATER;
  }

  #answerCommit(command, kind, fields) {
    if (this.#awaited.delete(command)) {
      this.answer(command, kind, fields);
    }
  }

  /** Commit what was delivered since the last time; resolves with the offsets. */
  async commitDelivered() {
    const found = [...this.positions].filter((position) => position.dirty);
    found.forEach((position) => (position.dirty = false));
    const rows = found.map((p) => [p.topic, p.partition, p.offset + 1n]);
    try {
      if (this.#options.autocommits && found.length > 0) {
        await this.#commit(rows);
      } else {
        await Promise.all(found.map((position) => position.commit()));
      }
    } catch (error) {
      found.forEach((position) => (position.dirty = true));
      throw error;
    }
    return rows.map(([topic, partition, next]) => [topic, partition, integer(next)]);
  }

  async #commit(rows) {
    const offsets = rows.map(([topic, partition, offset]) => {
      const leaderEpoch = this.positions.find(topic, partition)?.leaderEpoch ?? -1;
      return { topic, partition, offset: BigInt(offset), leaderEpoch };
    });
    await this.native.commit({ offsets });
    return rows;
  }

  async op_committed({ partitions }) {
    const found = await this.native.listCommittedOffsets({ topics: grouping(partitions) });
    return {
      offsets: partitions.map(([topic, partition]) => [
        ...[topic, partition],
        integer(found.get(topic)?.[partition] ?? NO_OFFSET),
      ]),
    };
  }

  /**
   * The client shows the next offset that it will fetch. With nothing in its buffer that is the
   * next that it delivers; else that is not known, and what a program knows is the last that it was
   * given.
   */
  async op_position({ partitions }) {
    const { stream, buffered } = await this.reading();
    const owned = (topic, partition) =>
      this.native.assignments
        ?.find((each) => each.topic === topic)
        ?.partitions.includes(partition);
    const next = ([topic, partition]) => {
      const delivered = this.positions.find(topic, partition);
      const fetched = stream.offsetsToFetch.get(`${topic}:${partition}`);
      const known = buffered === 0 ? fetched : delivered && delivered.offset + 1n;
      const shown = owned(topic, partition) ? known : undefined;
      return [topic, partition, integer(shown ?? NO_OFFSET)];
    };
    return { offsets: partitions.map(next) };
  }

  /** Messages by which a transaction commits these offsets: delivered ones, or the like of them. */
  messagesBefore(offsets) {
    const { groupId, memberId, generationId, coordinatorId } = this.native;
    const consumer = { groupId, memberId, generationId, coordinatorId };
    return offsets.map(([topic, partition, next]) => {
      const offset = BigInt(next) - 1n;
      const delivered = this.positions.find(topic, partition);
      const metadata = delivered?.offset === offset ? delivered.metadata : { consumer };
      return { topic, partition, offset, metadata };
    });
  }

  /** Partitions were taken away. */
  onTaken(partitions) {
    this.positions.drop(partitions);
  }

  interruptWork() {
    super.interruptWork();
    this.#reading?.wake();
  }

  /**
   * The stream first, then the consumer, as the client's documentation has it: `close(true)` alone
   * ends the streams without waiting for what they have to commit (seen with 2.12.1).
   */
  async closeNative() {
    try {
      await this.#reading?.close();
    } finally {
      await this.#closeConsumer();
    }
  }

  async #closeConsumer() {
    try {
      await this.native?.close(true); // a stream that failed to close must not keep it open
    } finally {
      const error = describe(new Refused("closed before the commit was confirmed"));
      for (const command of this.#awaited) {
        this.#answerCommit(command, "info", { error });
      }
    }
  }

  buffered() {
    return this.#reading?.buffered ?? 0;
  }
}

/** [{topic, partitions: [..]}, ..] as this client lists partitions. */
function grouping(partitions) {
  const found = new Map();
  for (const [topic, partition] of partitions) {
    found.set(topic, [...(found.get(topic) ?? []), partition]);
  }
  return [...found].map(([topic, numbers]) => ({ topic, partitions: numbers }));
}
