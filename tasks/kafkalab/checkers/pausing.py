"""Does a partition stay paused exactly as long as it should, when its group rebalances?

Operations: `pause` and `resume` of members of a group, the events `assigned`, `revoked`, `lost`,
and `poll` with what it gave out. Being paused belongs to an ownership: a partition that is revoked
or lost drops it, whoever has it next begins unpaused, and what a cooperative rebalance leaves where
it is stays as it is. An eager rebalance revokes all, so it drops all.

    paused-lost  a partition was paused, a rebalance that did not concern it gave the member other
                 partitions or took them, and a poll that was invoked after that gave records of
                 it, without a `resume`. A client that hands out after a `pause` what it had
                 fetched before is not judged, once it is seen to.
    paused-kept  a partition was revoked or lost while it was paused, and the member got it again.
                 Then polls that gave nothing at all took more than stall_ns together, though a
                 record of that partition was there all the time, until the `resume`, the next
                 `pause`, or the end of that ownership; it gave no record before that. Polls
                 during a fault, or while clients may recover from it, do not count.

Each broken thing is counted once: where the member was given nothing from any partition for that
long it is stall's, and a record that nobody was ever given is unseen's, if these are judged.

Too little is unknown: no partition was paused while its member took part in a rebalance; none was
paused, taken, and got again.

Not checked: a `pause` that has no effect at all (in-flight records cannot be told apart); members
that assign by hand; clients that document that they keep it, as franz-go does: leave paused-kept
out for them.

Sources: KIP-429; the documentation of KafkaConsumer.pause ("this method does not affect partition
subscription", and a rebalance does not preserve it).
"""

from __future__ import annotations

from kafkalab.checkers.history import CLOCK_SLACK_NS
from kafkalab.checkers.protocol import HistoryView, Relation, decided_where
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

# each `pause`, what ended it, and the two things that came after that
_HOLDS = """
WITH paused AS (
    SELECT DISTINCT process, topic, part FROM actions WHERE op = 'pause' AND type = 'ok'
), marks AS (
    SELECT process, topic, part, idx, time_ns, op FROM told SEMI JOIN paused
    USING (process, topic, part)
    UNION ALL
    SELECT process, topic, part, idx, time_ns, op FROM actions SEMI JOIN members USING (process)
    WHERE (op = 'pause' AND type = 'ok') OR op = 'resume'
), steps AS (
    SELECT *, lead(idx) OVER place AS to_idx, lead(op) OVER place AS ended,
           lead(op, 2) OVER place AS next_op, lead(idx, 2) OVER place AS again_idx,
           lead(time_ns, 2) OVER place AS again_ns, lead(idx, 3) OVER place AS until_idx,
           lead(time_ns, 3) OVER place AS until_ns
    FROM marks WINDOW place AS (PARTITION BY process, topic, part ORDER BY idx)
)
SELECT m.grp, s.* FROM steps s JOIN members m USING (process) WHERE s.op = 'pause'
"""

# a rebalance went by while it was paused
_RETAINED = """
SELECT h.grp, h.process, h.topic, h.part, h.idx, h.time_ns, h.to_idx,
       t.idx AS rebalance_idx, t.time_ns AS rebalance_ns
FROM holds h ASOF JOIN (
    SELECT process, idx, max(time_ns) AS time_ns FROM told GROUP BY process, idx) t
  ON t.process = h.process AND h.idx < t.idx
WHERE t.idx < coalesce(h.to_idx, t.idx + 1)
"""

_LET_GO = """
WITH early AS (
    SELECT DISTINCT r.process, r.topic, r.part, r.idx FROM retained r
    JOIN takes t USING (process, topic, part)
    WHERE t.begin_ns > r.time_ns + {slack} AND t.idx < r.rebalance_idx
)
SELECT r.*, t.idx AS read_idx, t.first, t.top FROM retained r
ANTI JOIN early e USING (process, topic, part, idx)
JOIN takes t ON t.process = r.process AND t.topic = r.topic AND t.part = r.part
     AND t.begin_ns > r.rebalance_ns + {slack} AND t.last IS NOT NULL
     AND t.idx < coalesce(r.to_idx, t.idx + 1)
"""

_REGAINED = """
SELECT h.grp, h.process, h.topic, h.part, h.idx, h.again_idx, h.again_ns, h.until_idx,
       coalesce(h.until_ns, c.finished_ns) AS until_ns
FROM holds h, context c
WHERE h.ended IN ('revoked', 'lost') AND h.next_op = 'assigned'
"""

