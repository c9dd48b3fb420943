"""Is what was acknowledged with acks=all readable soon? The claim `slow-watermark`.

Operations: `send` with its outcome, `open` (what was configured), `poll` with what it gave out and
when one was in flight, and who owned a partition when, as stall.py has it.

A broker acknowledges a record to a producer that asked for acks=all when every replica in sync has
it; from then on it is below the high watermark, and a fetch must return it. What the broker makes
of that only a reader can show, and a reader may be slow by itself. So a record counts only where a
reader stood ready for it: it owned the partition, had been given the record before it (or started
at the beginning of the partition, where nobody of its group had been given anything), had not moved
by `seek` or `assign` since, and was polling.

    slow-watermark  for longer than watermark_ns of polling, counted from the acknowledgement or
                    from when the reader stood ready, whichever came last, nobody was given the
                    record.

A reader that has a backlog elsewhere may be at work on that: it is ready only if everything that it
was given meanwhile, from any partition, had been acknowledged within a second before it was given.
Time in which a fault is in force, or in which clients may recover from one (progress.py), does not
count.

What a stall explains (its reader was given nothing at all) is counted there, if judged, and what
nobody is ever given is unseen's, if judged.

Too little is unknown: no acknowledged record of a producer that is known to ask for acks=all (acks
−1, or idempotent) outside transactions; none that was read within the bound and none that a reader
stood ready for.

Not checked: records sent in transactions, and, where there are any, readers other than those opened
with isolation read_uncommitted (an open transaction holds back whatever lies above it); each
replica by itself, since a client does not show which one it reads from; producers whose acks were
left to the client.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, Relation, decided_where, unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

# producers that are known to ask for acks=all, in every life
_PROMISERS = """
SELECT process FROM actions WHERE op = 'open' AND type = 'invoke' GROUP BY process
HAVING bool_and(coalesce(detail ->> '$.config.acks' = '-1', false)
                OR coalesce(detail ->> '$.config.idempotence' = 'true', false))
   AND NOT bool_or(detail ->> '$.config.transactional_id' IS NOT NULL)
"""

# partitions of readers that owned one for longer than the bound without being given any of it; of
# each eighth of the bound the first and the last delivery tell
_LULLED = """
WITH times AS (
    SELECT g.process, g.topic, g.part, min(g.time_ns) AS first_ns, max(g.time_ns) AS last_ns
    FROM given g, context c WHERE list_contains(c.claims, 'slow-watermark')
    GROUP BY g.process, g.topic, g.part, g.time_ns // greatest(c.watermark_ns // 8, 1)
), points AS (
    SELECT process, topic, part, first_ns AS time_ns FROM times
    UNION SELECT process, topic, part, last_ns FROM times
    UNION SELECT reader, topic, part, from_ns FROM duties
    UNION SELECT reader, topic, part, to_ns FROM duties
), steps AS (
    SELECT process, topic, part, time_ns AS from_ns,
           lead(time_ns) OVER (PARTITION BY process, topic, part ORDER BY time_ns) AS to_ns
    FROM points
), waiting AS (
    SELECT DISTINCT s.process FROM steps s JOIN duties d ON d.reader = s.process
         AND d.topic = s.topic AND d.part = s.part AND s.from_ns >= d.from_ns
         AND s.to_ns <= d.to_ns, context c
    WHERE s.to_ns - s.from_ns > c.watermark_ns AND list_contains(c.claims, 'slow-watermark')
)
SELECT topic, part FROM given SEMI JOIN waiting USING (process)
UNION SELECT d.topic, d.part FROM duties d JOIN waiting w ON w.process = d.reader
"""

# what each poll gave of a partition, with the acknowledgement of its lowest record
_FIRSTS = """
WITH batches AS (
    SELECT process, scope, topic, part, op_id, min(time_ns) AS time_ns, min(off) AS low,
           max(off) AS high
    FROM deliveries WHERE NOT misplaced GROUP BY ALL
)
SELECT b.*, s.value, s.ack_ns, s.ack_idx, s.process AS sender
FROM batches b LEFT JOIN (
    SELECT * FROM sends SEMI JOIN promisers USING (process) WHERE acknowledged AND off IS NOT NULL
) s ON s.topic = b.topic AND s.part = b.part AND s.off = b.low
"""

# stretches longer than the bound in which a reader owned a partition and was given none of it
_LULLS = """
WITH given AS (
    SELECT f.*, d.from_ns AS duty_ns
    FROM firsts f ASOF JOIN duties d ON d.reader = f.process AND d.topic = f.topic
         AND d.part = f.part AND d.from_ns <= f.time_ns
    WHERE f.time_ns <= d.to_ns
), steps AS (
    SELECT process, scope, topic, part, duty_ns, lag(time_ns) OVER duty AS from_ns,
           lag(high) OVER duty AS position, time_ns AS to_ns, low AS off, value, ack_ns, ack_idx,
           sender
    FROM given WINDOW duty AS (PARTITION BY process, topic, part, duty_ns ORDER BY time_ns, low)
    UNION ALL
    SELECT d.reader, d.scope, d.topic, d.part, d.from_ns, max(g.time_ns), max(g.high), d.to_ns,
           NULL, NULL, NULL, NULL, NULL
    FROM duties d LEFT JOIN given g ON g.process = d.reader AND g.topic = d.topic
         AND g.part = d.part AND g.duty_ns = d.from_ns
    GROUP BY d.reader, d.scope, d.topic, d.part, d.from_ns, d.to_ns
)
SELECT s.* REPLACE (coalesce(from_ns, duty_ns) AS from_ns, coalesce(position, -1) AS position),
       position IS NULL AS at_start
