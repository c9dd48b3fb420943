"""Is everything that was acknowledged also read? Claims lost-write, unseen and G1a.

Operations: `send` with its outcome, `poll` with what it gave out; of transactions (their states:
transactions.py) how they ended, and which clients were opened with isolation read_committed.

Legal: a record whose send was acknowledged (`ok`, acks not 0) is given to somebody by the end. A
send that ended as `info`, or not at all, may or may not be there. A send that ended as `fail`
is certainly not there: the client said so to its user. A send in a transaction is owed once that
was committed, or a part of it was visible to a committed reader: never if it was aborted.

A record counts as *read* when its value was given out anywhere, or when its acknowledged offset
was given out with something else in it; that second case belongs to corrupt-value,
inconsistent-offsets or wrong-topic, and only when that claim is judged too.

    lost-write  acknowledged, never read, though a reader that was due to read it (it started at
                or before that offset) was given a later offset of the partition: it went past.
                Nothing will bring the record back, so one such record is enough.
    unseen      acknowledged, never read, and no reader went past it: the reading ended too
                early, or the reader stopped. Records that a stall at the end of the history
                explains (stall.py) are counted there and not here, if `stall` is judged;
                so are those of a partition that ended without an owner (orphan-partition). What
                lies at or above a transaction that may not have ended by then is excused.
    G1a         a record was read whose send failed for certain (Jepsen's aborted read), or one of
                an aborted transaction was given to a committed reader.

A record is *not owed*, and neither lost nor unseen, where every reader of its partition started
further on (offset_reset latest, an explicit assignment), was told to skip it (`seek`), or began at
the end anew beyond it: a group with offset_reset latest does wherever it was assigned the partition
and nothing is known to be committed (the relation `restarts`).

Not checked: whether each of several groups got each record (reading by one is reading; that is
poll-skip); records that retention or compaction removes. Where a part of its transaction was
visible a record that was passed over is torn-transaction's, if that is judged. Readers of what is
not committed need not wait for the end of a transaction; they are excused as the others are.

Source: Jepsen's Kafka workload, https://github.com/jepsen-io/redpanda (lost-write, unseen, G1a).
"""

from __future__ import annotations

from kafkalab.checkers.protocol import (
    NOTHING,
    Findings,
    HistoryView,
    Relation,
    decided,
    unknown,
)
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_UNREAD = """
WITH read AS (
    SELECT DISTINCT value FROM deliveries WHERE problem IS NULL
), taken AS (
    SELECT DISTINCT topic, part, off FROM deliveries, context
    WHERE (problem IS NOT NULL AND list_contains(claims, 'corrupt-value'))
       OR (misplaced AND list_contains(claims, 'wrong-topic'))
       OR (problem IS NULL AND NOT misplaced AND list_contains(claims, 'inconsistent-offsets'))
)
SELECT s.* FROM sends s
ANTI JOIN read r ON r.value = s.value
ANTI JOIN taken t ON t.topic = s.topic AND t.part = s.part AND t.off = s.off
WHERE s.acknowledged OR (s.acked AND s.txn IN (SELECT txn FROM visible))
"""

_LOSS = """
WITH away AS (
    SELECT * FROM skips UNION ALL SELECT * FROM restarts
), judged AS (
    SELECT u.value, p.scope,
           p.start <= u.off AND u.off < p.top AND k.scope IS NULL AS passed,
           p.scope IS NULL OR u.off IS NULL OR (p.start <= u.off AND k.scope IS NULL) AS owed
    FROM unread u
    LEFT JOIN spans p ON p.topic = u.topic AND p.part = u.part
    LEFT JOIN away k ON k.scope = p.scope AND k.topic = u.topic AND k.part = u.part
         AND u.off BETWEEN k.low AND k.high
), settled AS (
    SELECT value, coalesce(bool_or(passed), false) AS passed,
           coalesce(bool_or(owed), false) AS owed,
           arg_min(scope, scope) FILTER (passed) AS reader
    FROM judged GROUP BY value
), stalled AS (
    SELECT topic, part, min(position) AS position FROM causes
    WHERE at_end AND cause <> 'fault' GROUP BY ALL
), orphaned AS (
    SELECT DISTINCT topic, part FROM orphans, context
    WHERE at_end AND list_contains(claims, 'orphan-partition')
)
SELECT u.*, r.reader,
       CASE WHEN list_contains(c.claims, 'torn-transaction') AND u.value IN (SELECT value FROM torn)
            THEN 'torn' WHEN r.passed THEN 'lost' WHEN NOT r.owed THEN 'not owed'
            WHEN u.off > s.position THEN 'stalled'
            WHEN o.topic IS NOT NULL THEN 'orphaned'
            WHEN h.until_ns > c.finished_ns THEN 'held'
            ELSE 'unseen' END AS state
FROM context c, unread u JOIN settled r USING (value)
LEFT JOIN stalled s ON s.topic = u.topic AND s.part = u.part
LEFT JOIN orphaned o ON o.topic = u.topic AND o.part = u.part
ASOF LEFT JOIN held h ON h.topic = u.topic AND h.part = u.part AND h.off <= u.off
"""

