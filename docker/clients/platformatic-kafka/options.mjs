/**
 * The contract's portable configuration and the client's own options, as this client takes them.
 *
 * Options go to the constructor under their own names; those that only streams take go to
 * `consume()` or `asStream()`. The client ignores names that it does not know (its schemas allow
 * them), so names are looked up in those schemas and an unknown one is refused. What stands in a
 * constructor is what the client makes of it: `acks` there, for one, is ignored by its send().
 *
 * Options that are functions take one of these names; each leaves what passes through it as it is:
 *   beforeDeserialization, beforeSerialization   "sync": calls back at once · "async": gives a
 *                                                promise
 *   partitioner                                  "default" · "compatibility": the client's own ·
 *                                                "first"
 *   partitionAssigner                            "roundrobin" · "cooperative-sticky": the client's
 *                                                own
 *   serializers, deserializers                   "identity": bytes as they are
 *   onCorruptedMessage                           "fail" · "skip"
 *   onDeserializationError                       "fail" · "skip" · "continue"
 *   retryDelay                                   "second": 1,000 ms (a number goes through as it
 *                                                is)
 */
import { randomUUID } from "node:crypto";
import { ASSIGNORS, HAS_STREAMS, kafka, OPTION_NAMES, PACKAGE, VERSION } from "./library.mjs";
import { Refused } from "./outcomes.mjs";

const identity = (data) => data;
const SERDE = { key: identity, value: identity, headerKey: identity, headerValue: identity };
const HOOKS = {
  sync: (_data, _type, _message, callback) => callback(null),
  async: async () => {},
};
const FUNCTIONS = {
  beforeDeserialization: HOOKS,
  beforeSerialization: HOOKS,
  partitioner: {
    default: kafka.defaultPartitioner,
    compatibility: kafka.compatibilityPartitioner,
    first: () => 0,
  },
  partitionAssigner: {
    roundrobin: kafka.roundRobinAssigner,
    "cooperative-sticky": kafka.cooperativeStickyAssigner,
  },
  serializers: { identity: SERDE },
  deserializers: { identity: SERDE },
  onCorruptedMessage: { fail: () => true, skip: () => false },
  onDeserializationError: Object.fromEntries(
    Object.entries(kafka.DeserializationErrorActions ?? {}).map(([name, action]) => [
      name.toLowerCase(),
      () => action,
    ]),
  ),
  retryDelay: { second: () => 1000 },
};
// What comes from commands, or is an object that JSON cannot carry.
const NEVER = new Set([
  ...["clientId", "bootstrapBrokers", "topics", "offsets"],
  ...["registry", "metrics", "protocolsMetadata"],
]);

const CONSUMER_KEYS = {
  group: "groupId",
  group_protocol: "groupProtocol",
  instance_id: "groupInstanceId",
  session_timeout_ms: "sessionTimeout",
  fetch_min_bytes: "minBytes",
  fetch_max_bytes: "maxBytes",
  max_partition_fetch_bytes: "maxBytesPerPartition",
  request_timeout_ms: "requestTimeout",
};
const PRODUCER_KEYS = {
  idempotence: "idempotent",
  transactional_id: "transactionalId",
  compression: "compression",
  request_timeout_ms: "requestTimeout",
};
const ADMIN_KEYS = { request_timeout_ms: "requestTimeout" };
const STREAMED_RECORDS = 1000; // ten of a stream's own batches
const FALLBACK = { earliest: "earliest", latest: "latest", none: "fail" };

function noSetting(key, role) {
  const lacking = `${PACKAGE} ${VERSION} has no such setting for a ${role}`;
  return new Refused(`config key '${key}': ${lacking}`);
}

function base(command) {
  const { client, bootstrap } = command;
  const clientId = `kafkalab-${client.replaceAll(/\s/g, "_")}`;
  return { clientId, bootstrapBrokers: bootstrap.split(",").map((each) => each.trim()) };
}

/** Portable keys that have another name in the client, and nothing else to them. */
function renamed(config, keys, known, role) {
  const native = {};
  for (const [key, value] of Object.entries(config)) {
    const name = keys[key];
    if (name === undefined || !known.has(name)) {
      throw noSetting(key, role);
    }
    native[name] = value;
  }
  return native;
}

/** The client's own options, by where they go; `own` and `streams` are sets of known names. */
function passed(command, own, streams) {
  const native = {};
  const stream = {};
  for (const [name, given] of Object.entries(command.options ?? {})) {
    if (NEVER.has(name) || !(own.has(name) || streams.has(name))) {
      throw new Refused(`option '${name}': ${PACKAGE} ${VERSION} has none that can be set here`);
    }
    (own.has(name) ? native : stream)[name] = valueOf(name, given);
  }
  return { native, stream };
}

