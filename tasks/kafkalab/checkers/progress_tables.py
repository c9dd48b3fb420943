"""The relations behind deadlock and unrecovered, as SQL; the argument stands in progress.py.

outages       times in which faults were in force, joined where they overlap: `from_ns` to
              `healed_ns` (finished_ns and `open` where the last was not healed), `until_ns` the
              next injection or the end, `settled_ns` until when a client may recover. The times
              [from_ns, settled_ns] do not overlap.
cpu_use       a client's share of what its process used between two samples that lie deadlock_ns
              apart.
flights       operations that took longer than deadlock_ns, polls of a stall among them: from
              `from_ns` to `to_ns`, the completion or else the end of the client's life.
deadlocks     the flights in which the client did nothing and used no CPU for the bound.
causes        the stalls, each with the claim that it belongs to; `fault` where nobody is to blame.
sending       time in which a send was in flight, or the next followed within a second.
recoveries    for each outage and producer that sent after it: the first success (or null), and
              for how long it had been sending until then.
unrecovered   producers and readers for which that was too long.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import Relation

_OUTAGES = """
WITH faults AS (
    SELECT detail ->> '$.fault' AS fault, min(time_ns) AS from_ns,
           any_value(time_ns) FILTER (detail ->> '$.phase' = 'healed') AS healed_ns
    FROM actions WHERE op = 'fault' GROUP BY ALL
), periods AS (
    SELECT fault, from_ns, coalesce(healed_ns, finished_ns) AS healed_ns,
           healed_ns IS NULL AS open FROM faults, context
), ordered AS (
    SELECT *, max(healed_ns) OVER (ORDER BY from_ns, healed_ns
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before_ns FROM periods
), numbered AS (
    SELECT *, count(*) FILTER (coalesce(from_ns > before_ns, true))
           OVER (ORDER BY from_ns, healed_ns ROWS UNBOUNDED PRECEDING) AS number FROM ordered
), joined AS (
    SELECT min(from_ns) AS from_ns, max(healed_ns) AS healed_ns, bool_or(open) AS open,
           list(DISTINCT fault ORDER BY fault) AS faults FROM numbered GROUP BY number
), bounded AS (
    SELECT j.*, lead(from_ns, 1, finished_ns) OVER (ORDER BY from_ns) AS until_ns
    FROM joined j, context
)
SELECT b.*, least(healed_ns + recovery_ns, until_ns) AS settled_ns FROM bounded b, context
"""

_PACES = """
WITH cpu AS (
    SELECT process, idx, time_ns, TRY_CAST(detail ->> '$.cpu_ms' AS DOUBLE) AS used_ms,
           coalesce(TRY_CAST(detail ->> '$.clients' AS BIGINT), 1) AS clients,
           time_ns + deadlock_ns AS due_ns
    FROM actions, context WHERE op = 'sample'
)
SELECT a.process, a.time_ns AS from_ns, b.time_ns AS to_ns,
       (b.used_ms - a.used_ms) / greatest(a.clients, 1) AS used_ms,
       a.idx AS row_from, b.idx AS row_to
FROM cpu a ASOF JOIN cpu b ON b.process = a.process AND b.time_ns >= a.due_ns
WHERE b.used_ms >= a.used_ms
"""

_FLIGHTS = """
WITH asked AS (
    SELECT process, op, op_id, min(idx) AS idx, min(time_ns) AS from_ns FROM actions
    WHERE type = 'invoke' AND process <> 'admin' AND coalesce(detail ->> '$.mode', '') <> 'async'
      AND op NOT IN ('open', 'clock', 'stats', 'stop', 'produce', 'consume') GROUP BY ALL
), ends AS (
    SELECT process, idx, time_ns FROM actions
    WHERE op = 'kill' OR (op = 'open' AND type = 'invoke')
), calls AS (
    SELECT a.*, d.time_ns AS done_ns FROM asked a
    ASOF LEFT JOIN (SELECT process, op_id, idx, time_ns FROM actions
                    WHERE type IN ('ok', 'fail', 'info')) d
      ON d.process = a.process AND d.op_id = a.op_id AND d.idx >= a.idx
    UNION ALL
    SELECT process, 'send', op_id, min(invoke_idx), min(invoke_ns),
           CASE WHEN count(ack_ns) = count(*) THEN max(ack_ns) END
    FROM sends, context WHERE coalesce(ack_ns - invoke_ns > deadlock_ns, true) GROUP BY ALL
), ended AS (
    SELECT c.process, c.op, c.idx, c.from_ns,
           coalesce(c.done_ns, least(e.time_ns, x.finished_ns)) AS to_ns
    FROM calls c ASOF LEFT JOIN ends e ON e.process = c.process AND e.idx >= c.idx, context x
)
SELECT * FROM ended WHERE to_ns - from_ns > (SELECT deadlock_ns FROM context)
UNION ALL
SELECT s.reader, 'poll', NULL, min(s.from_ns), s.to_ns FROM stalls s, context
WHERE s.waited_ns > deadlock_ns AND s.reader IN (SELECT process FROM clients)
GROUP BY s.reader, s.to_ns
"""

_DEADLOCKS = """
WITH idle AS (
    SELECT f.process, f.op, f.idx, f.from_ns AS flight_ns, f.to_ns AS flight_end_ns,
           p.from_ns, p.to_ns, p.used_ms, p.row_from, p.row_to
    FROM flights f JOIN cpu_use p ON p.process = f.process
         AND p.from_ns >= f.from_ns AND p.to_ns <= f.to_ns, context
    WHERE p.used_ms <= deadlock_cpu_ratio * (p.to_ns - p.from_ns) / 1e6
), calm AS (
    SELECT * FROM idle i WHERE NOT EXISTS (
        SELECT 1 FROM outages o WHERE o.from_ns < i.to_ns AND o.settled_ns > i.from_ns)
), suspects AS (
    SELECT DISTINCT process FROM calm
), progress AS (
    SELECT DISTINCT process, time_ns, true AS useful FROM deliveries SEMI JOIN suspects
    USING (process)
    UNION ALL
    SELECT DISTINCT process, ack_ns, outcome = 'ok' FROM sends SEMI JOIN suspects USING (process)
    WHERE ack_ns IS NOT NULL
    UNION ALL
    SELECT process, time_ns, op = 'assigned' OR (op = 'assign' AND type = 'ok')
    FROM actions SEMI JOIN suspects USING (process)
    WHERE type IN ('ok', 'fail', 'info') OR op IN ('assigned', 'revoked', 'lost')
), opened AS (
    SELECT c.*, o.time_ns AS open_ns FROM calm c
    ASOF LEFT JOIN (SELECT process, time_ns FROM actions WHERE op = 'open' AND type = 'invoke') o
      ON o.process = c.process AND o.time_ns <= c.flight_ns
), asking AS (
    SELECT o.process, o.flight_end_ns, o.from_ns,
           sum(least(p.to_ns, o.to_ns) - greatest(p.from_ns, o.from_ns)) AS asked_ns
    FROM opened o JOIN polling p ON p.process = o.process AND p.from_ns < o.to_ns
         AND p.to_ns > o.from_ns
    WHERE o.op = 'poll' GROUP BY ALL
)
SELECT o.process, o.op, o.idx, o.flight_ns, o.flight_end_ns, min(o.from_ns) AS from_ns,
       max(o.to_ns) AS to_ns, arg_min(o.used_ms, o.from_ns) AS used_ms,
       min(o.row_from) AS row_from, min(o.row_to) AS row_to
FROM opened o LEFT JOIN asking a ON o.op = 'poll' AND a.process = o.process
     AND a.flight_end_ns = o.flight_end_ns AND a.from_ns = o.from_ns, context c
WHERE (o.op <> 'poll' OR a.asked_ns >= o.to_ns - o.from_ns)
  AND NOT EXISTS (SELECT 1 FROM progress p WHERE p.process = o.process
                  AND p.time_ns > o.from_ns AND p.time_ns <= o.to_ns)
  AND (o.open_ns IS NULL OR NOT list_contains(c.claims, 'startup') OR EXISTS (
       SELECT 1 FROM progress p WHERE p.process = o.process AND p.useful
       AND p.time_ns >= o.open_ns AND p.time_ns <= o.from_ns))
GROUP BY ALL
"""

_CAUSES = """
WITH asked AS (
    SELECT s.reader, s.topic, s.part, s.from_ns, s.to_ns, v.process,
           greatest(p.from_ns, v.begin_ns, s.from_ns) AS one_ns,
           least(p.to_ns, v.end_ns, s.to_ns) AS other_ns
    FROM stalls s JOIN lives v ON v.process = s.reader OR v.scope = s.reader
    JOIN polling p ON p.process = v.process AND p.from_ns < least(s.to_ns, v.end_ns)
         AND p.to_ns > greatest(s.from_ns, v.begin_ns)
    WHERE EXISTS (SELECT 1 FROM outages)
), beside AS (
    SELECT a.reader, a.topic, a.part, a.from_ns, a.to_ns, a.process, o.faults, o.healed_ns,
           sum(greatest(0, least(a.other_ns, o.settled_ns) - greatest(a.one_ns, o.from_ns)))
               AS excused_ns,
           sum(greatest(0, least(a.other_ns, o.until_ns) - greatest(a.one_ns, o.healed_ns)))
               AS after_ns
    FROM asked a JOIN outages o ON o.from_ns < a.to_ns AND o.settled_ns > a.from_ns
    GROUP BY ALL
), whole AS (
    SELECT reader, topic, part, from_ns, to_ns, process, sum(other_ns - one_ns) AS asked_ns
    FROM asked GROUP BY ALL
), judged AS (
    SELECT reader, topic, part, from_ns, to_ns, process, any_value(w.asked_ns) - sum(b.excused_ns)
               AS waited_ns, max(b.after_ns) AS after_ns,
           arg_max(b.healed_ns, b.after_ns) AS healed_ns, arg_max(b.faults, b.after_ns) AS faults
    FROM whole w JOIN beside b USING (reader, topic, part, from_ns, to_ns, process)
    GROUP BY ALL
), worst AS (
    SELECT reader, topic, part, from_ns, to_ns, max(waited_ns) AS waited_ns,
           max(after_ns) AS after_ns, arg_max(healed_ns, after_ns) AS healed_ns,
           arg_max(faults, after_ns) AS faults
    FROM judged GROUP BY ALL
)
SELECT s.* EXCLUDE (waited_ns), coalesce(w.waited_ns, s.waited_ns) AS waited_ns, w.after_ns,
       w.healed_ns, w.faults,
       CASE WHEN list_contains(c.claims, 'deadlock') AND EXISTS (
                SELECT 1 FROM deadlocks d WHERE d.process = s.reader
                AND d.flight_ns < s.to_ns AND d.flight_end_ns > s.from_ns) THEN 'deadlock'
            WHEN list_contains(c.claims, 'unrecovered') AND w.after_ns > c.recovery_ns
                THEN 'unrecovered'
            WHEN coalesce(w.waited_ns, s.waited_ns) > c.stall_ns THEN 'stall'
            ELSE 'fault' END AS cause
FROM context c, stalls s LEFT JOIN worst w ON w.reader = s.reader AND w.topic = s.topic
     AND w.part = s.part AND w.from_ns = s.from_ns AND w.to_ns = s.to_ns
"""

_SENDING = """
WITH commands AS (
    SELECT process, op_id, min(invoke_ns) AS from_ns, min(invoke_idx) AS idx,
           CASE WHEN count(ack_ns) = count(*) THEN max(ack_ns) END AS done_ns,
           min(ack_ns) FILTER (outcome = 'ok') AS ok_ns
    FROM sends WHERE EXISTS (SELECT 1 FROM outages) GROUP BY ALL
), followed AS (
    SELECT *, lead(from_ns) OVER (PARTITION BY process ORDER BY idx) AS next_ns FROM commands
), ends AS (
    SELECT process, idx, time_ns FROM actions
    WHERE op = 'kill' OR (op IN ('open', 'close') AND type = 'invoke')
)
SELECT f.process, f.idx, f.from_ns, f.ok_ns,
       least(CASE WHEN f.next_ns <= coalesce(f.done_ns, f.next_ns) + 1000000000 THEN f.next_ns
                  ELSE coalesce(f.done_ns, finished_ns) END, e.time_ns, finished_ns) AS to_ns
FROM followed f ASOF LEFT JOIN ends e ON e.process = f.process AND e.idx >= f.idx, context
"""

_RECOVERIES = """
WITH first AS (
    SELECT s.process, o.healed_ns, min(s.ok_ns) AS ok_ns
    FROM sending s ASOF JOIN outages o ON o.healed_ns < s.ok_ns GROUP BY ALL
), trying AS (
    SELECT p.process, o.faults, o.healed_ns, f.ok_ns, least(f.ok_ns, o.until_ns) AS to_ns
    FROM (SELECT DISTINCT process FROM sending) p
    CROSS JOIN outages o
    LEFT JOIN first f ON f.process = p.process AND f.healed_ns = o.healed_ns
)
SELECT t.process, t.faults, t.healed_ns, t.ok_ns, t.to_ns, min(s.idx) AS row_sent,
       sum(least(s.to_ns, t.to_ns) - greatest(s.from_ns, t.healed_ns)) AS asked_ns
FROM trying t JOIN sending s ON s.process = t.process
     AND s.from_ns < t.to_ns AND s.to_ns > t.healed_ns
GROUP BY ALL
"""

_UNRECOVERED = """
SELECT process AS client, 'send' AS op, faults, asked_ns, healed_ns, row_sent
FROM recoveries r, context c
WHERE asked_ns > recovery_ns AND NOT (list_contains(claims, 'deadlock') AND EXISTS (
    SELECT 1 FROM deadlocks d WHERE d.process = r.process
    AND d.flight_ns < r.to_ns AND d.flight_end_ns > r.healed_ns))
UNION ALL
SELECT reader, 'poll', any_value(faults), max(after_ns), any_value(healed_ns), NULL
FROM causes WHERE cause = 'unrecovered' GROUP BY reader, to_ns
"""

RELATIONS: dict[str, Relation] = {
    "outages": Relation(("actions",), _OUTAGES),
    "cpu_use": Relation(("actions",), _PACES),
    "flights": Relation(("actions", "sends", "stalls", "clients"), _FLIGHTS),
    "deadlocks": Relation(("flights", "cpu_use", "outages", "polling", "deliveries"), _DEADLOCKS),
    "causes": Relation(("stalls", "outages", "deadlocks", "lives", "polling"), _CAUSES),
    "sending": Relation(("sends", "actions", "outages"), _SENDING),
    "recoveries": Relation(("sending",), _RECOVERIES),
    "unrecovered": Relation(("recoveries", "causes"), _UNRECOVERED),
}
