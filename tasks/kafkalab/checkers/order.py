"""Do records come in the order of the log, and lie in the log in the order of their sends?

Operations: `poll` with what it gave out; what may move a client's position: `open`, `subscribe`,
`unsubscribe`, `assign`, `seek`, and the events `assigned`, `revoked`, `lost`; `send` with its
outcome.

A *stretch* is what one client was given of one partition between two of its moves. Within it
offsets rise, and none is left out that is known to be readable: one that somebody was given, or, if
`lost-write` is not judged, one that was acknowledged. What a transaction wrote is readable once it
took effect (the relation `hidden`).

    int-nonmonotonic-poll  within one poll, an offset at or below the one before it.
    nonmonotonic-poll      the same between two polls of a stretch.
    int-poll-skip          two offsets that one poll gave have a readable one between them that the
                           stretch never gave.
    poll-skip              the same where the two came in different polls.
    nonmonotonic-send      a send that was invoked after another of the same producer and partition
                           had been acknowledged lies below it in the log. Of an idempotent or
                           transactional producer also: after another was invoked, since it keeps
                           the order in which it was called (KIP-98).
    int-nonmonotonic-send  the same within one send command, of such a producer.
    int-send-skip          records of others lie between two of one send command. Legal, and
                           reported: a log is shared.

Polls and commands only tell the two forms of a claim apart: where a client was given, or sent, two
records of a partition in a row, both can be judged.

Each broken record is counted once: what a stretch gave twice is delivered-twice's, an offset that
nobody was given is lost-write's or unseen's, if those are judged; a record that came late is
nonmonotonic and not skipped; misplaced records are wrong-topic's, for every client that was given
something at that offset.

Not checked: positions that a client moves by itself after OFFSET_OUT_OF_RANGE; records between two
stretches (the group family).

Source: Jepsen's Kafka workload, https://github.com/jepsen-io/redpanda, whose names these are.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, Relation, decided_where, unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome

# One window tells what follows what; only where something steps back is looked for repetitions.
_STRETCHES = """
WITH moves AS (
    SELECT process, topic, part, idx FROM actions
    WHERE op IN ('open', 'subscribe', 'unsubscribe', 'assign', 'seek')
       OR op IN ('assigned', 'revoked', 'lost')
), touched AS (
    SELECT DISTINCT process, topic, part FROM deliveries
), rows AS (
    SELECT idx, process, topic, part, off, value, op_id, false AS moves
    FROM deliveries WHERE NOT misplaced
    UNION ALL
    SELECT idx, process, topic, part, NULL, NULL, NULL, true FROM moves
    UNION ALL
    SELECT m.idx, t.process, t.topic, t.part, NULL, NULL, NULL, true
    FROM moves m JOIN touched t USING (process) WHERE m.topic IS NULL
), came AS (
    SELECT idx, process, topic, part, off, value, op_id, moves,
           count(*) FILTER (moves) OVER place AS stretch, lag(off) OVER place AS before,
           lag(idx) OVER place AS row_before, lag(op_id) OVER place AS op_before
    FROM rows WINDOW place AS (PARTITION BY process, topic, part ORDER BY idx)
), back AS (
    SELECT DISTINCT process, topic, part FROM came WHERE off <= before
), again AS (
    SELECT idx, row_number() OVER (PARTITION BY process, topic, part, stretch, off ORDER BY idx)
           AS times
    FROM came SEMI JOIN back USING (process, topic, part)
)
SELECT c.* EXCLUDE (moves), coalesce(a.times, 1) AS times
FROM came c LEFT JOIN again a USING (idx) WHERE NOT c.moves
"""

_READABLE = """
WITH places AS (
    SELECT topic, part, off FROM deliveries
    UNION ALL
    SELECT topic, part, off FROM sends, context WHERE NOT list_contains(claims, 'lost-write')
)
SELECT topic, part, off, row_number() OVER (PARTITION BY topic, part ORDER BY off) AS place
FROM (SELECT DISTINCT topic, part, off FROM places ANTI JOIN hidden USING (topic, part, off)
      ANTI JOIN (SELECT topic, part, off FROM deliveries WHERE misplaced)
      USING (topic, part, off))