_KEPT = """
WITH taken AS (
    SELECT r.process, r.topic, r.part, r.again_idx, max(t.top) FILTER (t.idx < r.again_idx) AS top,
           coalesce(bool_or(t.process = r.process AND t.idx > r.again_idx
                            AND t.idx < coalesce(r.until_idx, t.idx + 1)), false) AS flowed,
           max(t.top) FILTER (t.idx >= r.until_idx) AS later
    FROM regained r LEFT JOIN takes t ON t.grp = r.grp AND t.topic = r.topic AND t.part = r.part
    GROUP BY ALL
), bare AS (
    SELECT r.process, r.topic, r.part, r.again_idx,
           sum(least(p.to_ns, r.until_ns) - p.from_ns) AS idle_ns
    FROM regained r JOIN (polling ANTI JOIN (SELECT process, begin_ns AS from_ns FROM given
                          WHERE begin_ns IS NOT NULL) g USING (process, from_ns)) p
      ON p.process = r.process AND p.from_ns >= r.again_ns AND p.from_ns < r.until_ns
    WHERE NOT EXISTS (
        SELECT 1 FROM outages o WHERE o.from_ns < p.to_ns AND o.settled_ns > p.from_ns)
    GROUP BY ALL
), waiting AS (
    SELECT r.*, t.top, t.later, b.idle_ns, min(greatest(l.low, coalesce(t.top + 1, 0))) AS waiting
    FROM regained r JOIN taken t USING (process, topic, part, again_idx)
    JOIN bare b USING (process, topic, part, again_idx)
    JOIN members m ON m.process = r.process, context c, placed l
    WHERE NOT t.flowed AND b.idle_ns > c.stall_ns
      AND l.topic = r.topic AND l.part = r.part AND l.time_ns <= r.again_ns
      AND l.low + l.n - 1 > coalesce(t.top, CASE WHEN m.from_start THEN -1 END)
    GROUP BY ALL
)
SELECT w.* FROM waiting w, context c
WHERE (w.later >= w.waiting OR NOT list_contains(c.claims, 'unseen'))
  AND NOT (list_contains(c.claims, 'stall') AND EXISTS (
      SELECT 1 FROM stalls s WHERE s.reader = w.process AND s.topic = w.topic AND s.part = w.part
      AND s.from_ns < w.until_ns AND s.to_ns > w.again_ns))
"""

RELATIONS: dict[str, Relation] = {
    "holds": Relation(("told", "actions", "members"), _HOLDS),
    "retained": Relation(("holds", "told"), _RETAINED),
    "let_go": Relation(("retained", "takes"), _LET_GO.format(slack=CLOCK_SLACK_NS)),
    "regained": Relation(("holds",), _REGAINED),
    "kept": Relation(
        ("regained", "takes", "polling", "given", "placed", "stalls", "outages"), _KEPT
    ),
}

_FIND_LET_GO = """
SELECT grp AS "group", topic, part AS "partition", first AS first_offset, top AS last_offset,
       process AS member, idx AS row_paused, rebalance_idx AS row_rebalance, read_idx AS row_read
FROM let_go ORDER BY read_idx
"""
_FIND_KEPT = """
SELECT grp AS "group", topic, part AS "partition", process AS member, idx AS row_paused,
       again_idx AS row_assigned_again, waiting AS offset_waiting, idle_ns / 1e6 AS idle_ms,
       until_idx AS row_until
FROM kept ORDER BY again_idx
"""


def paused_lost(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A rebalance that left a paused partition alone made it flow."""
    del context
    view.use("let_go")
    return decided_where(
        view,
        "paused-lost",
        "SELECT count(*) FROM retained",
        "no partition was paused while its member took part in a rebalance and kept it",
        _FIND_LET_GO,
        "{count} polls gave records of a partition that was still paused, after a rebalance",
    )


def paused_kept(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A partition that was taken while paused did not flow when it was given anew."""
    del context
    view.use("kept")
    return decided_where(
        view,
        "paused-kept",
        "SELECT count(*) FROM regained",
        "no partition was taken from a member while paused, and given to it again",
        _FIND_KEPT,
        "{count} partitions were still paused when they were assigned anew",
    )
