"""The relations behind the claim `stall`, as SQL; the argument stands in stall.py.

lives         one row a life of a client that polls: from its `open` to its end.
duties        when a client was responsible for a partition: it owned it, not paused, and was alive.
group_duties  the same for a subscribed group as a whole.
gaps          stretches longer than the bound in which a reader was given nothing.
idle          such stretches of each partition that the reader was responsible for.
begun         from where on it is due there, for groups that begin at the end.
offered       acknowledged records of idle partitions, and since when they could be read.
waits         since when which record was available in an idle stretch.
watched       clients whose polls matter.
polling       when a poll of theirs was in flight, or the next followed within a second.
stalls        waits in which the reader was polling for longer than the bound.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import Relation

# from `open` (or the first row of a client whose `open` was not recorded) to its end
_LIVES = """
WITH marks AS (
    SELECT process, idx, time_ns, op FROM actions
    WHERE (op IN ('open', 'close') AND type = 'invoke') OR op = 'kill'
    UNION ALL
    SELECT process, min(idx), min(time_ns), 'open' FROM (
        SELECT process, idx, time_ns FROM actions UNION ALL SELECT process, idx, time_ns FROM polls
        UNION ALL SELECT process, idx, time_ns FROM given
        UNION ALL SELECT process, idx, time_ns FROM first_sends
    ) WHERE process NOT IN (SELECT process FROM actions WHERE op = 'open') GROUP BY process
), bounded AS (
    SELECT *, lead(time_ns) OVER (PARTITION BY process ORDER BY idx) AS next_ns FROM marks
)
SELECT b.process, l.scope, l.subscribed, b.idx, b.time_ns AS begin_ns,
       least(coalesce(b.next_ns, c.finished_ns), c.finished_ns) AS end_ns
FROM bounded b JOIN clients l USING (process), context c
WHERE b.op = 'open' AND l.polls
"""

# when was a client responsible for a partition; what happens to the client happens to each of them
_DUTIES = """
WITH named AS (
    SELECT DISTINCT process, topic, part FROM actions WHERE topic IS NOT NULL
    AND ((op IN ('assigned', 'revoked', 'lost')) OR (op = 'assign' AND type = 'ok'))
), changes AS (
    SELECT process, topic, part, idx, time_ns, op = 'assigned' AS owned,
           CASE WHEN op = 'assigned' THEN false END AS paused
    FROM actions WHERE op IN ('assigned', 'revoked', 'lost') AND topic IS NOT NULL
    UNION ALL
    SELECT process, topic, part, idx, time_ns, NULL, op = 'pause' FROM actions
    WHERE op IN ('pause', 'resume') AND type = 'ok' AND topic IS NOT NULL
    UNION ALL
    SELECT n.process, n.topic, n.part, a.idx, a.time_ns, e.topic IS NOT NULL, false
    FROM (SELECT process, op_id, min(idx) AS idx, min(time_ns) AS time_ns FROM actions
          WHERE op = 'assign' AND type = 'ok' GROUP BY ALL) a
    JOIN named n USING (process)
    LEFT JOIN (SELECT DISTINCT process, op_id, topic, part FROM actions
               WHERE op = 'assign' AND type = 'ok') e
      ON e.process = n.process AND e.op_id = a.op_id AND e.topic = n.topic AND e.part = n.part
    UNION ALL
    SELECT n.process, n.topic, n.part, e.idx, e.time_ns, false, false
    FROM actions e JOIN named n USING (process)
    WHERE (e.op IN ('open', 'close') AND e.type = 'invoke') OR e.op = 'kill'
), states AS (
    SELECT process, topic, part, time_ns, lead(time_ns) OVER history AS next_ns,
           last_value(owned IGNORE NULLS) OVER history AS owned,
           last_value(paused IGNORE NULLS) OVER history AS paused
    FROM changes WINDOW history AS (PARTITION BY process, topic, part ORDER BY idx)
)
SELECT s.process AS reader, l.scope, s.topic, s.part, s.time_ns AS from_ns,
       least(coalesce(s.next_ns, c.finished_ns), c.finished_ns) AS to_ns
