/**
 * How a produce loop hands records to the client. Both ways are the client's own.
 *
 * BySend    `send()` with many messages, which is one request to each broker concerned. It is what
 *           the client's documentation and benchmarks do for throughput, and the default here. A
 *           closed loop keeps as many sends running as the client keeps requests in flight on a
 *           connection.
 * ByStream  `asStream()`, a Writable that collects records for a time (`batchTime`, the portable
 *           `linger_ms`) and has a bounded buffer. It sends one batch at a time, so it is slower,
 *           and it is used only where one of its options was given. It reports batches, in the
 *           order of writing, and one error destroys it with all that it holds; the loop then goes
 *           on with a new one.
 *
 * With `acks` 0 the client answers as soon as the bytes are with the socket, and names nodes whose
 * socket has no room (where its option `handleBackPressure` is set): a loop then waits for
 * 'client:broker:drain', as its documentation says.
 */
import { setTimeout } from "node:timers/promises";
import { kafka } from "./library.mjs";
import { Refused } from "./outcomes.mjs";

const GRACE_MS = 100;
const WINDOW = kafka.defaultOptions?.maxInflights ?? 5;

export class BySend {
  #client;
  #owner;
  #loop;
  #running = new Map(); // promise of a send → its chunk
  #ending = false;
  #gaveUp = false;
  #wake = null;
  #room = null; // resolves when a socket has room again
  #roomy = null;

  /** @param client a ProducerClient @param owner is told what became of records @param loop */
  constructor(client, owner, loop) {
    this.#client = client;
    this.#owner = owner;
    this.#loop = loop;
    client.native.on("client:broker:drain", this.#onRoom);
    loop.ended.then(() => this.#wake?.());
  }

  #onRoom = () => {
    this.#roomy?.();
    this.#room = null;
  };

  /** Hand over a chunk; an open loop does not wait for room. */
  async take(chunk, open = false) {
    while (!open && this.#running.size >= WINDOW && !this.#loop.over) {
      await new Promise((resolve) => (this.#wake = resolve));
    }
    const work = this.#send(chunk).then(() => {
      this.#running.delete(work);
      this.#wake?.();
    });
    this.#running.set(work, chunk);
  }

  async #send(chunk) {
    this.#client.held += chunk.count;
    try {
      const result = await this.#client.send(chunk.messages);
      if (this.#gaveUp) {
        return;
      }
      this.#owner.acknowledged(chunk, chunk.count, result);
      if (result.unwritableNodes?.length && !this.#ending) {
        this.#room ??= new Promise((resolve) => (this.#roomy = resolve));
        await this.#room;
      }
    } catch (error) {
      this.#owner.failed(chunk, error);
    } finally {
      this.#client.held -= chunk.count;
    }
  }

  /** Wait until everything is reported; a close gives up when its time is over. */
  async flush() {
    this.#ending = true;
    this.#onRoom();
    while (this.#running.size > 0 && !this.#client.impatient) {
      await this.#client.patience(this.#running.keys());
    }
    this.#client.native.off("client:broker:drain", this.#onRoom);
    if (this.#running.size > 0) {
      await this.#client.closeNative(); // ends what runs
      await setTimeout(GRACE_MS);
      this.#gaveUp = true; // what the client has not ended now counts as given up
      const error = new Refused("closed before it was acknowledged");
      this.#running.forEach((chunk) => this.#owner.failed(chunk, error));
    }
  }
}

export class ByStream {
  #client;
  #owner;
  #loop;
  #stream = null;
  #held = []; // chunks, oldest first
  #wake = null;

  constructor(client, owner, loop) {
    this.#client = client;
    this.#owner = owner;
    this.#loop = loop;
  }

  /** Write a chunk; waits while the stream has no room. */
  async take(chunk) {
    this.#stream ??= this.#open();
    const stream = this.#stream;
    this.#held.push(chunk);
    this.#client.held += chunk.count;
    for (const message of chunk.messages) {
      if (chunk.done === chunk.count) {
        return; // it failed, and the stream with it
      }
      if (!stream.write(message)) {
        await this.#room(stream);
      }
    }
  }

  #open() {
    const options = { ...this.#client.sendOptions, ...this.#client.streamOptions };
    const stream = this.#client.native.asStream({ ...options, reportMode: "batch" });
    stream.on("delivery-report", ({ count, result }) => this.#reported(count, result));
    stream.on("error", (error) => this.#failed(stream, error));
    stream.on("drain", () => this.#wake?.());
    return stream;
  }

  async #room(stream) {
    while (stream.writableNeedDrain && !stream.destroyed && !this.#client.impatient) {
      await this.#client.patience([new Promise((resolve) => (this.#wake = resolve))]);
    }
  }

  #reported(count, result) {
    let left = count;
    while (left > 0) {
      const chunk = this.#held[0];
      const part = Math.min(left, chunk.count - chunk.done);
      this.#owner.acknowledged(chunk, part, result);
      this.#client.held -= part;
      left -= part;
      if (chunk.done === chunk.count) {
        this.#held.shift();
      }
    }
    this.#wake?.();
  }

  #failed(stream, error) {
    if (stream !== this.#stream) {
      return;
    }
    this.#stream = null;
    for (const chunk of this.#held.splice(0)) {
      this.#client.held -= chunk.count - chunk.done;
      this.#owner.failed(chunk, error);
    }
    this.#wake?.();
  }

  /** End the stream, which sends what it holds; a close gives up when its time is over. */
  async flush() {
    const stream = this.#stream;
    if (stream === null) {
      return;
    }
    let done = false;
    const ended = stream.close().catch((error) => this.#failed(stream, error));
    ended.then(() => (done = true));
    while (!done && !this.#client.impatient) {
      await this.#client.patience([ended]);
    }
    if (!done) {
      await this.#client.closeNative(); // ends what runs
      this.#failed(stream, new Refused("closed before it was sent"));
    }
  }
}