"""

# Neighbours by offset, whatever the order in which they came.
_LEAPS = """
WITH uneven AS (
    SELECT DISTINCT process, topic, part FROM stretches WHERE off <> before + 1
), neighbours AS (
    SELECT idx, process, topic, part, off, op_id, lag(off) OVER log AS below,
           lag(idx) OVER log AS row_below, lag(op_id) OVER log AS op_below
    FROM stretches SEMI JOIN uneven USING (process, topic, part) WHERE times = 1
    WINDOW log AS (PARTITION BY process, topic, part, stretch ORDER BY off)
)
SELECT n.*, r.place - coalesce(l.place, 0) AS skipped, coalesce(l.place, 0) AS place_below
FROM (SELECT * FROM neighbours WHERE off > below + 1) n
ASOF JOIN readable r ON r.topic = n.topic AND r.part = n.part AND r.off < n.off
ASOF LEFT JOIN readable l ON l.topic = n.topic AND l.part = n.part AND l.off <= n.below
WHERE r.place > coalesce(l.place, 0)
"""

_SENT = """
WITH placed AS (
    SELECT s.process, s.topic, s.part, s.off, s.value, s.op_id, s.invoke_idx, s.ack_idx, l.ordered
    FROM sends s JOIN clients l USING (process)
    WHERE s.outcome = 'ok' AND s.off IS NOT NULL
), first AS (
    SELECT process, topic, part, min(ack_idx) AS first_ack FROM placed GROUP BY ALL
)
SELECT p.*, f.first_ack < p.invoke_idx AS after_ack, lag(p.off) OVER called AS last_off,
       CASE WHEN lag(p.op_id) OVER called = p.op_id THEN lag(p.off) OVER called END AS before
FROM placed p JOIN first f USING (process, topic, part)
WINDOW called AS (PARTITION BY p.process, p.topic, p.part ORDER BY p.invoke_idx)
"""

# Where offsets rise as sends were called, none can lie too low.
_LOW = """
WITH falling AS (
    SELECT DISTINCT process, topic, part FROM sent WHERE off < last_off
), chosen AS (
    SELECT * FROM sent SEMI JOIN falling USING (process, topic, part)
), ended AS (
    SELECT process, topic, part, ack_idx, off AS last,
           max(off) OVER sofar AS top, arg_max(value, off) OVER sofar AS top_value
    FROM chosen WINDOW sofar AS (PARTITION BY process, topic, part ORDER BY ack_idx)
), after_end AS (
    SELECT p.*, e.top AS ended_top, e.top_value AS ended_value
    FROM chosen p ASOF LEFT JOIN ended e
      ON e.process = p.process AND e.topic = p.topic AND e.part = p.part
     AND e.ack_idx < p.invoke_idx
)
SELECT *, max(off) OVER called AS called_top, arg_max(value, off) OVER called AS called_value,
       max(off) OVER command AS command_top, arg_max(value, off) OVER command AS command_value