FROM steps s, context WHERE to_ns - coalesce(from_ns, duty_ns) > watermark_ns
"""

# the next record of each such stretch: the one that ended it, or one that was there to be given
_AWAITED = """
WITH tops AS (
    SELECT topic, part, max(off) AS top FROM sends WHERE acknowledged GROUP BY ALL
), unended AS (
    SELECT l.* FROM lulls l JOIN tops t USING (topic, part)
    WHERE l.off IS NULL AND t.top > l.position
), records AS (
    SELECT * FROM lulls WHERE off > position AND ack_ns IS NOT NULL
    UNION ALL
    SELECT u.* REPLACE (min(s.off) AS off, arg_min(s.value, s.off) AS value,
                        arg_min(s.ack_ns, s.off) AS ack_ns, arg_min(s.ack_idx, s.off) AS ack_idx,
                        arg_min(s.process, s.off) AS sender)
    FROM unended u JOIN (SELECT * FROM sends SEMI JOIN promisers USING (process)
                         WHERE acknowledged) s
      ON s.topic = u.topic AND s.part = u.part AND s.off > u.position
    GROUP BY u.process, u.scope, u.topic, u.part, u.duty_ns, u.from_ns, u.position, u.to_ns,
             u.at_start
), read AS (
    SELECT topic, part, off, min(time_ns) AS read_ns, min(idx) AS row_read
    FROM deliveries SEMI JOIN records USING (topic, part, off) GROUP BY ALL
)
SELECT r.* REPLACE (greatest(r.from_ns, r.ack_ns) AS from_ns, least(r.to_ns, g.read_ns) AS to_ns),
       r.from_ns AS given_ns, g.row_read
FROM records r LEFT JOIN read g USING (topic, part, off), context c
WHERE least(r.to_ns, g.read_ns) - greatest(r.from_ns, r.ack_ns) > watermark_ns
  AND (g.read_ns IS NOT NULL OR NOT list_contains(c.claims, 'unseen'))
