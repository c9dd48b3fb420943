/**
 * The consume loop: takes records as a program of this client does, and looks at every one of them.
 *
 *   poll       a paused stream: `read()` until it has none or a delivery is full, then work on
 *              those
 *   stream     `for await`, written out, because it has to be told to end also while it waits
 *   pipeline   `pipeline()` into a Writable that takes one record at a time
 *
 * In a stream or pipeline a delivery is one record. This client delivers no batches, so there is no
 * style `batch`. Work is busy time, and after it the event loop gets a turn, as after any
 * asynchronous step of a program: without it nothing could be fetched meanwhile and a slow consumer
 * would not press back on anything.
 */
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setImmediate } from "node:timers/promises";
import { Loop } from "./loops.mjs";
import { describe, Outcome, Refused } from "./outcomes.mjs";
import { Received } from "./received.mjs";
import { nowNs } from "./wire.mjs";

const COMMITS = ["none", "auto", "sync", "async"];
const TURN_NS = 10e6; // longest busy time between two turns of the event loop
const WAIT_MS = 1000;
const TOGETHER = 16; // records of a stream that share a time where they were all there: 0.1 ms

export class ConsumeLoop {
  #client;
  #loop;
  #meter;
  #received;
  #style;
  #commit;
  #batch;
  #workNs;
  #slow; // there is something to do after each delivery
  #places = new Map(); // "topic/partition" → place
  #place = { topic: null, partition: -1 }; // of the last record

  constructor(client, command) {
    const styles = Object.keys(STYLES);
    if (!styles.includes(command.style)) {
      throw new Refused(`style: this client has ${styles.join(", ")}, found '${command.style}'`);
    }
    this.#commit = command.commit ?? "none";
    if (!COMMITS.includes(this.#commit)) {
      throw new Refused(`commit: expected one of ${COMMITS.join(", ")}, found '${this.#commit}'`);
    }
    this.#client = client;
    this.#style = command.style;
    this.#batch = command.max_poll_records || client.maxPollRecords;
    this.#workNs = (command.work_us ?? 0) * 1000;
    this.#slow = this.#workNs > 0 || this.#commit === "sync" || this.#commit === "async";
    this.command = command;
  }

  /** Run it and return the totals. */
  async run() {
    const reading = await this.#client.reading();
    this.#loop = new Loop(this.#client, this.command);
    this.#meter = this.#loop.meter;
    this.#received = new Received(this.#meter);
    this.#meter.settle = () => this.#received.look();
    try {
      await this[STYLES[this.#style]](reading);
    } catch (error) {
      if (reading.error === null) {
        this.#loop.stop();
        throw error;
      }
    }
    const total = this.#loop.total();
    if (reading.error !== null) {
      throw new Outcome("fail", describe(reading.error), total);
    }
    return total;
  }

  get #goesOn() {
    return !this.#loop.over && this.#meter.allRecords < this.#loop.maxRecords;
  }

  async runPoll(reading) {
    const loop = this.#loop;
    loop.ended.then(() => reading.wake());
    while (this.#goesOn && reading.error === null) {
      const left = loop.maxRecords - this.#meter.allRecords;
      const messages = reading.take(Math.min(this.#batch, left));
      if (messages.length === 0) {
        await reading.wait(WAIT_MS);
        continue;
      }
      const now = nowNs();
      this.#meter.delivered(now, messages.length);
      for (const message of messages) {
        this.#look(message, now);
      }
      if (this.#slow || now >= loop.breatheAt) {
        await this.#pass(now, messages.length);
      }
    }
  }

  async runStream(reading) {
    await Promise.race([this.#pump(reading), this.#loop.ended]);
  }

  async #pump(reading) {
    const loop = this.#loop;
    let now = 0;
    let shares = 0; // records that may still share that time
    while (this.#goesOn) {
      let message = reading.takeKept();
      if (message === null) {
        if (reading.stream.readableLength === 0) {
          shares = 0; // it has to wait
        }
        const next = reading.next();
        const { value, done } = await next;
        if (loop.over || done) {
          return; // what came is the next reader's
        }
        if (!reading.accept(next)) {
          continue;
        }
        message = value;
      }
      if (shares-- <= 0 || this.#slow) {
        now = nowNs();
        shares = TOGETHER - 1;
      }
      this.#meter.delivered(now, 1);
      this.#look(message, now);
      if (this.#slow || now >= loop.breatheAt) {
        await this.#pass(now);
        shares = 0;
      }
    }
  }

  async runPipeline(reading) {
    const loop = this.#loop;
    const done = new AbortController();
    loop.ended.then(() => done.abort());
    const write = (message, _encoding, callback) => {
      if (!this.#goesOn) {
        return; // it is about to be destroyed
      }
      const now = nowNs();
      this.#meter.delivered(now, 1);
      this.#look(message, now);
      const goOn = () => (this.#goesOn ? callback() : loop.end());
      // No breathing here: between two fetches the event loop turns by itself, and a callback that
      // comes late would press back on the client for no reason of the program's.
      if (this.#slow || loop.blocked) {
        this.#pass(now).then(goOn);
      } else {
        goOn();
      }
    };
    await reading.release();
    const sink = new Writable({ objectMode: true, write });
    try {
      await pipeline(reading.abortable(done.signal), sink, { signal: done.signal });
    } catch (error) {
      if (!done.signal.aborted && reading.error === null) {
        throw error;
      }
    }
  }

  /** Check and count one record. */
  #look(message, now) {
    let place = this.#place;
    if (message.partition !== place.partition || message.topic !== place.topic) {
      place = this.#place = this.#placeOf(message);
    }
    const { offset } = message;
    if (offset <= place.offset) {
      this.#meter.outOfOrder++;
    }
    place.offset = offset;
    place.counter.count++;
    place.position.take(message);
    this.#received.take(message.value, now);
  }

  #placeOf({ topic, partition }) {
    const name = `${topic}/${partition}`;
    let place = this.#places.get(name);
    if (place === undefined) {
      const counter = this.#meter.counter(topic, partition);
      const position = this.#client.positions.at(topic, partition);
      place = { topic, partition, counter, position, offset: -1n };
      this.#places.set(name, place);
    }
    return place;
  }

  /** What comes between two deliveries: a program's work and commit, and breathing. */
  async #pass(now, records = 1) {
    await this.#work(records);
    if (this.#commit === "sync") {
      await this.#committed();
    } else if (this.#commit === "async") {
      this.#committed(); // its error is reported and counted, whenever it comes
    }
    if (now >= this.#loop.breatheAt) {
      await this.#loop.breathe();
    }
  }

  async #work(records) {
    let left = this.#workNs * records;
    while (left > 0 && !this.#loop.over) {
      const until = nowNs() + Math.min(left, TURN_NS);
      while (nowNs() < until);
      left -= TURN_NS;
      await setImmediate();
    }
  }

  async #committed() {
    try {
      await this.#client.commitDelivered();
    } catch (error) {
      this.#meter.errors++;
      this.#client.reportError(error, false);
    }
  }
}

const STYLES = { poll: "runPoll", stream: "runStream", pipeline: "runPipeline" };
