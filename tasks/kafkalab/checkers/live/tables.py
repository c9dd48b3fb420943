"""What may be settled, as SQL on the rows that the live form (judge.py) holds.

recs, acts  the rows held: of sends and polls (rows.py, with `stretch`: the row of the client's
            last move, see order.py), and all others.
readers     one row a client: `scope` as in tables.py, and `alive`: it, or
            another member of its group, may still read.
units       one row a value sent.
came        deliveries, each with the offset that its stretch gave before and after it.
spread      per stretch: the offsets it has, and whether it went `back` to some.
places      one row an offset of a partition that was acknowledged or delivered.
mixed       values that were seen at several places, or where others were.
held        places that a stretch leapt over, and those on either side.
floors      per partition: how far every reader that is alive has come.
busy        per client: where its oldest send in flight was invoked, or beyond all.
pinned      values that later questions may need: see live/judge.py, *Witnesses*.
barred      values that stay, for what was found about them or their place.
senders     per client and partition: its first send there, and the first that ended.
settling    the values that nothing can be asked of any more, with their places.
"""

from __future__ import annotations

SETTINGS = "CREATE TABLE settings AS SELECT ? AS stall_ns, ? AS redelivery_allowed"

STATE = (
    "CREATE TABLE readers (process INTEGER, opened BIGINT, ordered BOOLEAN, silent BOOLEAN,"
    " transactional BOOLEAN, scope VARCHAR, alive BOOLEAN)",
    "CREATE TABLE sticky (value UBIGINT PRIMARY KEY)",
    "CREATE TABLE stalls_found (process INTEGER, scope VARCHAR, from_ns BIGINT, to_ns BIGINT,"
    " value UBIGINT)",
    "CREATE TABLE stalled (process INTEGER, from_ns BIGINT, to_ns BIGINT)",
    "CREATE TABLE latest (process INTEGER PRIMARY KEY, idx BIGINT, time_ns BIGINT)",
)

READERS = """
CREATE OR REPLACE TABLE readers AS
WITH opened AS (
    SELECT pid, max(idx) AS opened, arg_max(detail ->> '$.config.group', idx) AS grp,
           bool_or(detail ->> '$.config.idempotence' = 'true'
                   OR detail ->> '$.config.transactional_id' IS NOT NULL) AS ordered,
           bool_or(detail ->> '$.config.acks' = '0') AS silent
    FROM acts WHERE op = 'open' AND type = 'invoke' GROUP BY pid
), told AS (
    SELECT pid, bool_or(op = 'subscribe') AS subscribed,
           max(idx) FILTER (op = 'kill' OR (op = 'close' AND type = 'invoke')) AS ended
    FROM acts GROUP BY pid
), each AS (
    SELECT f.process, coalesce(o.opened, -1) AS opened, coalesce(o.ordered, false) AS ordered,
           coalesce(o.silent, false) AS silent, f.process IN (SELECT pid FROM acts WHERE op = 'txn')
               AS transactional,
           CASE WHEN t.subscribed THEN 'group:' || coalesce(o.grp, '')
                ELSE 'client:' || f.process END AS scope,
           coalesce(t.ended, -1) <= coalesce(o.opened, -1) AS alive
    FROM firsts f LEFT JOIN opened o ON o.pid = f.process LEFT JOIN told t ON t.pid = f.process
)
SELECT * EXCLUDE (alive), bool_or(alive) OVER (PARTITION BY scope) AS alive FROM each
"""

_UNITS = """
CREATE OR REPLACE TEMP TABLE units AS
SELECT value, any_value(process) AS process, any_value(topic) AS topic, max(kind) AS kind,
       count(*) AS rows, count(*) FILTER (kind = 0) AS calls, min(idx) AS invoke_idx,
       max(stretch) FILTER (kind = 0) AS stretch, max(part) FILTER (kind = 0) AS requested,
       max(idx) FILTER (kind > 0) AS ack_idx, max(time_ns) FILTER (kind > 0) AS ack_ns,
       max(part) FILTER (kind > 0) AS part, max(off) FILTER (kind = 1 AND off >= 0) AS off
FROM recs WHERE kind < 4 GROUP BY value
"""

CAME = """
CREATE OR REPLACE TEMP TABLE came AS
SELECT idx, time_ns, process, topic, part, off, value, stretch,
       problem IS NOT NULL OR coalesce(intended, -1) >= 0 AS odd,
       lag(off) OVER came AS before, lead(off) OVER came AS after
FROM recs WHERE kind > 4 AND topic IS NOT NULL
WINDOW came AS (PARTITION BY process, topic, part, stretch ORDER BY idx)
"""

_SPREAD = """
CREATE OR REPLACE TEMP TABLE spread AS
SELECT r.scope, r.alive, c.process, c.topic, c.part, c.stretch, min(c.off) AS low,
       max(c.off) AS high, coalesce(bool_or(c.off <= c.before), false) AS back
FROM came c JOIN readers r USING (process) GROUP BY ALL
"""

