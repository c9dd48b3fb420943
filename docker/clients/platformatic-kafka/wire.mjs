/**
 * The driver's stdout: one JSON object a line, each written whole, with the time it happened.
 *
 * This process has one thread. Writing to a pipe that nobody reads must not stop it, or the
 * heartbeats of every client would stop too and the lab's own slowness would look like a client's
 * stall. So the pipe is written without blocking, what does not fit waits here, and whoever reports
 * asks `full` and awaits `drained` before it goes on: that client waits, the others work, nothing
 * is dropped.
 *
 * Import this file first: from then on `process.stdout` is stderr, so that whatever else prints
 * (the client, a stray console.log) cannot end up between the events.
 *
 * Values are unsigned 64-bit numbers and JavaScript's are exact up to 2^53 only. A longer literal
 * is read as a BigInt (JSON.parse shows the source text) and written as a raw literal.
 */
import { createWriteStream, fstatSync } from "node:fs";
import { Socket } from "node:net";

Object.defineProperty(process, "stdout", { configurable: true, get: () => process.stderr });

const TWO_32 = 2 ** 32;
const MAYBE_LONG = /\d{16}/;

// performance.now() and hrtime read one clock, CLOCK_MONOTONIC on Linux; the first is the cheaper.
const BASE_NS = Number(process.hrtime.bigint()) - performance.now() * 1e6;

/** Nanoseconds of CLOCK_MONOTONIC. */
export function nowNs() {
  return BASE_NS + performance.now() * 1e6;
}

/** An unsigned 64-bit number as JSON writes it, from its two halves. */
export function u64(high, low) {
  return high < 0x200000
    ? high * TWO_32 + low
    : JSON.rawJSON(((BigInt(high) << 32n) | BigInt(low)).toString());
}

/** A BigInt as JSON writes it. */
export function integer(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : JSON.rawJSON(value.toString());
}

/** Parse a line; integers that a number cannot hold become BigInts. */
export function parse(text) {
  return MAYBE_LONG.test(text) ? JSON.parse(text, keepLong) : JSON.parse(text);
}

function keepLong(_key, value, context) {
  const lossy = Number.isInteger(value) && !Number.isSafeInteger(value);
  return lossy && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}

export class Wire {
  #out;
  #drained = null;

  /** @param {(error: Error) => void} gone called once nobody can read any more */
  constructor(gone) {
    const stat = fstatSync(1);
    const piped = stat.isFIFO() || stat.isSocket();
    this.#out = piped
      ? new Socket({ fd: 1, readable: false, writable: true })
      : createWriteStream("", { fd: 1 });
    this.#out.once("error", gone);
  }

  /** Write one event, stamped with CLOCK_MONOTONIC. */
  emit(type, fields) {
    fields.type = type;
    fields.t = Math.round(nowNs());
    this.#out.write(`${JSON.stringify(fields)}\n`);
  }

  /** Whether more waits here than should. */
  get full() {
    return this.#out.writableNeedDrain;
  }

  /** Resolves when the lab has read what waited. */
  async drained() {
    this.#drained ??= new Promise((resolve) => this.#out.once("drain", resolve));
    await this.#drained;
    this.#drained = null;
  }

  /** Resolves when everything is in the pipe. */
  flushed() {
    return new Promise((resolve) => this.#out.write("", resolve));
  }
}
