/**
 * The client that was loaded, and what this version of it can do.
 *
 * One driver serves every version of the line, so it never asks for a version number: it looks for
 * the method, the option in the client's own schema, or the constant. The version that `hello`
 * reports is read from the package whose code was loaded, whatever was asked for.
 */
import * as kafka from "@platformatic/kafka";
import { existsSync, readFileSync } from "node:fs";

export { kafka };

export const PACKAGE = "@platformatic/kafka";
export const VERSION = loadedVersion();

/** Whether producers can be written to as streams, which is the only queue that this client has. */
export const HAS_STREAMS = "asStream" in kafka.Producer.prototype;

/** Whether its admin client can say what the contract asks of one. */
export const HAS_ADMIN =
  "listOffsets" in kafka.Admin.prototype && "listConsumerGroupOffsets" in kafka.Admin.prototype;

const HAS_TRANSACTIONS = "beginTransaction" in kafka.Producer.prototype;

/** The assignor of that name, if the version has it: {name, version} of a `protocols` option. */
export const ASSIGNORS = {
  roundrobin: { name: "roundrobin", version: 1 },
  ...(kafka.COOPERATIVE_STICKY_ASSIGNOR
    ? {
        "cooperative-sticky": {
          name: kafka.COOPERATIVE_STICKY_ASSIGNOR,
          version: kafka.CONSUMER_PROTOCOL_HIGHEST_VERSION,
        },
      }
    : {}),
};

/** Names that the client takes in a constructor, and those that only its streams take. */
export const OPTION_NAMES = {
  base: names(kafka.baseOptionsSchema, kafka.defaultOptions),
  consumer: names(kafka.consumerOptionsSchema),
  consume: names(kafka.consumeOptionsSchema),
  producer: names(kafka.producerOptionsValidator.schema),
  produceStream: names(kafka.producerStreamOptionsValidator?.schema),
};

function names(schema, defaults) {
  return new Set([...Object.keys(schema?.properties ?? {}), ...Object.keys(defaults ?? {})]);
}

function loadedVersion() {
  let folder = new URL(".", import.meta.resolve(PACKAGE));
  while (!existsSync(new URL("package.json", folder))) {
    folder = new URL("..", folder);
  }
  return JSON.parse(readFileSync(new URL("package.json", folder), "utf8")).version;
}

/** What `hello` declares. */
export function capabilities() {
  const { base, consumer } = OPTION_NAMES;
  const mechanisms = new Set(kafka.allowedSASLMechanisms);
  return [
    ...["produce", "consume", "idempotence", "generation", "position", "commit-sync"],
    ...["commit-async", "auto-commit", "loop-produce", "loop-consume-poll"],
    ...["loop-consume-stream", "loop-consume-pipeline", "buffered-records", "heap"],
    ...["headers", "null-headers", "repeated-headers"],
    ...(HAS_ADMIN ? ["admin"] : []),
    ...(HAS_TRANSACTIONS ? ["transactions"] : []),
    ...("cooperative-sticky" in ASSIGNORS ? ["cooperative"] : []),
    ...(consumer.has("groupProtocol") ? ["kip848"] : []),
    ...(consumer.has("groupInstanceId") ? ["static-membership"] : []),
    ...(base.has("tls") ? ["tls"] : []),
    ...(mechanisms.has("PLAIN") ? ["sasl-plain"] : []),
    ...(mechanisms.has("SCRAM-SHA-512") ? ["sasl-scram"] : []),
    ...(mechanisms.has("OAUTHBEARER") ? ["oauthbearer"] : []),
    ...["gzip", "snappy", "lz4", "zstd"].filter(canCompress).map((name) => `compression-${name}`),
  ];
}

function canCompress(name) {
  try {
    return kafka.compressionsAlgorithms[name].compressSync(Buffer.from("x")).length > 0;
  } catch {
    return false; // its library, or a part of Node.js that it needs, is not there
  }
}
