"""Is a transaction all or nothing, invisible until it commits, and its producer the only one?

Operations: `txn` (init, begin, commit, abort, send_offsets), `send`, `poll`, and `open`, which says
who has which transactional id, and who reads with isolation read_committed.

A transaction is what one client sent between `begin` and the `commit` or `abort` that was
acknowledged, or its next `begin` or `open`. It is *committed* (commit acknowledged), *aborted*
(abort acknowledged, or commit refused for certain), *unknown* (a commit was asked for, and nobody
knows what came of it) or *open* (nobody asked to commit it: it cannot be committed).

Only what a client was given that was opened with isolation read_committed proves anything here:
with read_uncommitted all of it is legal, and an unset isolation is the client's own default, which
differs from client to client. Times of different clients compare, since hosts share one clock.

    precommitted-read   a record was given out by a poll that had ended before the commit of its
                        transaction was asked for, or to the transaction itself. Where the poll had
                        ended before the transaction began, or where both read each other, it is
                        on a cycle (cycles.py), and counted there, if that is judged.
    torn-transaction    a transaction took effect for a reader (committed or unknown, one of its
                        records was given out after the commit was asked for), and another record of
                        it, acknowledged, was given to no such reader, though one that was due to
                        read it went past. An unknown transaction may be there or not; but it
                        is there or not as a whole, so one visible record makes the rest owed.
    zombie-write        a record was accepted (acknowledged, or given to anybody) that was sent
                        after another producer with the same transactional id had ended its `init`,
                        which began after the sender's own had ended: it has the newer epoch.
    control-batch-leak  a client was given a commit or abort marker as if it was data: a record
                        without a payload, at an offset that no acknowledged send has, of a
                        partition with transactions, whose key is that of a control record (a
                        version 0 and a type 0 or 1, 16 bits each). Where the driver shows no key,
                        or none came: if in addition no send to that partition lacks an offset.

Each broken record is counted once. What was read of an aborted transaction is G1a's (loss.py). A
record that is missing is torn-transaction's where a part of its transaction was visible, else
lost-write's or unseen's if it was committed, and nobody's if not. Without a reader that went past,
it is unseen's. A zombie's records are zombie-write's alone, but where their send failed: G1a.
A marker is no corrupt-value.

Not checked: a zombie's commit; who reads with an isolation that only the client's own options set;
markers that a client hands out without saying that it read no payload.

Sources: KIP-98, KIP-890; Jepsen's Kafka workload, https://github.com/jepsen-io/redpanda
(precommitted-read).
"""

from __future__ import annotations

from kafkalab.checkers.cycle_search import solve
from kafkalab.checkers.protocol import HistoryView, decided_where
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_EARLY = """
SELECT value, topic, part AS "partition", off AS "offset", sender, process AS reader,
       idx AS row_read, txn AS row_begun, state AS transaction
FROM early WHERE idx NOT IN (SELECT idx FROM cyclic_reads) ORDER BY idx
"""

_TORN = """
SELECT value, topic, part AS "partition", off AS "offset", process AS sender, ack_idx AS row_acked,
       txn AS row_begun, value_read, row_read, reader AS reader_that_went_past
FROM torn ORDER BY topic, part, off
"""

_ZOMBIES = """
SELECT value, topic, coalesce(part, requested) AS "partition", off AS "offset", process AS sender,
       id AS transactional_id, invoke_idx AS row_sent, ack_idx AS row_acked, row_read,
       (invoke_ns - fenced_ns) / 1e6 AS ms_after_fencing
FROM zombies ORDER BY invoke_idx
"""

_MARKERS = """
SELECT topic, part AS "partition", off AS "offset", problem, process AS reader, idx AS row_read
FROM markers ORDER BY idx
"""


def precommitted_read(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A record was given out before its transaction was asked to commit."""
    del context
    solve(view)
    return decided_where(
        view,
        "precommitted-read",
        "SELECT count(*) FROM txn_reads",
        "no record of a transaction was given to a client opened with isolation read_committed",
        _EARLY,
        "{count} records were given out before their transaction was asked to commit",
    )


def torn_transaction(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A part of a transaction is visible, and another is not."""
    del context
    view.use("torn")
    return decided_where(
        view,
        "torn-transaction",
        """SELECT count(*) FROM (SELECT txn FROM sends WHERE acked AND txn IN
           (SELECT txn FROM visible) GROUP BY txn HAVING count(*) > 1)""",
        "no transaction of several records was seen by a client with isolation read_committed",
        _TORN,
        "{count} records are missing from transactions of which a part was read",
    )


def zombie_write(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A write was accepted after its producer had been fenced."""
    del context
    view.use("zombies")
    return decided_where(
        view,
        "zombie-write",
        """SELECT count(*) FROM sends s ASOF JOIN inits i
           ON i.process = s.process AND i.end_ns <= s.invoke_ns WHERE s.invoke_ns > i.fenced_ns""",
        "no producer that another had fenced went on to send",
        _ZOMBIES,
        "{count} writes were accepted of a producer that had been fenced",
    )


def control_batch_leak(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A marker was given out as data."""
    del context
    view.use("markers")
    return decided_where(
        view,
        "control-batch-leak",
        """SELECT count(*) FROM (SELECT DISTINCT d.topic, d.part FROM deliveries d JOIN
           (SELECT DISTINCT topic, part FROM sends WHERE txn IS NOT NULL) s USING (topic, part))""",
        "nothing was read from a partition with transactions",
        _MARKERS,
        "{count} control records were given out as data",
    )