FROM states s JOIN clients l USING (process), context c
WHERE s.owned AND NOT coalesce(s.paused, false)
"""

# the same for a subscribed group as a whole; what was paused is left to the above from then on
_GROUP_DUTIES = """
WITH lives_of AS (
    SELECT scope, min(begin_ns) AS from_ns, max(end_ns) AS to_ns FROM lives
    WHERE subscribed GROUP BY scope
), topics AS (
    SELECT DISTINCT l.scope, e.topic FROM clients l JOIN (
        SELECT process, topic FROM actions WHERE op = 'assigned'
        UNION ALL SELECT process, topic FROM given) e USING (process)
    WHERE l.subscribed AND e.topic IS NOT NULL
    UNION
    SELECT DISTINCT l.scope, unnest(CAST(e.detail -> '$.topics' AS VARCHAR[]))
    FROM actions e JOIN clients l USING (process)
    WHERE e.op = 'subscribe' AND e.type = 'invoke' AND e.detail IS NOT NULL
), known AS (
    SELECT * FROM topics UNION
    SELECT DISTINCT g.scope, s.topic FROM lives_of g, placed s
    WHERE g.scope NOT IN (SELECT scope FROM topics)
), parts AS (
    SELECT DISTINCT k.scope, s.topic, s.part FROM known k JOIN placed s USING (topic)
), paused AS (
    SELECT l.scope, e.topic, e.part, min(e.time_ns) AS since_ns
    FROM actions e JOIN clients l USING (process) WHERE e.op = 'pause' GROUP BY ALL
)
SELECT p.scope AS reader, p.scope, p.topic, p.part, g.from_ns, least(g.to_ns, u.since_ns) AS to_ns
FROM parts p JOIN lives_of g USING (scope)
LEFT JOIN paused u ON u.scope = p.scope AND u.topic = p.topic AND u.part = p.part
"""

# Stretches longer than the bound without any delivery to the reader. Of each eighth of the bound
# the first and the last delivery tell.
_GAPS = """
WITH times AS (
    SELECT g.process, min(g.time_ns) AS first_ns, max(g.time_ns) AS last_ns
    FROM given g, context c GROUP BY g.process, g.time_ns // greatest(c.stall_ns // 8, 1)
), given_ns AS (
    SELECT process, first_ns AS time_ns FROM times UNION SELECT process, last_ns FROM times
), progress AS (
    SELECT process AS reader, time_ns FROM given_ns
    UNION ALL
    SELECT scope, time_ns FROM given_ns JOIN clients USING (process) WHERE subscribed
    UNION ALL SELECT process, begin_ns FROM lives UNION ALL SELECT process, end_ns FROM lives
    UNION ALL SELECT scope, min(begin_ns) FROM lives WHERE subscribed GROUP BY scope
    UNION ALL SELECT scope, max(end_ns) FROM lives WHERE subscribed GROUP BY scope
), steps AS (
    SELECT reader, time_ns AS from_ns,
           lead(time_ns) OVER (PARTITION BY reader ORDER BY time_ns) AS to_ns FROM progress
), grace AS (
    SELECT l.scope AS reader, e.time_ns AS killed_ns, e.time_ns + l.session_ns AS over_ns
    FROM actions e JOIN clients l USING (process) WHERE e.op = 'kill'
)
SELECT s.reader, greatest(s.from_ns, coalesce(max(g.over_ns), s.from_ns)) AS from_ns, s.to_ns
FROM context c, steps s
LEFT JOIN grace g ON g.reader = s.reader AND g.killed_ns <= s.from_ns + c.stall_ns
     AND g.over_ns > s.from_ns
WHERE s.to_ns - s.from_ns > c.stall_ns
GROUP BY s.reader, s.from_ns, s.to_ns, c.stall_ns
HAVING s.to_ns - greatest(s.from_ns, coalesce(max(g.over_ns), s.from_ns)) > c.stall_ns
"""

# such stretches of each partition
_IDLE = """
SELECT d.reader, d.scope, d.topic, d.part, greatest(g.from_ns, d.from_ns) AS from_ns,
       least(g.to_ns, d.to_ns) AS to_ns
