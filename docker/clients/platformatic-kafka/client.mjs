/**
 * One client inside the driver: runs its commands in order, one at a time.
 *
 * `close` is the exception: it takes effect as soon as it is read. Waits of the driver's own (a
 * poll, a loop) end at once. An operation that waits for the client is ended by the client itself:
 * its close is called beside it, which this client allows, and the operation then ends with what
 * the client says. An operation that has not ended 100 ms after the close is `info`. A close that
 * the client never finishes is never answered: that is for the lab to see.
 */
import { Connections } from "./connections.mjs";
import { commandOutcome, describe, Outcome, Refused } from "./outcomes.mjs";
import { forget } from "./runtime_metrics.mjs";

const GRACE_MS = 100;
const END = { op: "end" };

export class Client {
  finished = false;
  native = null;
  connections = null;
  closeBy = null; // performance.now(); set as soon as a close was asked for
  loop = null; // the loop that runs
  stoppedLoops = new Set();
  #commands = [];
  #running = null; // the command that runs
  #giveUp = null; // ends what runs as an outcome
  #closed = null; // promise of the client's close
  #ended;
  #resolveEnded;

  constructor(wire, name, siblings) {
    this.wire = wire;
    this.name = name;
    this.siblings = siblings; // all clients of this process
    this.#ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  /** Whether whatever runs should end now. */
  get closing() {
    return this.closeBy !== null;
  }

  /** Queue a command; a close takes effect on what runs. */
  take(command) {
    this.#commands.push(command);
    if (command.op === "close") {
      this.#askToClose(command.timeout_ms);
    }
    if (!this.#running) {
      this.#run();
    }
  }

  /** Close without a command, at the end of the process; resolves when it has. */
  async shut(timeoutMs) {
    if (!this.finished) {
      this.#commands.push(END);
      this.#askToClose(timeoutMs);
      if (!this.#running) {
        this.#run();
      }
      await this.#ended;
    }
  }

  /** End a loop early, also one that has yet to begin. */
  stopLoop(id) {
    this.stoppedLoops.add(id);
    if (this.loop?.id === id) {
      this.loop.end();
    }
  }

  /** Report something of this client. */
  event(type, fields) {
    fields.client = this.name;
    this.wire.emit(type, fields);
  }

  /** Report how a command ended. */
  answer(command, kind, fields) {
    this.event(kind, { id: command.id, op: command.op, ...fields });
  }

  /** Report an error that belongs to no command. */
  reportError(error, fatal) {
    this.event("error", { error: describe(error), fatal });
  }

  /** Follow what every client of this library tells of itself. */
  watch(native) {
    this.native = native;
    native.on("error", (error) => this.reportError(error, true));
    this.connections = new Connections(native, (address) =>
      this.reportError(new Refused(`no connection to ${address}`), false),
    );
  }

  async #run() {
    for (let command = this.#commands.shift(); command; command = this.#commands.shift()) {
      this.#running = command;
      if (command === END) {
        await this.#close().catch((error) => this.reportError(error, false));
        this.finished = true;
      } else {
        await this.#execute(command);
      }
      if (this.wire.full) {
        await this.wire.drained();
      }
      if (this.finished) {
        forget(this);
        this.#resolveEnded();
      }
    }
    this.#running = null;
  }

  async #execute(command) {
    const { op } = command;
    this.answer(command, "invoke");
    if (this.finished) {
      const error = describe(new Refused(`client '${this.name}' is not open`));
      this.answer(command, "fail", { error });
      return;
    }
    try {
      const fields = await this.#work(command);
      this.finished = op === "close";
      if (fields !== ANSWERED_LATER) {
        this.answer(command, "ok", fields);
      }
    } catch (error) {
      this.finished = op === "open" || op === "close";
      const known = error instanceof Outcome;
      const kind = known ? error.kind : commandOutcome(op, error);
      this.answer(command, kind, known ? error.fields : { error: describe(error) });
    }
  }

  #work(command) {
    const { op } = command;
    if (op === "close") {
      return this.#close();
    }
    const method = this[`op_${op}`];
    if (method === undefined) {
      throw new Refused(`${op}: not an operation of this client's role`);
    }
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      method.call(this, command).then(resolve, reject);
    });
  }

  #askToClose(timeoutMs) {
    this.closeBy ??= performance.now() + timeoutMs;
    this.interruptWork();
    const { op } = this.#running ?? { op: "close" };
    if (op !== "close" && !this.endsByItself(op)) {
      const over = () => setTimeout(() => this.#abandon(op), GRACE_MS);
      this.#close().then(over, over);
    }
  }

  #abandon(op) {
    const error = describe(new Refused(`${op}: the client was closed before it ended`));
    this.#giveUp?.(new Outcome(commandOutcome(op, new Error("closed")), error));
  }

  #close() {
    this.#closed ??= this.closeNative();
    return this.#closed;
  }

  // For subclasses.

  /** Whether an operation that runs looks at `closing` itself. */
  endsByItself(op) {
    return op === "produce" || op === "consume" || op === "poll";
  }

  /** A close was asked for: wake what waits. */
  interruptWork() {
    this.loop?.end();
  }

  /** Close as the client itself does it; safe when `open` failed. */
  async closeNative() {
    await this.native?.close();
  }

  /** Records that the client holds, or null. */
  buffered() {
    return null;
  }
}

/** Returned by a command whose completion is reported by a callback. */
export const ANSWERED_LATER = Symbol("answered later");