FROM after_end WINDOW
    called AS (PARTITION BY process, topic, part ORDER BY invoke_idx
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
    command AS (PARTITION BY process, topic, part, op_id ORDER BY invoke_idx
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
"""

RELATIONS: dict[str, Relation] = {
    "stretches": Relation(("deliveries", "actions"), _STRETCHES),
    "readable": Relation(("deliveries", "sends", "hidden"), _READABLE),
    "leaps": Relation(("stretches", "readable"), _LEAPS),
    "sent": Relation(("sends", "clients"), _SENT),
    "low": Relation(("sent",), _LOW),
}

_BACK = """
SELECT value, topic, part AS "partition", off AS "offset", before AS offset_before,
       process AS reader, idx AS row_read, row_before AS row_read_before
FROM stretches, context
WHERE off <= before AND (op_id = op_before) = {within}
  AND (times = 1 OR NOT list_contains(claims, 'delivered-twice')) ORDER BY idx
"""

_SKIPPED = """
SELECT p.topic, p.part AS "partition", r.off AS first_skipped, p.skipped, p.below AS offset_below,
       p.off AS offset_above, p.process AS reader, p.row_below, p.idx AS row_above
FROM leaps p JOIN readable r ON r.topic = p.topic AND r.part = p.part
                             AND r.place = p.place_below + 1
WHERE (p.op_id = p.op_below) = {within} ORDER BY p.idx
"""

_CAME_LATE = "{count} records came after one that lies above them"
_LEFT_OUT = "{count} times readable records were left out"

_SENT_BELOW = """
SELECT value, topic, part AS "partition", off AS "offset", process AS sender,
       invoke_idx AS row_sent, ended_value, ended_top, called_value, called_top
FROM low WHERE off < ended_top
  OR (ordered AND off < called_top AND NOT coalesce(off < command_top, false))
ORDER BY invoke_idx
"""

_SENT_BELOW_WITHIN = """
SELECT value, topic, part AS "partition", off AS "offset", process AS sender,
       invoke_idx AS row_sent, command_value AS earlier_value, command_top AS earlier_offset
FROM low WHERE ordered AND off < command_top AND NOT coalesce(off < ended_top, false)
ORDER BY invoke_idx
"""


def nonmonotonic_poll(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A poll gave an offset at or below what an earlier one gave."""
    del context
    return _came(view, "nonmonotonic-poll", _BACK.format(within="false"), _CAME_LATE)


def int_nonmonotonic_poll(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Within one poll offsets step back."""
    del context
    return _came(view, "int-nonmonotonic-poll", _BACK.format(within="true"), _CAME_LATE)


def poll_skip(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Between two polls a readable record was left out."""
    del context
    return _came(view, "poll-skip", _SKIPPED.format(within="false"), _LEFT_OUT)


def int_poll_skip(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Within one poll a readable record was left out."""
    del context
    return _came(view, "int-poll-skip", _SKIPPED.format(within="true"), _LEFT_OUT)


def nonmonotonic_send(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A later send lies below an earlier one."""
    del context
    return decided_where(
        view,
        "nonmonotonic-send",
        "SELECT count(*) FROM sent WHERE after_ack OR (ordered AND last_off IS NOT NULL)",
        "no producer's send to a partition followed another for certain",
        _SENT_BELOW,
        "{count} records lie below one that was sent before them",
        "sends_after",
        ("low",),
    )


def int_nonmonotonic_send(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Within one command, a later record lies below an earlier one."""
    del context
    return decided_where(
        view,
        "int-nonmonotonic-send",
        "SELECT count(*) FROM sent WHERE ordered AND last_off IS NOT NULL",
        "no producer that keeps the order (idempotence) sent two records to a partition",
        _SENT_BELOW_WITHIN,
        "{count} records lie below one that stood before them in their command",
        "ordered_after",
        ("low",),
    )


def int_send_skip(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Others' records lie between those of one command: counted, and legal."""
    del context
    claim = "int-send-skip"
    pairs, gaps = view.quiet("pairs"), view.quiet("pairs_apart")
    if not view.calm():
        view.use("sent")
        pairs += view.number("SELECT count(*) FROM sent WHERE before IS NOT NULL")
        gaps += view.number("SELECT count(*) FROM sent WHERE off > before + 1")
    if not pairs:
        return unknown(claim, "no command sent two records to one partition")
    text = f"{gaps:,} of {pairs:,} records lie apart from the one before them, which is legal"
    return ClaimVerdict(claim, Outcome.PASS, 0, text)


def _came(view: HistoryView, claim: str, find: str, broken: str) -> ClaimVerdict:
    return decided_where(
        view,
        claim,
        "SELECT count(*) FROM stretches WHERE before IS NOT NULL",
        "no client was given two records of a partition in a row",
        find,
        broken,
        "delivered_after",
        ("leaps", "readable"),
    )