FROM (SELECT * FROM duties UNION ALL SELECT * FROM group_duties) d
JOIN gaps g USING (reader), context c
WHERE least(g.to_ns, d.to_ns) - greatest(g.from_ns, d.from_ns) > c.stall_ns
"""

# From where on a group that begins at the end is due to read there: what it was given since
# the partition was assigned last, or else what was committed by then; null: nobody knows.
_BEGUN = """
WITH latest AS (
    SELECT scope FROM clients GROUP BY scope HAVING NOT bool_or(from_start)
), since AS (
    SELECT i.reader, i.scope, i.topic, i.part, i.from_ns, max(a.time_ns) AS since_ns
    FROM idle i JOIN latest USING (scope) JOIN clients l USING (scope)
    JOIN actions a ON a.process = l.process AND a.op = 'assigned'
         AND a.topic = i.topic AND a.part = i.part AND a.time_ns < i.to_ns
    GROUP BY ALL
), known AS (
    SELECT l.scope, g.topic, g.part, g.time_ns, g.low, false AS stored
    FROM given g JOIN clients l USING (process)
    UNION ALL
    SELECT l.scope, a.topic, a.part, a.time_ns, a.off, true
    FROM actions a JOIN clients l USING (process)
    WHERE a.op IN ('commit', 'committed') AND a.type = 'ok' AND a.off >= 0
)
SELECT s.reader, s.topic, s.part, s.from_ns,
       coalesce(min(k.low) FILTER (NOT k.stored), max(k.low) FILTER (k.stored)) AS low
FROM since s LEFT JOIN known k ON k.scope = s.scope AND k.topic = s.topic AND k.part = s.part
     AND CASE WHEN k.stored THEN k.time_ns <= s.since_ns
              ELSE k.time_ns >= s.since_ns AND k.time_ns <= s.from_ns END
GROUP BY ALL
"""

# what could be waited for there, and from when on
_OFFERED = """
SELECT s.*, greatest(s.ack_ns, h.until_ns) AS ready_ns
FROM (SELECT * FROM sends SEMI JOIN idle USING (topic, part) WHERE acknowledged) s
ASOF LEFT JOIN held h ON h.topic = s.topic AND h.part = s.part AND h.off <= s.off
"""

# since when was which record available in them
_WAITS = """
WITH positioned AS (
    SELECT i.*, coalesce(max(d.off), -1) AS position
    FROM idle i LEFT JOIN deliveries d ON d.scope = i.scope AND d.topic = i.topic
         AND d.part = i.part AND d.time_ns <= i.from_ns AND NOT d.misplaced
    GROUP BY ALL
), had AS (
    SELECT scope, value, min(time_ns) AS first_ns FROM deliveries
    WHERE value IS NOT NULL AND EXISTS (SELECT 1 FROM idle) GROUP BY ALL
), beginners AS (
    SELECT scope FROM clients GROUP BY scope HAVING bool_or(from_start)
)
SELECT p.reader, p.scope, p.topic, p.part, p.to_ns, p.position,
       greatest(p.from_ns, min(s.ready_ns)) AS from_ns, count(*) AS records,
       arg_min(s.off, s.off) AS first_off, arg_min(s.value, s.off) AS first_value
FROM context c, positioned p
JOIN offered s ON s.topic = p.topic AND s.part = p.part AND s.off > p.position
     AND s.ready_ns < p.to_ns - c.stall_ns
LEFT JOIN spans n ON n.scope = p.scope AND n.topic = p.topic AND n.part = p.part
LEFT JOIN beginners b ON b.scope = p.scope
LEFT JOIN had h ON h.scope = p.scope AND h.value = s.value AND h.first_ns < p.to_ns
LEFT JOIN skips k ON k.scope = p.scope AND k.topic = p.topic AND k.part = p.part
     AND s.off BETWEEN k.low AND k.high
LEFT JOIN begun a ON a.reader = p.reader AND a.topic = p.topic AND a.part = p.part
     AND a.from_ns = p.from_ns
WHERE h.value IS NULL AND k.scope IS NULL AND (a.reader IS NULL OR s.off >= a.low)
  AND (n.start <= s.off OR (n.scope IS NULL AND b.scope IS NOT NULL))
