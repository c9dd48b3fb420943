/**
 * CRC-32 where it is paid once a record.
 *
 * `crc32` of a short buffer: a call into zlib costs more than the work (157 ns for 100 bytes,
 * measured), so up to SHORT bytes are worked off here, eight at a time ("slicing by 8").
 *
 * `Stamps`: payloads of a loop differ only in a few bytes of their header. A CRC is linear:
 * changing a byte of a message changes its CRC by a value that depends on the change and its place
 * alone. With these in a table a payload's checksum costs one look-up a changed byte, however long
 * the payload.
 */
import { crc32 as native } from "node:zlib";

const SHORT = 160;
const TABLES = slices();

function slices() {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
    }
    tables[0][byte] = crc;
  }
  for (let slice = 1; slice < 8; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = tables[slice - 1][byte];
      tables[slice][byte] = tables[0][before & 255] ^ (before >>> 8);
    }
  }
  return tables;
}

const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES;

/** The CRC-32 (IEEE) of a buffer. */
export function crc32(data) {
  const { length } = data;
  if (length > SHORT) {
    return native(data);
  }
  const whole = length - 7;
  let crc = -1;
  let at = 0;
  for (; at < whole; at += 8) {
    crc ^= data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24);
    crc =
      T7[crc & 255] ^ T6[(crc >>> 8) & 255] ^ T5[(crc >>> 16) & 255] ^ T4[crc >>> 24] ^
      T3[data[at + 4]] ^ T2[data[at + 5]] ^ T1[data[at + 6]] ^ T0[data[at + 7]];
  }
  for (; at < length; at++) {
    crc = T0[(crc ^ data[at]) & 255] ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/** Checksums of copies of a template that differ in bytes `from` to `to`, where it has zeros. */
export class Stamps {
  #base;
  #table;

  constructor(template, from, to) {
    this.from = from;
    this.to = to;
    this.#base = native(template);
    this.#table = new Int32Array((to - from) * 256);
    const copy = Buffer.from(template);
    for (let at = from; at < to; at++) {
      const row = (at - from) * 256;
      for (let bit = 1; bit < 256; bit <<= 1) {
        copy[at] = bit;
        const change = native(copy) ^ this.#base;
        for (let below = 0; below < bit; below++) {
          this.#table[row + bit + below] = change ^ this.#table[row + below];
        }
      }
      copy[at] = 0;
    }
  }

  /** The CRC-32 of as many bytes of `data`, a copy, as the template has. */
  of(data) {
    const { from, to } = this;
    const table = this.#table;
    let crc = this.#base;
    for (let at = from, row = 0; at < to; at++, row += 256) {
      crc ^= table[row + data[at]];
    }
    return crc >>> 0;
  }
}
