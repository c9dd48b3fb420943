"""The relations behind the claims on rebalances, as SQL; the argument stands in rebalance.py.

changes    what moved in a group: its members (`open`, `subscribe`, `close`, `kill`), what they
           were told (`assigned`, `revoked`, `lost`), and errors outside commands. `settling_ns`:
           when the coordinator must have noticed; a member that crashed, did not close, or is
           static and closed, is missed only after its session timeout.
wanted     topics that a member named whenever it subscribed, or was given partitions of, and since
           when.
settled    times longer than settle_ns in which nothing changed, of groups that own something.
holders    how many members owned a partition from a time on; `loads` how many partitions a member
           owned.
orphans    partitions without an owner through a settled time, though members that want the topic,
           and everybody else in the group, kept polling.
episodes   runs of changes with no settled time between: how many rebalances they took, and how
           many changes of the members called for them.
moves      of groups whose members are all incremental: partitions that were revoked, and who had
           them next. `stirred`: members came or went meanwhile; `joined`, `left`: shortly before.
           `troubled`: somebody was lost, killed or reported an error around that time.
needless   moves that gave back, or gave to a member that had as many.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import Relation

_CHANGES = """
WITH closed AS (
    SELECT DISTINCT process, op_id FROM actions WHERE op = 'close' AND type = 'ok'
), rows AS (
    SELECT m.grp, a.process, a.idx, a.time_ns, a.op, a.type, a.generation, m.session_ns,
           CASE WHEN a.op = 'kill' THEN true
                WHEN a.op = 'close' AND a.type = 'invoke'
                    THEN m.instance IS NOT NULL OR c.process IS NULL
                WHEN a.op = 'open' THEN row_number() OVER
                    (PARTITION BY a.process, a.op, a.type ORDER BY a.idx) > 1
                ELSE false END AS unnoticed
    FROM actions a JOIN members m USING (process)
    LEFT JOIN closed c ON c.process = a.process AND c.op_id = a.op_id AND a.op = 'close'
    WHERE (a.op IN ('open', 'subscribe') AND a.type = 'invoke')
       OR a.op IN ('close', 'kill', 'error', 'assigned', 'revoked', 'lost')
)
SELECT * EXCLUDE (session_ns, unnoticed),
       time_ns + CASE WHEN unnoticed THEN session_ns ELSE 0 END AS settling_ns
FROM rows
"""

_WANTED = """
WITH asked AS (
    SELECT process, time_ns, CAST(detail -> '$.topics' AS VARCHAR[]) AS topics FROM actions
    WHERE op = 'subscribe' AND type = 'invoke' AND detail IS NOT NULL
), times AS (
    SELECT process, count(*) AS calls FROM asked GROUP BY process
), named AS (
    SELECT process, topic, min(time_ns) AS since_ns, count(*) AS calls
    FROM (SELECT DISTINCT process, time_ns, unnest(topics) AS topic FROM asked) GROUP BY ALL
)
SELECT m.grp, n.process, n.topic, min(n.since_ns) AS since_ns FROM (
    SELECT n.process, n.topic, n.since_ns FROM named n JOIN times t USING (process, calls)
    UNION ALL
    SELECT o.process, CAST(o.topic AS VARCHAR), min(o.from_ns) FROM ownerships o
    LEFT JOIN times t USING (process) WHERE coalesce(t.calls, 1) = 1 GROUP BY ALL
) n JOIN members m USING (process) GROUP BY ALL
"""

_HOLDERS = """
SELECT DISTINCT grp, topic, part, at_ns,
       sum(step) OVER (PARTITION BY grp, topic, part ORDER BY at_ns) AS owners
FROM (SELECT grp, topic, part, from_ns AS at_ns, 1 AS step FROM ownerships
      UNION ALL
      SELECT grp, topic, part, to_ns, -1 FROM ownerships WHERE to_idx IS NOT NULL)
"""

_LOADS = """
SELECT DISTINCT process, at_ns, sum(step) OVER (PARTITION BY process ORDER BY at_ns) AS partitions
FROM (SELECT process, from_ns AS at_ns, 1 AS step FROM ownerships
      UNION ALL
      SELECT process, to_ns, -1 FROM ownerships WHERE to_idx IS NOT NULL)