GROUP BY p.reader, p.scope, p.topic, p.part, p.to_ns, p.position, p.from_ns, c.stall_ns
HAVING p.to_ns - greatest(p.from_ns, min(s.ready_ns)) > c.stall_ns
"""

# time in which a poll was in flight, or the next followed within a second
_POLLING = """
WITH asked AS (
    SELECT i.process, i.time_ns AS from_ns, c.time_ns AS done_ns,
           lead(i.time_ns) OVER (PARTITION BY i.process ORDER BY i.idx) AS next_ns
    FROM (SELECT * FROM polls SEMI JOIN watched USING (process) WHERE type = 'invoke') i
    ASOF LEFT JOIN (SELECT process, op_id, min(idx) AS idx, min(time_ns) AS time_ns FROM (
                        SELECT process, op_id, idx, time_ns FROM polls WHERE type <> 'invoke'
                        UNION ALL SELECT process, op_id, idx, time_ns FROM given
                    ) SEMI JOIN watched USING (process) GROUP BY ALL) c
      ON c.process = i.process AND c.op_id = i.op_id AND i.idx <= c.idx
)
SELECT process, from_ns,
       least(coalesce(greatest(done_ns, least(next_ns, done_ns + 1000000000)), done_ns, next_ns,
                      finished_ns), finished_ns) AS to_ns
FROM asked, context
"""

# Clients whose polls matter: those with partitions that may have waited too long, or were paused
# when they came back (pausing.py).
_WATCHED = """
SELECT DISTINCT d.reader AS process FROM duties d SEMI JOIN suspects USING (topic, part)
UNION SELECT DISTINCT process FROM given SEMI JOIN suspects USING (topic, part)
UNION SELECT v.process FROM waits w JOIN lives v ON v.process = w.reader OR v.scope = w.reader
UNION SELECT process FROM regained
"""

_STALLS = """
WITH asked AS (
    SELECT w.reader, w.scope, w.topic, w.part, w.position, w.from_ns, w.to_ns, w.records,
           w.first_off, w.first_value, p.process,
           sum(least(p.to_ns, v.end_ns, w.to_ns) - greatest(p.from_ns, v.begin_ns, w.from_ns))
               AS asked_ns
    FROM waits w JOIN lives v ON v.process = w.reader OR v.scope = w.reader
    JOIN polling p ON p.process = v.process AND p.from_ns < least(w.to_ns, v.end_ns)
         AND p.to_ns > greatest(w.from_ns, v.begin_ns)
    GROUP BY ALL
), long AS (
    SELECT reader, scope, topic, part, position, from_ns, to_ns, records, first_off, first_value,
           max(asked_ns) AS waited_ns
    FROM asked, context c WHERE asked_ns > c.stall_ns GROUP BY ALL
)
SELECT l.*, NOT EXISTS (
    SELECT 1 FROM deliveries d WHERE d.scope = l.scope AND d.topic = l.topic
    AND d.part = l.part AND d.time_ns >= l.to_ns) AS at_end
FROM long l
WHERE l.reader NOT LIKE 'group:%' OR NOT EXISTS (
    SELECT 1 FROM long o WHERE o.scope = l.scope AND o.reader <> l.reader
    AND o.from_ns < l.to_ns AND o.to_ns > l.from_ns)
"""

RELATIONS: dict[str, Relation] = {
    "lives": Relation(("clients", "first_sends", "polls", "given"), _LIVES),
    "duties": Relation(("actions", "clients"), _DUTIES),
    "group_duties": Relation(("lives", "placed", "given"), _GROUP_DUTIES),
    "gaps": Relation(("lives", "given"), _GAPS),
    "idle": Relation(("duties", "group_duties", "gaps"), _IDLE),
    "offered": Relation(("idle", "sends", "held"), _OFFERED),
    "begun": Relation(("idle", "given", "clients", "actions"), _BEGUN),
    "waits": Relation(("idle", "begun", "offered", "spans", "skips", "clients"), _WAITS),
    "watched": Relation(("duties", "suspects", "given", "waits", "lives", "regained"), _WATCHED),
    "polling": Relation(("polls", "given", "watched"), _POLLING),
    "stalls": Relation(("waits", "polling", "lives"), _STALLS),
}