function valueOf(name, given) {
  if (name === "producerId") {
    return BigInt(given);
  }
  const functions = FUNCTIONS[name];
  if (functions === undefined || (name === "retryDelay" && typeof given === "number")) {
    return given;
  }
  if (functions[given] === undefined) {
    const able = Object.keys(functions).filter((each) => functions[each] !== undefined);
    throw new Refused(`option '${name}': expected one of ${able.join(", ")}, found '${given}'`);
  }
  return functions[given];
}

/** For a producer: {native, stream: options of asStream() or null, acks: of each send}. */
export function producerOptions(command) {
  const { acks, linger_ms: linger, queue_max_records: queue, ...rest } = command.config ?? {};
  const known = OPTION_NAMES.base.union(OPTION_NAMES.producer);
  const native = renamed(rest, PRODUCER_KEYS, known, "producer");
  if (native.transactionalId !== undefined) {
    native.idempotent ??= true; // the client has transactions for such producers only
  }
  const own = passed(command, known, OPTION_NAMES.produceStream);
  // send() does not linger: only a stream collects records for a time, and only a stream is a
  // queue. By itself a stream holds 16 records, less than a batch, which then waits for its time.
  const stream = {
    ...(linger ? { batchTime: linger, highWaterMark: STREAMED_RECORDS } : {}),
    ...(queue === undefined ? {} : { highWaterMark: queue }),
    ...own.stream,
  };
  const streamed = Object.keys(stream).length > 0;
  if (streamed && !HAS_STREAMS) {
    throw noSetting(linger ? "linger_ms" : "queue_max_records", "producer");
  }
  return {
    native: { ...base(command), ...native, ...own.native },
    stream: streamed ? stream : null,
    acks: own.native.acks === undefined ? acks : undefined,
  };
}

/**
 * For a consumer: {native, stream: options of every consume(), reset, grouped, cooperative,
 * autocommits, maxPollRecords}. This client cannot consume outside a group: without one it gets a
 * group of its own, which nobody else knows and in which it commits nothing unless it is told to.
 */
export function consumerOptions(command) {
  const config = { ...command.config };
  const { assignor, auto_commit: commits, auto_commit_interval_ms: interval } = config;
  const { offset_reset: reset, isolation, max_poll_records: most } = config;
  for (const key of Object.keys(config)) {
    if (OTHERWISE.has(key)) {
      delete config[key];
    }
  }
  const known = OPTION_NAMES.base.union(OPTION_NAMES.consumer);
  const native = renamed(config, CONSUMER_KEYS, known, "consumer");
  const grouped = native.groupId !== undefined;
  native.groupId ??= `kafkalab-no-group-${randomUUID()}`;
  const unasked = grouped ? undefined : false;
  const autocommit = commits === false ? false : (interval ?? commits ?? unasked);
  if (autocommit !== undefined) {
    native.autocommit = autocommit;
  }
  if (isolation !== undefined) {
    native.isolationLevel = kafka.FetchIsolationLevels[isolation.toUpperCase()];
  }
  if (assignor !== undefined) {
    if (ASSIGNORS[assignor] === undefined) {
      throw new Refused(`config key 'assignor': ${PACKAGE} ${VERSION} has no '${assignor}'`);
    }
    native.protocols = [ASSIGNORS[assignor]];
  }
  const own = passed(command, known, OPTION_NAMES.consume);
  const options = { ...base(command), ...native, ...own.native };
  const protocols = options.protocols ?? [ASSIGNORS.roundrobin];
  return {
    native: options,
    stream: { ...(reset ? { fallbackMode: FALLBACK[reset] } : {}), ...own.stream },
    reset,
    grouped: grouped || "groupId" in own.native,
    incremental:
      options.groupProtocol === "consumer" ||
      protocols.every((each) => each.name === "cooperative-sticky"),
    autocommits: Boolean(options.autocommit ?? kafka.defaultConsumerOptions?.autocommit ?? true),
    maxPollRecords: most ?? 500, // as in the Java client; this one has no such setting
  };
}

// Portable keys that are more than another name.
const OTHERWISE = new Set([
  ...["assignor", "auto_commit", "auto_commit_interval_ms"],
  ...["offset_reset", "isolation", "max_poll_records"],
]);

/** For an admin client. */
export function adminOptions(command) {
  const native = renamed(command.config ?? {}, ADMIN_KEYS, OPTION_NAMES.base, "admin");
  return { ...base(command), ...native, ...passed(command, OPTION_NAMES.base, new Set()).native };
}
