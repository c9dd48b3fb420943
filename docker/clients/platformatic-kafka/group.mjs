/**
 * What the group gives and takes, as far as the client shows it.
 *
 * The client has no callbacks for assignments: it says that it joined, left, or that the group
 * rebalances, and its `assignments` hold what it fetches from. So this compares them:
 *
 *   eager protocols      each join gives everything anew, from the committed offsets on; so all
 *                        that was held is reported as revoked, and what is held now as assigned.
 *                        What the client delivers between the group's call and its join it delivers
 *                        as the old owner.
 *   cooperative, KIP-848 only the difference is reported. The client tells of no change as it
 *                        happens: it is seen at its next heartbeat, which follows at once.
 *
 * `lost` instead of `revoked` is what a member held that the group has put out: the client is given
 * another member id, or its heartbeat is answered with one of FENCED.
 *
 * `assign` has no equal in this client, which consumes in groups only. Its `assignments` are public
 * and are what its streams fetch from, so a consumer that is assigned joins its group and then has
 * them set to what was asked for, after each join. Such a consumer reports no events, as with any
 * client.
 */
const FENCED = new Set(["FENCED_MEMBER_EPOCH", "UNKNOWN_MEMBER_ID", "FENCED_INSTANCE_ID"]);

export class Group {
  wanted = null; // assignments set by hand: [{topic, partitions: [..]}, ..]
  #client;
  #native;
  #incremental;
  #held = []; // [[topic, partition], ..]
  #seen = null; // the client's list when it was last looked at
  #generation = null;
  #member = null;
  #fenced = false;

  /** @param client reports events @param native a Consumer @param incremental see above */
  constructor(client, native, incremental) {
    this.#client = client;
    this.#native = native;
    this.#incremental = incremental;
    native.on("consumer:group:join", () => this.#onJoin());
    native.on("consumer:group:leave", () => this.#take("revoked", this.#held));
    native.on("consumer:group:rebalance", () => this.#look());
    native.on("consumer:heartbeat:start", () => this.#look());
    native.on("consumer:heartbeat:end", () => this.#look());
    native.on("consumer:heartbeat:error", ({ error }) => this.#onHeartbeatError(error));
  }

  #onHeartbeatError(error) {
    const said = (error?.errors ?? [error]).some((each) => FENCED.has(each?.apiId));
    this.#fenced ||= said;
    this.#client.reportError(error, false);
  }

  #onJoin() {
    const { memberId, generationId } = this.#native;
    if (this.wanted !== null) {
      this.#native.assignments = this.wanted;
      return;
    }
    const replaced = this.#member !== null && this.#member !== memberId;
    if (this.#incremental) {
      this.#fenced ||= replaced;
      this.#look();
    } else {
      this.#take(replaced ? "lost" : "revoked", this.#held);
    }
    this.#generation = generationId || null; // 0 where the protocol's epoch is kept private
    this.#member = memberId;
    if (!this.#incremental) {
      this.#seen = this.#native.assignments;
      this.#give(flat(this.#seen));
    }
  }

  /** Report how assignments differ from when they were last seen, where they change in steps. */
  #look() {
    const now = this.#native.assignments;
    if (!this.#incremental || this.wanted !== null || now === this.#seen) {
      return;
    }
    this.#seen = now;
    const held = flat(now);
    const key = ([topic, partition]) => `${topic}/${partition}`;
    const before = new Set(this.#held.map(key));
    const after = new Set(held.map(key));
    this.#take(
      this.#fenced ? "lost" : "revoked",
      this.#held.filter((each) => !after.has(key(each))),
    );
    this.#fenced = false;
    this.#generation = this.#native.generationId || null;
    this.#member = this.#native.memberId;
    const added = held.filter((each) => !before.has(key(each)));
    if (added.length > 0) {
      this.#give(added);
    }
    this.#held = held;
  }

  #give(partitions) {
    this.#held = [...this.#held, ...partitions];
    this.#report("assigned", partitions);
  }

  #take(kind, partitions) {
    if (partitions.length > 0) {
      const taken = new Set(partitions);
      this.#held = this.#held.filter((each) => !taken.has(each));
      this.#client.onTaken(partitions);
      this.#report(kind, partitions);
    }
  }

  #report(kind, partitions) {
    const fields = { partitions, generation: this.#generation, member: this.#member };
    this.#client.event(kind, fields);
  }
}

function flat(assignments) {
  return (assignments ?? []).flatMap(({ topic, partitions }) =>
    partitions.map((partition) => [topic, partition]),
  );
}
