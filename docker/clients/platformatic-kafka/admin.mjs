/** The admin role: what the lab itself would need to know of a cluster. */
import { setTimeout } from "node:timers/promises";
import { Client } from "./client.mjs";
import { kafka } from "./library.mjs";
import { adminOptions } from "./options.mjs";
import { describe, Outcome } from "./outcomes.mjs";
import { integer } from "./wire.mjs";

const TIMEOUT_MS = 30_000;
const ASK_AGAIN_MS = 50;

export class AdminRole extends Client {
  async op_open(command) {
    this.watch(new kafka.Admin(adminOptions(command)));
  }

  /** Create a topic and wait until the leader of every partition answers. */
  async op_create_topic({ topic, partitions, replication, configs }) {
    await this.native.createTopics({
      topics: [topic],
      partitions,
      replicas: replication,
      configs: Object.entries(configs ?? {}).map(([name, value]) => ({ name, value })),
    });
    const until = performance.now() + TIMEOUT_MS;
    const all = Array.from({ length: partitions }, (_, index) => [topic, index]);
    for (;;) {
      try {
        return void (await this.op_end_offsets({ partitions: all }));
      } catch (error) {
        if (performance.now() > until || this.closing) {
          throw new Outcome("info", describe(error)); // it was created, and does not answer
        }
      }
      await setTimeout(ASK_AGAIN_MS);
    }
  }

  async op_describe_cluster() {
    const { brokers, controllerId } = await this.native.metadata({ topics: [] });
    return { brokers: [...brokers.keys()].sort((a, b) => a - b), controller: controllerId };
  }

  /** Offset after the last record of each partition, stable ones and others alike. */
  async op_end_offsets({ partitions }) {
    const topics = byTopic(partitions).map(([name, numbers]) => ({
      name,
      partitions: numbers.map((partitionIndex) => ({ partitionIndex, timestamp: -1n })),
    }));
    const isolationLevel = kafka.FetchIsolationLevels.READ_UNCOMMITTED;
    const found = await this.native.listOffsets({ topics, isolationLevel });
    return {
      offsets: found.flatMap(({ name, partitions: rows }) =>
        rows.map(({ partitionIndex, offset }) => [name, partitionIndex, integer(offset)]),
      ),
    };
  }

  /** What the group's coordinator has. */
  async op_group_offsets({ group, partitions }) {
    const wanted = byTopic(partitions);
    const topics = wanted.map(([name, partitionIndexes]) => ({ name, partitionIndexes }));
    const groups = [{ groupId: group, topics }];
    const found = await this.native.listConsumerGroupOffsets({ groups });
    return {
      offsets: found.flatMap((each) =>
        each.topics.flatMap(({ name, partitions: rows }) =>
          rows.map((row) => [name, row.partitionIndex, integer(row.committedOffset)]),
        ),
      ),
    };
  }
}

function byTopic(partitions) {
  const found = new Map();
  for (const [topic, partition] of partitions) {
    found.set(topic, [...(found.get(topic) ?? []), partition]);
  }
  return [...found];
}
