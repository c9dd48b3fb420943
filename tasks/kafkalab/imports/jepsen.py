"""Histories of Jepsen's Kafka workload (`history.edn` in its store) as histories of the lab.

An operation there is one map: `:type` invoke, ok, fail or info, `:process`, `:f`, `:time`,
`:index`, and in `:value` what it did. How each becomes rows here:

- A key is a topic and partition of the test's own naming: topic `KEY`, partition 0.
- A value is unique within its key only, so each pair of key and value gets a number of its own.
  `Original` leads back: from numbers to key and value, from rows to the operation's `:index`.
- A process is one client, producer and consumer in one, opened with its first operation. Nothing
  in a history says how; what Jepsen's checker takes for granted stands in its `open`: it reads
  read_committed and from the beginning, and a send waits for the one before it, so that the order
  of a producer is kept whatever its configuration.
- `:send`, `:poll` and `:txn` hold `[:send k v]`, answered by `[:send k [offset v]]`, and `[:poll]`,
  answered by `[:poll {k [[offset v] ...]}]`. All sends of an operation are one command, and all
  its polls: what Jepsen calls internal. In a test with `:txn` operations all three are
  transactions: begin and commit (abort, if it failed) lie around them. When a commit was asked for
  is not recorded, so it counts as asked for at once.
- Of an operation that ended as info, nobody knows whether its sends took effect, whatever offsets
  it shows; but one of its values that was read proves that it did, and then its sends with an
  offset are acknowledged (Jepsen's must-have-committed?).
- What was polled was given out, however the operation ended. If it did not end as ok, the client
  goes back to where it was (Jepsen's clients do that): a seek.
- `:assign` replaces what a process reads. Keys that it had before keep their position, so only
  new ones are rows. `:seek-to-beginning?` assigns at offset 0.
- `:subscribe` makes it a member of the one group. Rebalances show only in the `:rebalance-log` of
  transactions, so a member may have lost its position before each operation (the event `lost`
  without a partition), and that of a key in the log before each of its polls.
- `:crash` kills the client. Other operations (of the nemesis, `:debug-...`) are left out.

Claims: those that Jepsen's checker knows (CLAIMS); of them, where nobody has transactions, not
those of transactions, and where somebody subscribes, not `poll-skip` and `nonmonotonic-poll`, which
Jepsen allows there, too. The others rest on what its histories lack:
assignments, commits, contents, how a client was opened.

Where the verdict may differ from Jepsen's, beside that: a value that only a failed operation was
given counts as read here; sends are in order across a change of the assignment; after an
operation that failed, a client is not held to come back to where it was.

Sources: jepsen.tests.kafka in https://github.com/jepsen-io/jepsen and its tests;
jepsen.redpanda.workload.queue in https://github.com/jepsen-io/redpanda.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from kafkalab.imports.edn import EdnError, forms
from kafkalab.imports.jepsen_rows import RECORDS, Original, Writer
from kafkalab.model.errors import UsageError

CLAIMS = (
    "lost-write", "unseen", "G1a", "duplicate", "inconsistent-offsets",
    "poll-skip", "int-poll-skip", "nonmonotonic-poll", "int-nonmonotonic-poll",
    "nonmonotonic-send", "int-nonmonotonic-send", "int-send-skip", "precommitted-read",
    "G0", "G0-process", "G0-realtime", "G1c", "G1c-process", "G1c-realtime",
)  # fmt: skip

# what can be broken only where there are transactions
_OF_TRANSACTIONS = ("precommitted-read", "G0", "G0-process", "G0-realtime", "G1c")
# what a rebalance that nobody sees looks like
_OF_ASSIGNED = ("poll-skip", "nonmonotonic-poll")

_MOVES = (":assign", ":subscribe")


@dataclass(frozen=True)
class Imported:
    """A history of the lab, and the way back."""

    table: pa.Table
    original: Original
    claims: tuple[str, ...]  # those of CLAIMS that it can show
    left_out: int  # operations of other kinds


def read(text: str) -> Imported:
    """The history that a `history.edn` holds: one map a line, or all in one vector.

    Raises:
        UsageError: it is no EDN, or no history of that workload.
    """
    try:
        found = [form for form in forms(text) if form is not None]
    except EdnError as error:
        raise UsageError(f"expected a Jepsen history in EDN, found no EDN: {error}.") from error
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    if not all(isinstance(op, dict) and ":type" in op and ":f" in op for op in found):
        odd = next(op for op in found if not (isinstance(op, dict) and ":type" in op))
        raise UsageError(
            f"expected operations such as {{:type :invoke, :f :poll, ...}}, found {str(odd)[:60]}. "
            "Give the history.edn of the test, not its results or its test map."
        )
    ops = [op for op in found if op[":f"] in (*RECORDS, *_MOVES, ":crash")]
    if not any(op[":f"] in RECORDS for op in ops):
        others = sorted({str(op[":f"]) for op in found})
        raise UsageError(
            "expected a history of Jepsen's Kafka workload, with operations :send, :poll or :txn, "
            f"found {', '.join(others) or 'none'}."
        )
    writer = Writer(ops)
    for place, op in enumerate(ops):
        try:
            writer.add(op)
        except (TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
            raise UsageError(
                f"operation {op.get(':index', place)}: expected micro-operations [:send k v] and "
                f"[:poll {{k [[offset v] ...]}}], found {str(op.get(':value'))[:80]} ({error!r})."
            ) from error
    kinds = {op[":f"] for op in ops}
    beyond = (() if ":txn" in kinds else _OF_TRANSACTIONS) + (
        _OF_ASSIGNED if ":subscribe" in kinds else ()
    )
    claims = tuple(claim for claim in CLAIMS if claim not in beyond)
    return Imported(writer.table(), writer.original(), claims, len(found) - len(ops))
