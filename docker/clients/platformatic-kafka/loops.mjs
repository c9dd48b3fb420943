/**
 * What both loops share: when they end, the sample that they report once a second, and breathing.
 *
 * Where records wait in the client's buffer a loop over them never leaves the microtask queue: no
 * timer fires, no command is read, no heartbeat is sent. That is what such a program does, but this
 * process also has to answer the lab. So a loop lets the event loop turn where it has not for 100
 * ms, the bound that the contract sets, and not more often; `scheduler_delay_ms_max` shows what
 * that does.
 */
import { setImmediate } from "node:timers/promises";
import { Meter } from "./meter.mjs";
import { runtimeMetrics } from "./runtime_metrics.mjs";
import { nowNs } from "./wire.mjs";

const SAMPLE_MS = 1000;
const BREATH_NS = 100e6;
const TURN_MS = 25; // a timer that shows that the event loop turns
const LONGEST_MS = 2 ** 31 - 1; // of a timer

export class Loop {
  meter = new Meter();
  over = false;
  breatheAt; // ns; call `breathe` when it has passed
  #client;
  #blocked = null; // the lab does not read
  #timers;
  #resolveEnded;

  constructor(client, command) {
    this.id = command.id;
    this.maxRecords = command.max_records ?? Infinity;
    this.#client = client;
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.#turned();
    this.#timers = [
      setInterval(() => this.#report(), SAMPLE_MS),
      setInterval(() => this.#turned(), TURN_MS),
    ];
    if (command.duration_s != null) {
      const ms = Math.min(command.duration_s * 1000, LONGEST_MS);
      this.#timers.push(setTimeout(() => this.end(), ms));
    }
    client.loop = this;
    if (client.closing || client.stoppedLoops.has(this.id)) {
      this.end();
    }
  }

  /** End it early. */
  end() {
    this.over = true;
    this.breatheAt = 0;
    this.#resolveEnded();
  }

  /** Whether the lab does not read what this loop reports. */
  get blocked() {
    return this.#blocked !== null;
  }

  /** Let the event loop turn; waits while the lab does not read. */
  async breathe() {
    await setImmediate();
    while (this.#blocked !== null && !this.over) {
      await Promise.race([this.#blocked, this.ended]);
    }
    this.#turned();
  }

  /** It is done, however it ended. */
  stop() {
    this.#timers.forEach(clearTimeout);
    this.#client.loop = null;
  }

  /** What the completion carries. */
  total() {
    this.stop();
    return { ...this.meter.total(), runtime: runtimeMetrics(this.#client) };
  }

  #turned() {
    if (!this.blocked && !this.over) {
      this.breatheAt = nowNs() + BREATH_NS;
    }
  }

  #report() {
    if (this.#blocked !== null) {
      return; // the interval goes on
    }
    const { wire } = this.#client;
    const runtime = runtimeMetrics(this.#client);
    this.#client.event("sample", { id: this.id, ...this.meter.sample(), runtime });
    if (wire.full) {
      this.#blocked = wire.drained().then(() => (this.#blocked = null));
      this.breatheAt = 0;
    }
  }
}
