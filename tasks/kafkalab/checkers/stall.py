"""Does a consumer that has something to read keep reading? The claim `stall`.

Operations: `poll` (when one was in flight, what it gave out), acknowledged `send`s, and what says
who is responsible for a partition: the events `assigned`, `revoked`, `lost`, the commands
`assign`, `pause`, `resume`, and the client's life (`open` ... `close`, or the event `kill`).

A *reader* is one client, for the partitions that it owns: assigned, not paused, alive. Beside that,
a subscribed group as a whole is one more reader, of every partition of the topics that its members
were ever assigned, or given, or named in `subscribe` (of every topic sent to, if there is no such
sign), up to the first `pause` of it by any of them. That finds the rebalance that never ends, when
nobody owns anything; it is reported only where no single client of the group explains the same
time.

A record is *available* to a reader from the moment at which its send was acknowledged, all
transactions that wrote at or below it had ended (the relation `held`) and the reader was
responsible for its partition, if the reader has not been given it (its value, or an offset at or
beyond it: what was passed over is loss, see loss.py) and is due to read it (it neither starts
further on nor skipped it). A group that begins at the end (offset_reset latest) begins there anew
wherever nothing is committed: it is due to read only from what it was given since the
partition was assigned last, or else from what was known to be committed by then.

    stall   for longer than stall_ns a record was available to a reader that was polling, and the
            reader was given nothing at all, from any of its partitions. It ends with the
            reader's next delivery; without one, with its life or finished_ns, whichever is first.

Why per reader and not per partition: a slow consumer with a deep backlog may leave one partition
alone for long and legally. A partition that is never served again is `unseen`, one that is
served too little is `starved-partition`.

Only time spent in `poll` counts, with a second between two polls forgiven: a lab that does not
ask is no stalled client. After a `kill` in the group, the group as a whole has the killed
member's session timeout (45 s if none was configured) to notice. Stalls that a fault excuses, or
that belong to `deadlock` or `unrecovered`, are left out (the relation `causes`, see progress.py).

Not checked: progress after a `seek` backwards until new records are reached; sends that ended as
`info` (nobody may expect them).

The relations behind it stand in stall_tables.py.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, decided, unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_FOUND = """
WITH found AS (
    SELECT reader, list(DISTINCT topic || '/' || part ORDER BY topic || '/' || part) AS partitions,
           sum(records) AS records_waiting, min(first_value) AS first_value,
           max(waited_ns) / 1e6 AS waited_ms, min(from_ns) AS from_ns, to_ns,
           bool_and(at_end) AS until_the_end
    FROM causes WHERE cause = 'stall' GROUP BY reader, to_ns
)
SELECT f.*, s.ack_idx AS row_acked FROM found f LEFT JOIN sends s ON s.value = f.first_value
ORDER BY f.from_ns
"""


def stall(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Records were available and none was delivered for the bound."""
    claim = "stall"
    view.use("polls", "sends")
    if not view.number("SELECT count(*) FROM polls WHERE type = 'invoke'"):
        return unknown(claim, "no client polled: nothing could stall")
    available = "SELECT count(*) FROM sends WHERE acknowledged AND off IS NOT NULL"
    if not view.number(available) + view.quiet("acknowledged"):
        return unknown(claim, "no send was acknowledged with an offset: nothing was available")
    view.use("causes")
    bound = context.stall_ns / 1e9
    return decided(
        claim,
        view.find(_FOUND),
        f"{{count}} times records were available and none was delivered for over {bound:g} s",
        f"no reader with records available went without a delivery for {bound:g} s",
    )