RELATIONS: dict[str, Relation] = {
    "unread": Relation(("sends", "deliveries", "visible"), _UNREAD),
    "loss": Relation(
        ("unread", "spans", "skips", "restarts", "causes", "torn", "orphans", "held"), _LOSS
    ),
}

_LOST = """
SELECT value, topic, part AS "partition", off AS "offset", process AS sender, ack_idx AS row_acked,
       reader AS reader_that_went_past
FROM loss WHERE state = 'lost' ORDER BY topic, part, off
"""

_UNSEEN = """
SELECT value, topic, part AS "partition", off AS "offset", process AS sender, ack_idx AS row_acked
FROM loss WHERE state = 'unseen' ORDER BY topic, part, off
"""

_ABORTED = """
SELECT d.value, d.topic, d.part AS "partition", d.off AS "offset", s.process AS sender,
       s.ack_idx AS row_failed, d.process AS reader, d.idx AS row_read
FROM deliveries d JOIN sends s ON s.value = d.value
WHERE s.outcome = 'fail' AND d.problem IS NULL
UNION ALL
SELECT r.value, r.topic, r.part, r.off, r.sender, t.ended_idx, r.process, r.idx
FROM txn_reads r JOIN txns t USING (txn) JOIN sends s ON s.value = r.value
WHERE t.state = 'aborted' AND s.outcome <> 'fail' ORDER BY row_read
"""


def lost_write(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Acknowledged, never read, and a reader went past it."""
    del context
    claim = "lost-write"
    lacking = _too_little(view)
    if lacking:
        return unknown(claim, lacking)
    calm = view.calm()
    if not calm:
        view.use("loss")
    return decided(
        claim,
        NOTHING if calm else view.find(_LOST),
        "{count} acknowledged records were never read though later ones were",
        f"none of {_acknowledged(view):,} acknowledged records was passed over",
    )


def unseen(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Acknowledged, not read by the end, and no reader went past it."""
    del context
    claim = "unseen"
    lacking = _too_little(view)
    if lacking:
        return unknown(claim, lacking)
    found, note = (NOTHING, "") if view.calm() else _missing(view)
    return decided(
        claim,
        found,
        "{count} acknowledged records were not read by the end" + note,
        f"every one of {_acknowledged(view):,} acknowledged records was accounted for" + note,
    )


def aborted_read(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A record was read whose send had failed for certain."""
    del context
    claim = "G1a"
    given, failed, calm = view.quiet("delivered"), view.quiet("failed"), view.calm()
    if not calm:
        view.use("sends", "deliveries", "txn_reads")
        given += view.number("SELECT count(*) FROM deliveries")
        failed += view.number("SELECT count(*) FROM sends WHERE outcome = 'fail'")
    if not given:
        return unknown(claim, "nothing was delivered: there is nothing to judge")
    return decided(
        claim,
        NOTHING if calm else view.find(_ABORTED),
        "{count} deliveries are of records whose send or transaction had failed for certain",
        f"none of {failed:,} failed sends was among {given:,} deliveries",
    )


def _missing(view: HistoryView) -> tuple[Findings, str]:
    """What is unseen, and a note on what is unread for another reason."""
    view.use("loss")
    found = view.find(_UNSEEN)
    stalled = 0
    if view.judges("stall"):
        stalled = view.number("SELECT count(*) FROM loss WHERE state = 'stalled'")
    else:
        found = view.find(_UNSEEN.replace("= 'unseen'", "IN ('unseen', 'stalled')"))
    note = f"; {stalled:,} more are unread because of the stall, see there" if stalled else ""
    held = view.number("SELECT count(*) FROM loss WHERE state = 'held'")
    if held:
        note += f"; {held:,} more lie above a transaction that may not have ended"
    return found, note


def _acknowledged(view: HistoryView) -> int:
    acknowledged = view.quiet("acknowledged")
    if not view.calm():
        view.use("sends")
        acknowledged += view.number("SELECT count(*) FROM sends WHERE acknowledged")
    return acknowledged


def _too_little(view: HistoryView) -> str:
    """Why nothing can be said about loss, or the empty string."""
    if not _acknowledged(view):
        return "no send was acknowledged: there is nothing that must not be lost"
    given = view.quiet("delivered")
    if not view.calm():
        view.use("deliveries")
        given += view.number("SELECT count(*) FROM deliveries")
    if not given:
        return "nothing was delivered: what is there cannot be told from what was lost"
    return ""
