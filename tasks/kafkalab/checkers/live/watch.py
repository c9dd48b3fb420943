"""What the live form (judge.py) must look at again, and what it lets go, as SQL on its rows.

WANTED, WANTED_VALUES   where what came puts settled rows in question (judge.py, *Looking back*)
PAUSES, LATEST, STALLED a first look for stalls, and what proves those that were found
POLLS, WITHOUT_POLLS    polls that no stall can need; what is held without them
LEAVING, REST           what is settled; what is held without it and those polls
SENT_TWICE, SENT_AGAIN  values that are not unique
HELD, HELD_NOW          the rows that are judged

The tables that these read are those of tables.py.
"""

from __future__ import annotations

# Polls that no stall can need: see live/judge.py.
POLLS = """
CREATE OR REPLACE TEMP TABLE polls AS
WITH got AS (
    SELECT process, max(time_ns) AS last_ns FROM came GROUP BY process
), waiting AS (
    SELECT DISTINCT d.scope FROM due d JOIN units u
      ON u.topic = d.topic AND u.part = d.part AND u.off > d.top
), called AS (
    SELECT p.process, max(p.idx) FILTER (p.time_ns <= g.last_ns) AS since, max(p.idx) AS newest
    FROM recs p LEFT JOIN got g USING (process) WHERE p.kind = 4 GROUP BY p.process
), newest AS (SELECT max(time_ns) AS now_ns FROM recs)
SELECT p.idx FROM newest, settings s, recs p
JOIN readers r USING (process) LEFT JOIN called c USING (process)
LEFT JOIN waiting w ON w.scope = r.scope
LEFT JOIN firsts f ON f.process = p.process AND f.idx = p.idx
WHERE (p.kind = 4 OR (p.kind > 4 AND p.topic IS NULL)) AND f.idx IS NULL
  AND (p.idx < c.since OR (w.scope IS NULL AND p.idx < c.newest))
  AND p.time_ns < now_ns - s.stall_ns
  AND NOT EXISTS (SELECT 1 FROM stalled x WHERE x.process = p.process
                  AND p.time_ns BETWEEN x.from_ns AND x.to_ns)
"""

# What may have waited too long since the last time: a first look. `latest` is the delivery before.
PAUSES = """
WITH thinned AS (
    SELECT process, unnest([min(time_ns), max(time_ns)]) AS time_ns, max(idx) AS idx
    FROM recs, settings WHERE kind > 4 AND topic IS NOT NULL AND idx >= $since
    GROUP BY process, time_ns // (stall_ns // 4)
    UNION ALL SELECT process, time_ns, idx FROM latest
), progress AS (
    SELECT CAST(process AS VARCHAR) AS reader, idx, time_ns FROM thinned
    UNION ALL SELECT CAST(process AS VARCHAR), idx, time_ns FROM firsts
    UNION ALL
    SELECT CAST(pid AS VARCHAR), idx, time_ns FROM acts WHERE op IN ('open', 'close', 'kill')
    UNION ALL SELECT r.scope, c.idx, c.time_ns FROM thinned c JOIN readers r USING (process)
    UNION ALL
    SELECT r.scope, min(f.idx), min(f.time_ns) FROM firsts f JOIN readers r USING (process)
    GROUP BY r.scope
    UNION ALL
    SELECT r.scope, max(a.idx), max(a.time_ns) FROM acts a JOIN readers r ON r.process = a.pid
    WHERE a.op IN ('close', 'kill') GROUP BY r.scope
), steps AS (
    SELECT idx, time_ns - lag(time_ns) OVER (PARTITION BY reader ORDER BY time_ns) AS step
    FROM progress
)
SELECT count(*) FROM steps, settings WHERE step > stall_ns AND idx >= $since
"""

LATEST = """
INSERT OR REPLACE INTO latest SELECT process, arg_max(idx, time_ns), max(time_ns) FROM recs
WHERE kind > 4 AND topic IS NOT NULL AND idx >= $since GROUP BY process
"""

STALLED = (
    """
CREATE OR REPLACE TABLE stalled AS
SELECT r.process, coalesce(max(p.time_ns), x.from_ns) AS from_ns, x.to_ns
FROM stalls_found x
JOIN readers r ON r.process = x.process OR (x.process = -1 AND r.scope = x.scope)
LEFT JOIN recs p ON p.process = r.process AND p.kind = 4 AND p.time_ns <= x.from_ns
GROUP BY r.process, x.from_ns, x.to_ns
""",
    # The deliveries at either side of it, and the furthest before it.
    """
INSERT OR IGNORE INTO sticky
WITH mine AS (
    SELECT x.from_ns, x.to_ns, c.process, c.topic, c.part, c.off, c.time_ns, c.value
    FROM stalls_found x JOIN readers r USING (scope) JOIN came c ON c.process = r.process
), kept AS (
    SELECT unnest([arg_max(value, time_ns) FILTER (time_ns <= from_ns),
                   arg_max(value, off) FILTER (time_ns <= from_ns),
                   arg_min(value, time_ns) FILTER (time_ns >= to_ns)]) AS value
    FROM mine GROUP BY from_ns, to_ns, process, topic, part
    UNION ALL SELECT value FROM stalls_found
)
SELECT DISTINCT value FROM kept WHERE value IS NOT NULL
""",
)

