/**
 * The contract's payload: 28 bytes of header, filler, and a CRC-32 over all of it at the end.
 *
 * The checksum stands last and little-endian, because then the CRC-32 of a whole intact payload is
 * one constant: a reader checks a record with one call. Also here: records with content, whose key,
 * value and headers are parts (see the contract), as what a user of this client writes for them: a
 * null value is `null`, an absent key is left out, headers are a Map of Buffers. Such a Map holds
 * one name more than once, since two Buffers are two keys.
 */
import { randomFillSync } from "node:crypto";
import { crc32, Stamps } from "./checksum.mjs";
import { Refused } from "./outcomes.mjs";
import { u64 } from "./wire.mjs";

export const SIZE_MIN = 32;
export const MAGIC = 0x4b4c4231; // "KLB1"
export const RESIDUE = 0x2144df1c; // CRC-32 of anything followed by its own CRC-32
const TWO_32 = 2 ** 32;
const [VALUE_AT, TIME_AT, PARTITION_AT, TOPIC_AT] = [4, 12, 20, 24];
const TRAILER = 4;
const EMPTY = Buffer.alloc(0);
let random = randomFillSync(Buffer.allocUnsafe(1 << 20));

/** A payload without value, time and partition, and room for its checksum. */
function template(topic, size) {
  if (!(size >= SIZE_MIN)) {
    throw new Refused(`size_bytes: expected at least ${SIZE_MIN}, found ${size}`);
  }
  while (random.length < size) {
    random = Buffer.concat([random, random]);
  }
  const data = Buffer.from(random.subarray(0, size));
  data.fill(0, VALUE_AT, TOPIC_AT);
  data.writeUInt32BE(MAGIC, 0);
  data.writeUInt32BE(crc32(Buffer.from(topic)), TOPIC_AT);
  return data;
}

/** Builds payloads of one size for one topic. */
export class Packer {
  #template;

  constructor(topic, size) {
    this.size = size;
    this.#template = template(topic, size);
  }

  /** One payload; `value` is a number or a BigInt. */
  pack(value, partition) {
    const { size } = this;
    const data = Buffer.from(this.#template);
    data.writeBigUInt64BE(BigInt(value), VALUE_AT);
    data.writeInt32BE(partition, PARTITION_AT);
    data.writeUInt32LE(crc32(data.subarray(0, size - TRAILER)), size - TRAILER);
    return data;
  }
}

/** The same for loops, which build very many: one that is not needed any more is made another. */
export class Press {
  #template;
  #stamps;

  constructor(topic, size) {
    this.size = size;
    this.#template = template(topic, size);
    this.#stamps = new Stamps(this.#template.subarray(0, size - TRAILER), VALUE_AT, TOPIC_AT);
  }

  /** A new one, to be stamped. */
  blank() {
    return Buffer.from(this.#template);
  }

  /** Make a payload what it should say; `high` and `low` are the halves of its value. */
  stamp(data, high, low, partition, timeNs) {
    const timeHigh = Math.floor(timeNs / TWO_32);
    data.writeUInt32BE(high, VALUE_AT);
    data.writeUInt32BE(low, VALUE_AT + 4);
    data.writeUInt32BE(timeHigh, TIME_AT);
    data.writeUInt32BE(Math.floor(timeNs - timeHigh * TWO_32), TIME_AT + 4);
    data.writeInt32BE(partition, PARTITION_AT);
    data.writeUInt32LE(this.#stamps.of(data), this.size - TRAILER);
  }
}

function isPayload(data) {
  return data != null && data.length >= 4 && data.readUInt32BE(0) === MAGIC;
}

/** [value, problem, intended partition, CRC of the intended topic], as a polled record has them. */
export function unpack(data) {
  if (data == null) {
    return [null, "null-value", -1, null];
  }
  if (data.length < SIZE_MIN) {
    return [null, "short", -1, null];
  }
  if (data.readUInt32BE(0) !== MAGIC) {
    return [null, "foreign", -1, null];
  }
  const problem = crc32(data) === RESIDUE ? null : "checksum";
  const value = u64(data.readUInt32BE(4), data.readUInt32BE(8));
  return [value, problem, data.readInt32BE(PARTITION_AT), data.readUInt32BE(TOPIC_AT)];
}

/** What the client sends for a record: the members of its message beside topic and partition. */
export function messageOf(payload, content) {
  if (content === undefined) {
    return { value: payload };
  }
  const message = { value: bytes("value" in content ? content.value : "payload", payload) };
  if (content.key != null) {
    message.key = bytes(content.key, payload);
  }
  if (content.headers?.length) {
    const pairs = content.headers.map(([name, part]) => [Buffer.from(name), bytes(part, payload)]);
    message.headers = new Map(pairs);
  }
  return message;
}

function bytes(part, payload) {
  if (part === null) {
    return null;
  }
  if (part === "payload") {
    return payload;
  }
  return part === "" ? EMPTY : Buffer.from(part, "latin1");
}

/** A message as the contract's polled record. */
export function recordOf(message) {
  const { key, value } = message;
  const size = value == null ? 0 : value.length;
  const place = [message.topic, message.partition, Number(message.offset)];
  if (key == null && message.headers.size === 0 && isPayload(value)) {
    const [number, ...rest] = unpack(value);
    return [...place, number, size, ...rest];
  }
  // `headerEntries` holds what the broker has; the Map can hold less where a deserializer is set.
  const headers = [...(message.headerEntries ?? message.headers)];
  const first = [value, key, ...headers.map((each) => each[1])].find(isPayload) ?? value;
  const [number, ...rest] = unpack(first);
  const content = {
    key: text(key),
    value: text(value),
    headers: headers.map(([name, part]) => [name == null ? "" : String(name), text(part)]),
  };
  return [...place, number, size, ...rest, content];
}

function text(part) {
  if (part == null) {
    return null;
  }
  return isPayload(part) ? "payload" : Buffer.from(part).toString("latin1");
}