"""

_SETTLED = """
WITH steps AS (
    SELECT grp, max(settling_ns) OVER (PARTITION BY grp ORDER BY time_ns, idx) AS from_ns,
           lead(time_ns) OVER (PARTITION BY grp ORDER BY time_ns, idx) AS next_ns
    FROM changes
), quiet AS (
    SELECT s.grp, s.from_ns, coalesce(s.next_ns, c.finished_ns) AS to_ns FROM steps s, context c
    WHERE coalesce(s.next_ns, c.finished_ns) - s.from_ns > c.settle_ns
), places AS (
    SELECT DISTINCT grp, topic, part FROM holders
)
SELECT q.*, count(*) AS owned FROM quiet q JOIN places p USING (grp)
ASOF JOIN holders h ON h.grp = p.grp AND h.topic = p.topic AND h.part = p.part
     AND h.at_ns <= q.from_ns
WHERE h.owners > 0 GROUP BY q.grp, q.from_ns, q.to_ns
"""

_ORPHANS = """
WITH written AS (
    SELECT topic, part, min(time_ns) AS since_ns FROM placed GROUP BY ALL
), known AS (
    SELECT grp, topic, part, min(since_ns) AS since_ns FROM (
        SELECT grp, CAST(topic AS VARCHAR) AS topic, part, at_ns AS since_ns FROM holders
        UNION ALL
        SELECT n.grp, n.topic, w.part, n.since_ns FROM wanted n
        JOIN written w ON w.topic = n.topic AND w.since_ns < n.since_ns)
    GROUP BY ALL
), asked AS (
    SELECT s.*, k.topic, k.part FROM settled s
    JOIN known k ON k.grp = s.grp AND k.since_ns <= s.from_ns
), empty AS (
    SELECT a.* FROM asked a ASOF LEFT JOIN holders h
      ON h.grp = a.grp AND h.topic = a.topic AND h.part = a.part AND h.at_ns <= a.from_ns
    WHERE coalesce(h.owners, 0) <= 0
), times AS (
    SELECT DISTINCT grp, from_ns, to_ns FROM empty
), ended AS (
    SELECT process, max(time_ns) FILTER (WHERE op <> 'open') AS end_ns FROM actions
    WHERE (op IN ('open', 'close') AND type = 'invoke') OR op = 'kill'
    GROUP BY process HAVING end_ns > coalesce(max(time_ns) FILTER (WHERE op = 'open'), -1)
), alive AS (
    SELECT q.*, l.process FROM times q JOIN members m USING (grp)
    JOIN lives l ON l.process = m.process AND l.begin_ns <= q.from_ns AND l.end_ns >= q.to_ns
    UNION ALL
    SELECT q.*, m.process FROM times q JOIN (members ANTI JOIN lives USING (process)) m USING (grp)
    LEFT JOIN ended e ON e.process = m.process AND e.end_ns <= q.from_ns
    WHERE e.process IS NULL
), asked_for AS (
    SELECT a.*, p.time_ns - lag(p.time_ns) OVER
           (PARTITION BY a.grp, a.from_ns, a.process ORDER BY p.time_ns) AS gap_ns
    FROM alive a LEFT JOIN (SELECT * FROM polls WHERE type = 'invoke') p
      ON p.process = a.process AND p.time_ns BETWEEN a.from_ns AND a.to_ns
), busy AS (
    SELECT p.grp, p.from_ns, p.process,
           sum(least(coalesce(p.gap_ns, 0), x.settle_ns // 3)) AS ns
    FROM asked_for p, context x GROUP BY ALL
), awake AS (
    SELECT grp, from_ns FROM busy, context GROUP BY ALL HAVING min(ns) >= any_value(settle_ns)
)
SELECT e.*, list(DISTINCT b.process ORDER BY b.process) AS members,
       e.to_ns >= c.finished_ns AS at_end
FROM empty e JOIN awake USING (grp, from_ns) JOIN busy b USING (grp, from_ns)
JOIN wanted w ON w.process = b.process AND w.topic = e.topic, context c
GROUP BY ALL
"""

_EPISODES = """
WITH marked AS (
    SELECT grp, process, time_ns, op, type, generation, min(idx) AS idx FROM changes GROUP BY ALL
), stepped AS (
    SELECT *, time_ns - lag(time_ns) OVER (PARTITION BY grp ORDER BY time_ns, idx) AS gap_ns
    FROM marked
), numbered AS (
    SELECT s.* EXCLUDE (gap_ns), sum(CASE WHEN s.gap_ns > c.settle_ns THEN 1 ELSE 0 END) OVER
           (PARTITION BY s.grp ORDER BY s.time_ns, s.idx ROWS UNBOUNDED PRECEDING) AS number
    FROM stepped s, context c
), called AS (
    SELECT grp, number, count(*) AS calls FROM numbered
    WHERE (op IN ('subscribe', 'close') AND type = 'invoke') OR op IN ('kill', 'lost', 'error')
    GROUP BY ALL
), lists AS (
    SELECT grp, number, max(lists) AS lists FROM (
        SELECT n.grp, n.number, n.process, count(DISTINCT n.time_ns) AS lists
        FROM numbered n JOIN members m USING (process)
        WHERE n.op = 'assigned' AND NOT m.in_steps GROUP BY ALL)
    GROUP BY ALL
)
SELECT n.grp, n.number, min(n.time_ns) AS from_ns, max(n.time_ns) AS to_ns, min(n.idx) AS idx,
       greatest(max(n.generation) - min(n.generation) FILTER (n.op <> 'lost'),
                any_value(l.lists)) AS rounds,
       coalesce(any_value(c.calls), 0) AS calls
FROM numbered n LEFT JOIN called c USING (grp, number) LEFT JOIN lists l USING (grp, number)
GROUP BY n.grp, n.number
"""

_MOVES = """
WITH agreeing AS (
    SELECT m.grp, bool_and(t.topics IS NOT NULL) AND count(DISTINCT t.topics) = 1 AS uniform
    FROM members m LEFT JOIN (SELECT process, list(topic ORDER BY topic) AS topics FROM wanted
                              GROUP BY process) t USING (process)
    GROUP BY m.grp HAVING bool_and(coalesce(m.incremental, false))
), sequence AS (
    SELECT o.*, lead(process) OVER place AS taker, lead(from_ns) OVER place AS taken_ns,
           lead(from_idx) OVER place AS taken_idx
    FROM ownerships o WINDOW place AS (PARTITION BY grp, topic, part ORDER BY from_ns, from_idx)
), moved AS (
    SELECT s.*, a.uniform, x.settle_ns FROM sequence s JOIN agreeing a USING (grp), context x
    WHERE s.ended = 'revoked' AND s.taken_ns >= s.to_ns AND s.taken_ns - s.to_ns <= x.settle_ns
), loaded AS (
    SELECT m.*, g.partitions AS had, coalesce(t.partitions, 0) AS taker_had FROM moved m
    ASOF LEFT JOIN loads g ON g.process = m.process AND g.at_ns < m.to_ns
    ASOF LEFT JOIN loads t ON t.process = m.taker AND t.at_ns < m.to_ns
)
SELECT l.grp, l.topic, l.part, l.process, l.taker, l.from_idx, l.to_idx, l.taken_idx, l.to_ns,
       l.taken_ns, l.had, l.taker_had, l.uniform,
       coalesce(bool_or(c.op IN ('open', 'subscribe', 'close', 'kill')
           AND c.time_ns BETWEEN l.to_ns AND l.taken_ns), false) AS stirred,
       coalesce(bool_or(c.op = 'subscribe' AND c.time_ns <= l.taken_ns), false) AS joined,
       coalesce(bool_or(c.op = 'close' AND c.time_ns <= l.taken_ns), false) AS gone,
       coalesce(bool_or(c.op IN ('kill', 'lost', 'error')), false) AS troubled
FROM loaded l LEFT JOIN changes c ON c.grp = l.grp AND c.op NOT IN ('assigned', 'revoked')
     AND c.time_ns BETWEEN l.to_ns - l.settle_ns AND l.taken_ns + l.settle_ns
GROUP BY ALL
"""

_NEEDLESS = """
SELECT * FROM moves WHERE NOT stirred AND NOT troubled AND NOT (joined AND gone)
  AND (taker = process OR (uniform AND had <= taker_had + 1))
"""

RELATIONS: dict[str, Relation] = {
    "changes": Relation(("actions", "members"), _CHANGES),
    "wanted": Relation(("actions", "members", "ownerships"), _WANTED),
    "holders": Relation(("ownerships",), _HOLDERS),
    "loads": Relation(("ownerships",), _LOADS),
    "settled": Relation(("changes", "holders"), _SETTLED),
    "orphans": Relation(("settled", "wanted", "placed", "lives", "polls"), _ORPHANS),
    "episodes": Relation(("changes", "members"), _EPISODES),
    "moves": Relation(("changes", "wanted", "loads"), _MOVES),
    "needless": Relation(("moves",), _NEEDLESS),
}