# Where something came that is at or below what is settled, or that a stretch leapt to over it.
WANTED = """
INSERT INTO wanted
WITH edges AS (
    SELECT topic, part, max(hi) AS top FROM runs WHERE topic >= 0 GROUP BY topic, part
), given AS (
    SELECT idx, process, topic, part, off, stretch FROM recs WHERE kind > 4 AND topic IS NOT NULL
), went_on AS (
    SELECT f.topic, f.part, f.off, l.off AS before FROM (
        SELECT process, topic, part, stretch, arg_min(off, idx) AS off FROM given
        WHERE idx >= $since GROUP BY ALL
    ) f JOIN (
        SELECT process, topic, part, stretch, arg_max(off, idx) AS off FROM given
        WHERE idx < $since GROUP BY ALL
    ) l USING (process, topic, part, stretch)
)
SELECT g.topic, g.part, g.off FROM given g JOIN edges e USING (topic, part)
WHERE g.idx >= $since AND g.off <= e.top
UNION
SELECT w.topic, w.part, w.off FROM went_on w JOIN edges e USING (topic, part)
WHERE w.before < e.top
UNION
SELECT a.topic, a.part, a.off FROM recs a JOIN edges e USING (topic, part)
ANTI JOIN given g ON g.topic = a.topic AND g.part = a.part AND g.off = a.off
WHERE a.kind = 1 AND a.idx >= $since AND a.off BETWEEN 0 AND e.top
"""

# Values that were given out and of which no send is held.
WANTED_VALUES = """
INSERT INTO wanted_values
SELECT DISTINCT r.value FROM recs r
ANTI JOIN (SELECT value FROM recs WHERE kind = 0) s ON s.value = r.value
WHERE r.kind > 4 AND r.idx >= $since AND r.value IS NOT NULL
"""

# Values that came a second time: among what is held, and after they had been settled.
SENT_TWICE = """
SELECT count(*) FROM (
    SELECT 1 FROM recs WHERE kind < 4 GROUP BY value, kind > 0 HAVING count(*) > 1 OR value IS NULL
)
"""

TWICE = "SELECT count(*) FROM units WHERE calls > 1 OR rows - calls > 1 OR value IS NULL"

SENT_AGAIN = """
WITH remembered AS (
    SELECT lo, hi FROM runs WHERE topic = -1
), sent AS (
    SELECT CAST(value AS HUGEINT) AS x FROM recs
    WHERE kind < 4 AND idx >= $since AND value <= (SELECT max(hi) FROM remembered)
)
SELECT count(*) FROM sent s ASOF JOIN remembered r ON r.lo <= s.x WHERE s.x <= r.hi
"""

# Records next to each other in one command, and how many of them lie apart, among those held.
PAIRS = """
WITH placed AS (
    SELECT a.process, a.topic, a.part, a.op_id, a.off, i.idx
    FROM recs a JOIN recs i ON i.value = a.value AND i.kind = 0 WHERE a.kind = 1 AND a.off >= 0
), steps AS (
    SELECT op_id = lag(op_id) OVER place AS together, off > lag(off) OVER place + 1 AS apart
    FROM placed WINDOW place AS (PARTITION BY process, topic, part ORDER BY idx)
)
SELECT count(*) FILTER (together), count(*) FILTER (together AND apart) FROM steps
"""

HELD = "SELECT * FROM recs"

# While the history grows: without deliveries whose send may be on its way to the lab.
HELD_NOW = """
SELECT r.* FROM recs r, (SELECT max(time_ns) AS now_ns FROM recs)
WHERE r.kind < 5 OR r.value IS NULL OR r.value IN (SELECT value FROM recs WHERE kind = 0)
   OR r.time_ns < now_ns - 5000000000
"""

LEAVING = """
SELECT r.*, s.part AS place_part, s.off AS place_off, s.followed AND r.kind = 1 AS followed,
       s.ordered, s.acked
FROM recs r JOIN settling s USING (value)
"""

WITHOUT_POLLS = "SELECT r.* FROM recs r ANTI JOIN polls p ON p.idx = r.idx"

REST = """
SELECT r.* FROM recs r ANTI JOIN settling s ON s.value = r.value
ANTI JOIN polls p ON p.idx = r.idx
"""
