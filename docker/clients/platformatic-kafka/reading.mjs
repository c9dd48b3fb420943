/**
 * One MessagesStream, read in the ways that Node.js gives: as a paused stream (`read()` while a
 * 'readable' listener is attached), by its async iterator, or by a pipeline.
 *
 * Nothing is attached before the first read: the client fetches for a stream only once somebody
 * reads from it. From then on it fills its buffer up to its own high-water mark also between two
 * reads, as it does between two turns of a `for await`. An iterator that waits cannot be told to
 * stop: what it waits for is kept, and is the first that the next reader gets.
 */
import { Refused } from "./outcomes.mjs";

export class Reading {
  error = null; // what destroyed the stream
  #listening = false;
  #iterator = null;
  #pending = null; // the iterator's next message
  #kept = null; // what it waited for
  #wake = null;

  /** @param stream a MessagesStream @param {(error: Error) => void} onError the stream is dead */
  constructor(stream, onError) {
    this.stream = stream;
    this.aborting = false; // this driver ends it
    stream.on("error", (error) => {
      if (!this.aborting) {
        this.error = error;
        onError(error);
      }
      this.wake();
    });
    stream.once("close", () => this.wake());
  }

  /** Records that the client holds. */
  get buffered() {
    return this.stream.readableLength + (this.#kept === null ? 0 : 1);
  }

  /** Whether this driver ended it, and another has to be made. */
  get spent() {
    return this.aborting && this.stream.destroyed;
  }

  /** Messages that are there, at most so many. */
  take(most) {
    const messages = [];
    if (this.#pending !== null) {
      this.#adopt(); // the iterator is before us
      return messages;
    }
    if (this.#kept !== null) {
      messages.push(this.#kept);
      this.#kept = null;
    }
    this.#listen();
    while (messages.length < most) {
      const message = this.stream.read();
      if (message === null) {
        break;
      }
      messages.push(message);
    }
    return messages;
  }

  /** Wait until there may be something to take; ends early with `wake`. */
  async wait(ms) {
    let timer;
    await new Promise((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, Math.max(ms, 0));
    });
    clearTimeout(timer);
    this.#wake = null;
  }

  wake() {
    this.#wake?.();
  }

  /** What the iterator waited for in vain for the last reader; null if nothing. */
  takeKept() {
    const message = this.#kept;
    this.#kept = null;
    return message;
  }

  /** What the stream's async iterator gives next: the promise itself, which costs nothing more. */
  next() {
    this.#iterator ??= this.stream.iterator({ destroyOnReturn: false });
    return (this.#pending ??= this.#iterator.next());
  }

  /** Take what a promise of `next` gave; false where another reader has it already. */
  accept(next) {
    if (this.#pending !== next) {
      return false;
    }
    this.#pending = null;
    return true;
  }

  /** Keep what the iterator still waits for, once it comes. */
  #adopt() {
    const mine = this.#pending;
    const keep = ({ value }) => {
      if (this.#pending === mine) {
        this.#pending = null;
        this.#kept = value ?? null;
      }
      this.wake();
    };
    mine.then(keep, () => this.wake());
  }

  /** Let go of the stream, so that a pipeline can take it. */
  async release() {
    if (this.#pending !== null) {
      throw new Refused("pipeline: this stream's iterator still waits; open another consumer");
    }
    if (this.#kept !== null) {
      this.stream.unshift(this.#kept);
      this.#kept = null;
    }
    if (this.#listening) {
      this.stream.off("readable", this.#onReadable);
      this.#listening = false;
    }
    await this.#iterator?.return();
    this.#iterator = null;
    await new Promise(setImmediate); // the stream looks at its listeners in the next tick
  }

  /** The stream for a pipeline that this driver ends; the pipeline destroys it then. */
  abortable(signal) {
    signal.addEventListener("abort", () => (this.aborting = true));
    return this.stream;
  }

  /** Close it as the client does. */
  async close() {
    this.aborting = true;
    await this.stream.close();
  }

  #onReadable = () => this.wake();

  #listen() {
    if (!this.#listening) {
      this.#listening = true;
      this.stream.on("readable", this.#onReadable);
    }
  }
}
