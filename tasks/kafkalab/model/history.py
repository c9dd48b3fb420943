"""The history: every operation that drivers invoked and how it ended, in order of observation.

One row is one record of one operation: a `send` command of 100 records is 100 rows of type
`invoke` and 100 rows of type `ok`, `fail` or `info`. Operations that carry no record (`close`,
`subscribe`, ...) are one row. What happens without a command (assignments, errors) is one row
of type `event`, per partition where it concerns partitions.

Columns, as (name, dtype), in file order; every column but the first six may be null:

    index       int64   0, 1, 2, ... in order of observation by the lab
    time_ns     int64   the driver's CLOCK_MONOTONIC when it happened
    process     string  the client (contract: `client`), unique in a cell: "p0", "c3"
    type        string  invoke | ok | fail | info | event
    op          string  send | poll | commit | committed | close | ... | assigned | revoked | lost
    op_id       int64   the command's id; invoke and completion share it; −1 for an event
    topic       string
    partition   int32
    offset      int64   send: offset acknowledged; poll: offset of the record; commit and
                        committed: the *next* offset to read, as Kafka stores it (−1: none)
    value       uint64  unique id carried by the payload
    intended    string  poll: "topic/partition" that the payload says it was sent to
    problem     string  poll: null, or checksum | short | foreign | null-value
    error       string  the protocol's error name, or the client's where it has none
    generation  int64   group generation, where the client shows it
    detail      string  JSON with whatever else the event carried

`ok` means it happened, `fail` that it certainly did not, `info` that nobody knows.

What `detail` holds, by op: the invoke of `open` {"role", "config"} (the group is config["group"],
auto-commit config["auto_commit"]); of `subscribe` {"topics"}; of `commit` {"mode"}; the invoke of
`send`, and a polled record, {"content": {"headers", "key", "value"}} where it is not plain
(docs/driver-contract.md, Content), keys sorted; rows of `group_offsets` {"group"} (read by the
lab's admin client, process "admin"); of `offset_commits` {"group", "at_ns": when the coordinator
took it, on the clock of time_ns}, in the order in which the group's offsets topic holds them; of
`close` nothing; the completion of `send` nothing; all rows of `txn` {"action": init | begin |
commit | abort | send_offsets} and, of `send_offsets`,
{"group_of"}: the client whose group's offsets, the *next* to read, become part of the transaction.
One row per partition: `commit`, `committed`, `group_offsets`, `assigned`, `revoked`, `lost`,
`pause`, `resume`, `seek`, `assign`, the `send_offsets` of `txn`. An empty `poll` is a row without
topic. A `kill` (type event, op kill) says that the lab killed the process hosting the client: a
crash by design.

What the lab notes beside `kill`, as rows of type `event` with a `detail`: `fault`, by process
"lab", {"fault": a name that no other fault of the cell has, "phase": "injected" | "healed"};
`sample`, by the client, {"cpu_ms": CPU time that its process has used since its start, "threads":
how many it has, "clients": how many are open in it}, read from outside about twice a second, one
row for each client of the process;
`thread_dump`, by the client, {"text": the dump} or {"uri": where it lies}. They are stamped by the
lab, whose rows may arrive among the driver's in another order than their times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 1

COLUMNS: tuple[tuple[str, str], ...] = (
    ("index", "int64"),
    ("time_ns", "int64"),
    ("process", "string"),
    ("type", "string"),
    ("op", "string"),
    ("op_id", "int64"),
    ("topic", "string"),
    ("partition", "int32"),
    ("offset", "int64"),
    ("value", "uint64"),
    ("intended", "string"),
    ("problem", "string"),
    ("error", "string"),
    ("generation", "int64"),
    ("detail", "string"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a history, in column order."""

    index: int
    time_ns: int
    process: str
    type: str
    op: str
    op_id: int
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    value: int | None = None
    intended: str | None = None
    problem: str | None = None
    error: str | None = None
    generation: int | None = None
    detail: str | None = None


@dataclass(frozen=True)
class CheckContext:
    """What a checker may know beside the history: what was configured, and the bounds.

    `finished_ns` is the CLOCK_MONOTONIC at which the lab stopped reading; a stall that lasts until
    then is measured against it. Partitions are named "topic/partition".
    """

    finished_ns: int
    stall_ns: int = 10_000_000_000  # records available, none delivered for this long: a stall
    close_ns: int = 15_000_000_000  # a close that takes longer is hung
    startup_ns: int = 30_000_000_000  # from `open` to the first usable operation
    settle_ns: int = 15_000_000_000  # a group that does not change for this long has converged
    join_ns: int = 30_000_000_000  # a member that polls must be given its part within this
    rounds_max: int = 3  # rebalances that one change of the members may take; cooperative needs 2
    zombie_ns: int = 10_000_000_000  # a member put out of its group must notice within this
    deadlock_ns: int = 30_000_000_000  # no progress and no CPU for this long: a deadlock
    deadlock_cpu_ratio: float = 0.01  # of one core: below it no CPU; an idle runtime ticks
    recovery_ns: int = 60_000_000_000  # after a fault: a session timeout (45 s) and a rebalance
    watermark_ns: int = 10_000_000_000  # from acknowledged to readable: 20 waits of a fetch
    duplicates_allowed: bool = False  # at-least-once producer: retries may append twice
    redelivery_allowed: bool = False  # a crash or a rebalance without commit happens by design
    fairness_ratio_min: float = 0.0  # B04: least share of the mean; 0 switches the claim off
    measured_partitions: tuple[str, ...] = ()  # partitions that fairness looks at; empty: all
    evidence_max: int = 20  # findings kept per claim

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> CheckContext:
        """Inverse of `dataclasses.asdict` after a JSON round trip."""
        return cls(**{**raw, "measured_partitions": tuple(raw["measured_partitions"])})
