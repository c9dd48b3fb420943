/**
 * The driver of @platformatic/kafka: obeys docs/driver-contract.md on stdin and stdout.
 *
 * All is one thread, as in any program of this client. What reads commands never waits for a
 * client; each client runs its own in order (client.mjs). An error that the client throws where
 * nothing of this driver is on the stack is not caught: it ends the process, as it would end a
 * user's.
 */
import { Wire, integer, parse } from "./wire.mjs"; // first: it takes stdout
import { AdminRole } from "./admin.mjs";
import { ConsumerClient } from "./consumer.mjs";
import { capabilities, HAS_ADMIN, PACKAGE, VERSION } from "./library.mjs";
import { describe, Refused } from "./outcomes.mjs";
import { ProducerClient } from "./producer.mjs";
import { runtimeMetrics, startMeasuring } from "./runtime_metrics.mjs";

const CONTRACT = 1;
const EXIT_MS = 9000; // how long clients get to close at the end of the process
const ROLES = {
  producer: ProducerClient,
  consumer: ConsumerClient,
  ...(HAS_ADMIN ? { admin: AdminRole } : {}),
};
const FIELDS = {
  open: ["role", "bootstrap"],
  send: ["topic", "records"],
  subscribe: ["topics"],
  assign: ["partitions"],
  poll: ["max_records", "timeout_ms"],
  commit: ["mode"],
  committed: ["partitions"],
  position: ["partitions"],
  seek: ["offsets"],
  pause: ["partitions"],
  resume: ["partitions"],
  txn: ["action"],
  close: ["timeout_ms"],
  create_topic: ["topic", "partitions", "replication"],
  describe_cluster: [],
  end_offsets: ["partitions"],
  group_offsets: ["group", "partitions"],
  produce: ["topic", "record_bytes"],
  consume: ["style"],
};

class Host {
  #wire;
  #clients = new Map();
  #ending = false;

  constructor(wire) {
    this.#wire = wire;
  }

  /** Carry out one line; one that cannot be is answered, and the driver lives on. */
  line(text) {
    let command = null;
    try {
      command = parse(text);
      if (command === null || typeof command !== "object" || Array.isArray(command)) {
        throw new Refused("expected a JSON object");
      }
      this.#dispatch(command);
    } catch (error) {
      this.#refuse(command, error);
    }
  }

  #dispatch(command) {
    need(command, ["id", "op"]);
    const { op } = command;
    const immediate = NOW[op];
    if (immediate !== undefined) {
      const fields = this[immediate](command);
      this.#wire.emit("invoke", base(command));
      this.#wire.emit("ok", { ...base(command), ...fields });
      return;
    }
    if (!Object.hasOwn(FIELDS, op)) {
      throw new Refused(`unknown op '${op}'`);
    }
    need(command, ["client", ...FIELDS[op]]);
    (op === "open" ? this.#open(command) : this.#client(command)).take(command);
  }

  #open(command) {
    const { client: name, role } = command;
    const before = this.#clients.get(name);
    if (before !== undefined && !before.finished) {
      throw new Refused(`client '${name}' is open already`);
    }
    if (!Object.hasOwn(ROLES, role)) {
      throw new Refused(`role: expected one of ${Object.keys(ROLES).join(", ")}, found '${role}'`);
    }
    const client = new ROLES[role](this.#wire, name, this.#clients);
    this.#clients.set(name, client);
    return client;
  }

  #client({ client: name }) {
    const client = this.#clients.get(name);
    if (client === undefined || client.finished) {
      throw new Refused(`client '${name}' is not open`);
    }
    return client;
  }

  #refuse(command, error) {
    const described = describe(error);
    const id = command?.id;
    if (Number.isInteger(id) || typeof id === "bigint") {
      this.#wire.emit("invoke", base(command));
      this.#wire.emit("fail", { ...base(command), error: described });
    } else {
      this.#wire.emit("error", { client: null, error: described, fatal: false });
    }
  }

  // Commands that no client has to run.

  clock() {
    return { wall_ns: wallNs() };
  }

  stats(command) {
    return { runtime: runtimeMetrics(command.client == null ? null : this.#client(command)) };
  }

  stop(command) {
    need(command, ["loop"]);
    this.#clients.forEach((client) => client.stopLoop(command.loop));
  }

  /** Close every client, all at once, and leave with 0: at the end of stdin and on SIGTERM. */
  async end() {
    if (this.#ending) {
      return;
    }
    this.#ending = true;
    const closed = [...this.#clients.values()].map((client) => client.shut(EXIT_MS));
    const late = setTimeout(() => process.exit(0), EXIT_MS);
    await Promise.all(closed);
    await this.#wire.flushed();
    clearTimeout(late);
    process.exit(0);
  }
}

const NOW = { clock: "clock", stats: "stats", stop: "stop" };

function need(command, fields) {
  const missing = fields.find((field) => !(field in command));
  if (missing !== undefined) {
    throw new Refused(`${command.op ?? "command"}: expected the field '${missing}'`);
  }
}

function base({ id, op, client }) {
  return { id: typeof id === "bigint" ? integer(id) : id, op: op ?? null, client: client ?? null };
}

/** The wall clock. What the process counted since its start may drift; Date says by how much. */
function wallNs() {
  const ms = Date.now();
  const counted = performance.timeOrigin + performance.now() - ms;
  const us = Math.floor(Math.min(Math.max(counted, 0), 0.999) * 1000);
  return integer(BigInt(ms) * 1_000_000n + BigInt(us * 1000));
}

function hello(wire) {
  wire.emit("hello", {
    contract: CONTRACT,
    driver: "platformatic-kafka",
    client: { name: PACKAGE, version: VERSION, library: `${PACKAGE} ${VERSION}` },
    runtime: { name: "node", version: process.versions.node },
    pid: process.pid,
    wall_ns: wallNs(),
    capabilities: capabilities(),
  });
}

async function main() {
  const wire = new Wire(() => process.exit(1)); // the lab is gone
  const host = new Host(wire);
  process.on("SIGTERM", () => host.end());
  startMeasuring();
  hello(wire);
  let rest = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      host.line(Buffer.concat([rest, chunk.subarray(from, end)]).toString());
      rest = Buffer.alloc(0);
      from = end + 1;
      if (wire.full) {
        await wire.drained();
      }
    }
    rest = Buffer.concat([rest, chunk.subarray(from)]);
  }
  await host.end();
}

await main();