_PLACES = """
CREATE OR REPLACE TEMP TABLE places AS
SELECT topic, part, off, min(value) AS value, max(value) AS other, count(*) FILTER (given) AS given,
       count(value) = count(*) AND bool_and(clean) AS clean
FROM (
    SELECT topic, part, off, value, true AS given,
           NOT odd AND coalesce(before < off AND off < after, false) AS clean FROM came
    UNION ALL
    SELECT topic, part, off, value, false, true FROM units WHERE off IS NOT NULL
) GROUP BY topic, part, off
"""

_HELD = """
CREATE OR REPLACE TEMP TABLE held AS
WITH leaps AS (
    SELECT DISTINCT topic, part, before, off FROM came WHERE off > before + 1
), over AS (
    SELECT l.*, p.off AS between FROM leaps l JOIN places p
      ON p.topic = l.topic AND p.part = l.part AND p.off > l.before AND p.off < l.off
)
SELECT DISTINCT topic, part, unnest([before, between, off]) AS off FROM over
"""

# What each reader was given of a partition, or is responsible for; or may be, having subscribed.
_DUE = """
CREATE OR REPLACE TEMP TABLE due AS
SELECT scope, topic, part, max(high) AS top, bool_or(alive) AS alive FROM (
    SELECT scope, topic, part, high, alive FROM spread
    UNION ALL
    SELECT DISTINCT r.scope, a.tid, a.part AS part, CAST(-1 AS BIGINT), r.alive
    FROM (SELECT DISTINCT pid, tid, "partition" AS part FROM acts
          WHERE op IN ('assigned', 'assign') AND tid IS NOT NULL) a
    JOIN readers r ON r.process = a.pid
    UNION ALL
    SELECT DISTINCT r.scope, n.tid, u.part, CAST(-1 AS BIGINT), r.alive
    FROM (SELECT DISTINCT pid, unnest(named) AS tid FROM acts) n JOIN readers r ON r.process = n.pid
    JOIN (SELECT DISTINCT topic, part FROM units WHERE off IS NOT NULL) u ON u.topic = n.tid
) GROUP BY scope, topic, part
"""

_FLOORS = """
CREATE OR REPLACE TEMP TABLE floors AS
SELECT topic, part, coalesce(min(top) FILTER (alive), 9223372036854775807) AS floor
FROM due GROUP BY topic, part
"""

_BUSY = """
CREATE OR REPLACE TEMP TABLE busy AS
SELECT r.process, r.ordered, r.silent,
       coalesce(min(u.invoke_idx), 9223372036854775807) AS since
FROM readers r LEFT JOIN (SELECT process, invoke_idx FROM units WHERE ack_idx IS NULL) u
  ON u.process = r.process AND u.invoke_idx > r.opened
GROUP BY ALL
"""

# Values that were seen at several places, or where others were.
_MIXED = """
CREATE OR REPLACE TEMP TABLE mixed AS
SELECT value FROM places GROUP BY value HAVING count(*) > 1
UNION
SELECT unnest([c.value, u.value, p.value, p.other]) FROM places p
LEFT JOIN came c USING (topic, part, off) LEFT JOIN units u USING (topic, part, off)
WHERE p.value <> p.other
"""

# Sends below one that was invoked before them, and what proves it where it is a finding.
_DISORDER = """
CREATE OR REPLACE TEMP TABLE disorder AS
WITH placed AS (
    SELECT u.*, r.ordered FROM units u JOIN readers r USING (process) WHERE off IS NOT NULL
), called AS (
    SELECT *, max(off) OVER before AS top
    FROM placed WINDOW before AS (PARTITION BY process, topic, part ORDER BY invoke_idx
                                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), below AS (
    SELECT c.value, c.ordered, c.off, any_value(t.value) AS top_value, max(e.off) AS ended_top,
           arg_max(e.value, e.off) AS ended_value
    FROM called c JOIN placed t ON t.process = c.process AND t.topic = c.topic
         AND t.part = c.part AND t.off = c.top
    LEFT JOIN placed e ON e.process = c.process AND e.topic = c.topic
         AND e.part = c.part AND e.ack_idx < c.invoke_idx
    WHERE c.off < c.top GROUP BY ALL
)
SELECT unnest([value, top_value, ended_value]) AS value FROM below
WHERE ordered OR off < ended_top
"""