"""

_LATE = """
WITH unhindered AS (
    SELECT process FROM actions WHERE op = 'open' AND type = 'invoke' GROUP BY process
    HAVING bool_and(coalesce(detail ->> '$.config.isolation' = 'read_uncommitted', false))
), ready AS (
    SELECT a.* FROM awaited a JOIN clients l USING (process)
    WHERE NOT EXISTS (SELECT 1 FROM positions p WHERE p.process = a.process AND p.topic = a.topic
                      AND p.part = a.part AND p.time_ns > a.given_ns AND p.time_ns <= a.to_ns)
      AND (NOT a.at_start OR (l.from_start
          AND NOT EXISTS (SELECT 1 FROM firsts f WHERE f.scope = a.scope AND f.topic = a.topic
                          AND f.part = a.part AND f.time_ns < a.duty_ns)
          AND NOT EXISTS (SELECT 1 FROM positions p WHERE p.scope = a.scope
                          AND p.topic = a.topic AND p.part = a.part AND p.off IS NOT NULL)))
      AND (a.process IN (SELECT process FROM unhindered)
           OR NOT EXISTS (SELECT 1 FROM actions WHERE op = 'txn'))
), busy AS (
    SELECT DISTINCT r.process, r.topic, r.part, r.from_ns
    FROM ready r JOIN deliveries d ON d.process = r.process AND d.time_ns > r.from_ns
         AND d.time_ns < r.to_ns
    LEFT JOIN sends s ON s.value = d.value
    WHERE coalesce(d.time_ns - s.ack_ns > 1000000000, true)
), asked AS (
    SELECT r.process, r.topic, r.part, r.from_ns, greatest(p.from_ns, r.from_ns) AS one_ns,
           least(p.to_ns, r.to_ns) AS other_ns
    FROM ready r ANTI JOIN busy USING (process, topic, part, from_ns)
    JOIN polling p ON p.process = r.process AND p.from_ns < r.to_ns AND p.to_ns > r.from_ns
), excused AS (
    SELECT a.process, a.topic, a.part, a.from_ns,
           sum(least(a.other_ns, o.settled_ns) - greatest(a.one_ns, o.from_ns)) AS excused_ns
    FROM asked a JOIN outages o ON o.from_ns < a.other_ns AND o.settled_ns > a.one_ns
    GROUP BY ALL
), waited AS (
    SELECT process, topic, part, from_ns, sum(other_ns - one_ns) AS asked_ns
    FROM asked GROUP BY ALL
)
SELECT r.*, w.asked_ns - coalesce(x.excused_ns, 0) AS waited_ns
FROM context c, ready r JOIN waited w USING (process, topic, part, from_ns)
LEFT JOIN excused x USING (process, topic, part, from_ns)
WHERE w.asked_ns - coalesce(x.excused_ns, 0) > c.watermark_ns
  AND NOT (list_contains(c.claims, 'stall') AND EXISTS (
      SELECT 1 FROM stalls s WHERE s.scope = r.scope AND s.from_ns < r.to_ns
      AND s.to_ns > r.from_ns))
"""

RELATIONS: dict[str, Relation] = {
    "promisers": Relation(("actions",), _PROMISERS),
    "lulled": Relation(("given", "duties"), _LULLED),
    "firsts": Relation(("deliveries", "sends", "promisers"), _FIRSTS),
    "lulls": Relation(("firsts", "duties"), _LULLS),
    "awaited": Relation(("lulls",), _AWAITED),
    "late": Relation(("awaited", "positions", "polling", "outages", "stalls"), _LATE),
}

_READ_OR_LATE = """
SELECT (SELECT count(*) FROM firsts, context WHERE time_ns - ack_ns <= watermark_ns)
       + (SELECT count(*) FROM late)
       + (SELECT count(*) FROM context c, (SELECT * FROM given ANTI JOIN suspects
                                           USING (topic, part)) g
          ASOF JOIN (SELECT * FROM placed SEMI JOIN promisers USING (process)) p
            ON p.topic = g.topic AND p.part = g.part AND p.low <= g.low
          WHERE g.low < p.low + p.n AND g.time_ns - p.time_ns <= c.watermark_ns)
"""

_FOUND = """
SELECT value, topic, part AS "partition", off AS "offset", any_value(sender) AS sender,
       min(ack_idx) AS row_acked, any_value(row_read) AS row_read,
       max(waited_ns) / 1e6 AS waited_ms,
       list(DISTINCT process ORDER BY process) AS readers
FROM late GROUP BY value, topic, part, off ORDER BY row_acked
"""


def slow_watermark(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Acknowledged with acks=all, and not readable within the bound."""
    claim = "slow-watermark"
    view.use("promisers", "sends", "placed", "given")
    if not view.number(
        """SELECT count(*) FROM (
           SELECT process FROM sends WHERE acknowledged UNION SELECT process FROM placed)
           SEMI JOIN promisers USING (process)"""
    ):
        return unknown(claim, "no producer that is known to ask for acks=all had a record acked")
    view.use("late")
    bound = context.watermark_ns / 1e9
    return decided_where(
        view,
        claim,
        _READ_OR_LATE,
        f"no record was read within {bound:g} s, and no reader stood ready for one",
        _FOUND,
        f"{{count}} records were not readable within {bound:g} s of their acknowledgement",
    )
