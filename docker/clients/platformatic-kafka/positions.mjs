/**
 * What was delivered of each partition, and what of it is not committed yet.
 *
 * Of a message only what commits need is kept: its value is a view of the whole fetch response.
 */
class Position {
  offset = -1n; // of the last message delivered
  commit = null; // the message's own
  leaderEpoch = -1;
  metadata = null; // which member of which generation it came to
  dirty = false; // delivered, and its commit was not asked for

  constructor(topic, partition) {
    this.topic = topic;
    this.partition = partition;
  }

  /** Note a message that the program was given. */
  take(message) {
    this.offset = message.offset;
    this.commit = message.commit;
    this.leaderEpoch = message.leaderEpoch ?? -1; // older versions do not show it
    this.metadata = message.metadata;
    this.dirty = true;
  }
}

export class Positions {
  #topics = new Map();

  /** The position of a partition, made when there is none. */
  at(topic, partition) {
    let partitions = this.#topics.get(topic);
    if (partitions === undefined) {
      this.#topics.set(topic, (partitions = new Map()));
    }
    let position = partitions.get(partition);
    if (position === undefined) {
      partitions.set(partition, (position = new Position(topic, partition)));
    }
    return position;
  }

  /** The position of a partition of which something was delivered, or undefined. */
  find(topic, partition) {
    return this.#topics.get(topic)?.get(partition);
  }

  *[Symbol.iterator]() {
    for (const partitions of this.#topics.values()) {
      yield* partitions.values();
    }
  }

  /** Leave partitions that were taken away uncommitted: others commit for them now. */
  drop(partitions) {
    for (const [topic, partition] of partitions) {
      const position = this.find(topic, partition);
      if (position !== undefined) {
        position.dirty = false;
      }
    }
  }
}
