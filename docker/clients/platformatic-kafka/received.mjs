/**
 * The values that a loop received, checked many at a time.
 *
 * Of 100 bytes a checksum costs 90 ns and a copy 35. So values of one size are copied one after the
 * other, and one CRC-32 is taken over all. An intact payload ends with its own checksum, so that of
 * a series of them depends on nothing but their size and number. Only where it is another, or of
 * few, each one is looked at.
 */
import { crc32 as native } from "node:zlib";
import { crc32 } from "./checksum.mjs";
import { MAGIC, RESIDUE, SIZE_MIN } from "./payload.mjs";

const ROOM = 1 << 16;
const LARGE = 4096; // from here on a checksum costs more than the call for it
const FEW = 8; // too few to keep what a series of their size has
const TWO_32 = 2 ** 32;

export class Received {
  #meter;
  #data = Buffer.allocUnsafeSlow(ROOM);
  #view = new DataView(this.#data.buffer);
  #times = new Float64Array(ROOM / SIZE_MIN); // when each came
  #size = 0; // of each
  #count = 0;
  #series = new Map(); // size → { one: Buffer, crcs: number[] }

  /** @param meter counts bytes, corrupt records, the sum of values, and latencies */
  constructor(meter) {
    this.#meter = meter;
  }

  /** Take one record's value, or null, and when it came. */
  take(value, now) {
    if (value == null || value.length < SIZE_MIN) {
      this.#meter.corrupt++;
      return;
    }
    const { length } = value;
    if (length !== this.#size || (this.#count + 1) * length > ROOM) {
      this.look();
      if (length > LARGE) {
        this.#alone(value, now);
        return;
      }
      this.#size = length;
    }
    this.#data.set(value, this.#count * length);
    this.#times[this.#count++] = now;
  }

  /** Count what was taken since the last time. */
  look() {
    const count = this.#count;
    const size = this.#size;
    const data = this.#data;
    const intact = count >= FEW && this.#expected(size, count) === native(this.#taken());
    for (let index = 0, at = 0; index < count; index++, at += size) {
      if (intact || crc32(data.subarray(at, at + size)) === RESIDUE) {
        this.#read(this.#view, at, size, this.#times[index]);
      } else {
        this.#meter.corrupt++;
      }
    }
    this.#count = 0;
  }

  #taken() {
    return this.#data.subarray(0, this.#count * this.#size);
  }

  #alone(value, now) {
    if (crc32(value) === RESIDUE) {
      this.#read(new DataView(value.buffer, value.byteOffset), 0, value.length, now);
    } else {
      this.#meter.corrupt++;
    }
  }

  /** Count a payload whose checksum is right. */
  #read(view, at, size, now) {
    const meter = this.#meter;
    if (view.getUint32(at) !== MAGIC) {
      meter.corrupt++;
      return;
    }
    meter.bytes += size;
    meter.valueHigh += view.getUint32(at + 4);
    meter.valueLow += view.getUint32(at + 8);
    const intended = view.getUint32(at + 12) * TWO_32 + view.getUint32(at + 16);
    if (intended > 0) {
      meter.latency(now - intended);
    }
  }

  /** The checksum of so many intact payloads of one size. */
  #expected(size, count) {
    let series = this.#series.get(size);
    if (series === undefined) {
      const one = Buffer.alloc(size);
      one.writeUInt32LE(native(one.subarray(0, size - 4)), size - 4);
      this.#series.set(size, (series = { one, crcs: [0] }));
    }
    const { one, crcs } = series;
    while (crcs.length <= count) {
      crcs.push(native(one, crcs.at(-1)));
    }
    return crcs[count];
  }
}