# Offsets that one reader was given again, and not for a reason that delivered-twice allows.
_AGAIN = """
CREATE OR REPLACE TEMP TABLE again AS
WITH crossing AS (
    SELECT DISTINCT a.scope, a.topic, a.part, greatest(a.low, b.low) AS low,
           least(a.high, b.high) AS high
    FROM spread a JOIN spread b USING (scope, topic, part)
    WHERE (a.process, a.stretch) < (b.process, b.stretch) AND a.low <= b.high AND b.low <= a.high
    UNION
    SELECT scope, topic, part, low, high FROM spread WHERE back
), given AS (
    SELECT DISTINCT c.idx, c.process, c.topic, c.part, c.off, x.scope
    FROM came c JOIN readers r USING (process)
    JOIN crossing x ON x.scope = r.scope AND x.topic = c.topic AND x.part = c.part
         AND c.off BETWEEN x.low AND x.high
), pairs AS (
    SELECT *, lag(idx) OVER again AS before, lag(process) OVER again AS process_before
    FROM given WINDOW again AS (PARTITION BY scope, topic, part, off ORDER BY idx)
), told AS (
    SELECT p.*, coalesce(bool_or(a.op IN ('seek', 'assign')), false) AS moved,
           coalesce(bool_or(a.op = 'assigned'), false) AS assigned
    FROM (SELECT * FROM pairs WHERE before IS NOT NULL) p
    LEFT JOIN acts a ON a.pid = p.process AND a.tid = p.topic AND a."partition" = p.part
         AND a.idx > p.before AND a.idx < p.idx AND (a.type = 'ok' OR a.op = 'assigned')
    GROUP BY ALL
)
SELECT DISTINCT topic, part, off FROM told, settings
WHERE NOT moved AND NOT (redelivery_allowed AND (assigned OR process <> process_before))
"""

# The first record beyond what each reader has, by offset and by time: what it may wait for.
_NEXT = """
CREATE OR REPLACE TEMP TABLE next AS
SELECT unnest([arg_min(u.value, u.off), arg_min(u.value, u.ack_ns)]) AS value
FROM due d JOIN units u ON u.topic = d.topic AND u.part = d.part AND u.off > d.top
GROUP BY d.scope, d.topic, d.part
"""

# What was sent in a transaction that did not commit, or not yet.
_UNCOMMITTED = """
CREATE OR REPLACE TEMP TABLE uncommitted AS
SELECT u.value FROM units u JOIN readers r USING (process)
ASOF LEFT JOIN (
    SELECT pid, idx, type = 'ok' AND detail ->> '$.action' = 'commit' AS commits
    FROM acts WHERE op = 'txn' AND type <> 'invoke'
) t ON t.pid = u.process AND t.idx > u.ack_idx
WHERE r.transactional AND NOT coalesce(t.commits, false)
"""

_PINNED = """
CREATE OR REPLACE TEMP TABLE pinned AS
SELECT value FROM disorder
UNION SELECT value FROM uncommitted
UNION SELECT value FROM next
UNION SELECT value FROM sticky
UNION SELECT arg_max(value, off) FROM places GROUP BY topic, part
UNION SELECT unnest([arg_min(value, invoke_idx), arg_min(value, ack_idx) FILTER (kind = 1),
                     arg_min(value, invoke_idx) FILTER (off IS NOT NULL)])
FROM units GROUP BY process, stretch, topic, coalesce(part, requested)
UNION SELECT arg_max(u.value, u.off) FROM units u JOIN busy b USING (process)
WHERE u.off IS NOT NULL AND u.ack_idx < b.since
GROUP BY u.process, u.topic, u.part
"""

_BARRED = """
CREATE OR REPLACE TEMP TABLE barred AS
SELECT value FROM pinned
UNION SELECT value FROM mixed
UNION SELECT value FROM places SEMI JOIN held USING (topic, part, off)
UNION SELECT value FROM places SEMI JOIN again USING (topic, part, off)
"""

_SENDERS = """
CREATE OR REPLACE TEMP TABLE senders AS
SELECT process, topic, part, min(ack_idx) AS ack_idx, min(invoke_idx) AS invoke_idx
FROM units WHERE off IS NOT NULL GROUP BY process, topic, part
"""

_SETTLING = """
CREATE OR REPLACE TEMP TABLE settling AS
SELECT p.value, p.topic, p.part, p.off,
       coalesce(t.ack_idx < u.invoke_idx OR (b.ordered AND t.invoke_idx < u.invoke_idx), false)
           AS followed, b.ordered, u.kind = 1 AND NOT b.silent AS acked, p.given
FROM places p JOIN units u USING (value)
JOIN floors f ON f.topic = p.topic AND f.part = p.part
JOIN busy b ON b.process = u.process
LEFT JOIN senders t ON u.off IS NOT NULL AND t.process = u.process AND t.topic = p.topic
     AND t.part = p.part
ANTI JOIN barred n ON n.value = p.value
WHERE p.clean AND p.given > 0 AND p.value = p.other AND p.off <= f.floor
  AND u.rows = 2 AND u.kind IN (1, 3) AND u.ack_idx < b.since
  AND u.topic = p.topic AND coalesce(u.requested = p.part, true)
  AND coalesce(u.part = p.part, true) AND coalesce(u.off = p.off, true)
"""

FIRST_LOOK = (_UNITS, CAME)

READ_SO_FAR = (*FIRST_LOOK, _SPREAD, _DUE)

SETTLE = (
    _SPREAD, _PLACES, _HELD, _DUE, _FLOORS, _BUSY, _MIXED, _DISORDER,
    _AGAIN, _NEXT,
    _UNCOMMITTED, _PINNED, _BARRED, _SENDERS, _SETTLING,
)  # fmt: skip
