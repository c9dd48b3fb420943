"""The relations behind the commit family, as SQL; the argument stands in commits.py.

calls         when each command that concerns offsets was invoked.
offsets       every offset that was acknowledged or read: one row a partition.
reading       per poll and partition: `first`, the lowest, `top`, the highest, and `last`, the
              latest offset given out. A misplaced record counts where it came from (not in
              `last`) and where it belongs.
ahead         offsets beyond their `bound`: what was delivered, or asked for, by then. `starts` are
              the moments at which a reader with offset_reset latest may begin at the end again.
attempts      commits that took effect or may have: those that ended as ok, and, with an open end,
              those that ended as info or never completed.
pairs         each reading with the least that it may show: `least`.
lost_commits  the readings that show less than that.
regressions   offsets below an earlier one of the same `epoch`: an epoch ends when the lab itself
              moves the position or commits an offset of its choice. A reading after that may
              still show what was committed before, so only commits set the mark from then on.
stored        what the group's offsets topic holds, in its order, as the lab read it last: `at_ns`
              is when the coordinator took each, `before` the one before it of that partition.
asks          what the lab asked a group to go on from: from when on, and until when that may take
              effect. A commit does so until it has ended, a `seek` or an `assign` at any time: what
              was in flight by then may be stored later.
setbacks      stored offsets below the one before them, which nobody asked for.
promises      per partition: the next offset that its last reader promised to commit, and what the
              last reading after that showed.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import Relation

_CALLS = """
SELECT i.process, i.op, i.op_id, l.grp, min(i.time_ns) AS begin_ns, min(i.idx) AS begin_idx
FROM actions i JOIN clients l USING (process)
WHERE i.op IN ('commit', 'committed', 'group_offsets')
GROUP BY ALL
"""

# every offset that was acknowledged or read: one row a partition
_OFFSETS = """
SELECT coalesce(e.detail ->> '$.group', c.grp) AS grp, e.process, e.op, e.topic, e.part,
       coalesce(e.off, -1) AS off, e.idx, c.begin_ns, e.time_ns AS end_ns, a.off AS asked
FROM actions e JOIN calls c USING (process, op_id, op)
LEFT JOIN (SELECT process, op_id, topic, part, max(off) AS off FROM actions
           WHERE type = 'invoke' GROUP BY ALL) a
  ON a.process = e.process AND a.op_id = e.op_id AND a.topic = e.topic AND a.part = e.part
WHERE e.type = 'ok' AND e.topic IS NOT NULL AND (e.op <> 'commit' OR e.off >= 0)
"""

_READING = """
WITH given_out AS (
    SELECT grp, process, topic, part, op_id, off, idx, time_ns, NOT misplaced AS sure
    FROM deliveries
    UNION ALL
    SELECT d.grp, d.process, s.topic, s.part, d.op_id, s.off, d.idx, d.time_ns, true
    FROM deliveries d JOIN sends s ON s.value = d.value
    WHERE d.misplaced AND s.acknowledged
), begun AS (
    SELECT process, op_id, min(begin_ns) AS begin_ns FROM given GROUP BY ALL
)
SELECT d.grp, d.process, d.topic, d.part, d.op_id, min(d.off) AS first, max(d.off) AS top,
       arg_max(d.off, d.idx) FILTER (d.sure) AS last, max(d.idx) AS idx,
       coalesce(min(b.begin_ns), min(d.time_ns)) AS begin_ns
FROM given_out d LEFT JOIN begun b USING (process, op_id)
GROUP BY d.grp, d.process, d.topic, d.part, d.op_id
UNION ALL
SELECT l.grp, g.process, g.topic, g.part, g.op_id, g.low, g.high, g.last, g.idx_last,
       coalesce(g.begin_ns, g.time_ns)
FROM given g ANTI JOIN suspects s ON s.topic = g.topic AND s.part = g.part
JOIN clients l USING (process)
"""

_AHEAD = """
WITH stored AS (
    SELECT topic, part, low, n FROM placed ANTI JOIN suspects USING (topic, part)
), delivered AS (
    SELECT grp, topic, part, begin_ns, process,
           max(top) OVER (PARTITION BY grp, topic, part ORDER BY begin_ns) AS top FROM reading
), beginners AS (
    SELECT grp, bool_or(from_start) AS from_start FROM clients WHERE polls GROUP BY grp
), starts AS (
    SELECT l.grp, e.topic, e.part, e.time_ns FROM actions e JOIN clients l USING (process)
    WHERE e.op = 'assigned'
), seen AS (
    SELECT *, CASE WHEN op = 'commit' THEN begin_ns ELSE end_ns END AS at_ns FROM offsets
), located AS (
    SELECT s.*, d.process AS reader, coalesce(d.top + 1, CASE WHEN b.from_start THEN 0 END) AS due,
           coalesce(b.from_start OR a.time_ns IS NULL OR d.begin_ns > a.time_ns, false) AS told
    FROM seen s
    LEFT JOIN beginners b ON b.grp = s.grp
    ASOF LEFT JOIN starts a ON a.grp = s.grp AND a.topic = s.topic AND a.part = s.part
         AND a.time_ns <= s.at_ns
    ASOF LEFT JOIN delivered d ON d.grp = s.grp AND d.topic = s.topic AND d.part = s.part
         AND d.begin_ns < s.at_ns
), asked AS (
    SELECT grp, topic, part, begin_ns AS at_ns, asked AS off FROM offsets
    UNION ALL
    SELECT l.grp, p.topic, p.part, p.time_ns, p.off FROM positions p JOIN clients l USING (process)
    WHERE p.off >= 0
    UNION ALL
    SELECT grp, topic, part, at_ns, off FROM located WHERE NOT told
), wishes AS (
    SELECT grp, topic, part, at_ns,
           max(off) OVER (PARTITION BY grp, topic, part ORDER BY at_ns) AS off FROM asked
), bounded AS (
    SELECT s.* EXCLUDE (due, told), greatest(s.due, w.off) AS bound
    FROM (SELECT * FROM located WHERE told) s
    ASOF LEFT JOIN wishes w ON w.grp = s.grp AND w.topic = s.topic AND w.part = s.part
         AND w.at_ns <= s.at_ns
), beyond AS (
    SELECT * FROM bounded WHERE off > bound
), judged AS (
    SELECT b.*,
           (SELECT count(*) FROM unread u WHERE u.topic = b.topic AND u.part = b.part
            AND u.off >= b.bound AND u.off < b.off)
           = CASE WHEN EXISTS (SELECT 1 FROM actions WHERE op = 'txn') THEN
               (SELECT greatest(1, count(*)) FROM sends s WHERE s.acknowledged
                AND s.topic = b.topic AND s.part = b.part AND s.off >= b.bound AND s.off < b.off)
             ELSE b.off - b.bound END
           AND NOT EXISTS (SELECT 1 FROM reading r WHERE r.grp = b.grp AND r.topic = b.topic
               AND r.part = b.part AND r.top >= b.off AND r.process <> b.reader) AS swallowed,
           EXISTS (SELECT 1 FROM sends s WHERE s.acknowledged AND s.topic = b.topic
               AND s.part = b.part AND s.off >= b.bound AND s.off < b.off)
           OR EXISTS (SELECT 1 FROM stored p WHERE p.topic = b.topic AND p.part = b.part
               AND p.low < b.off AND p.low + p.n > b.bound) AS skips_a_record
    FROM beyond b
)
SELECT j.* FROM judged j, context c
WHERE NOT (j.swallowed AND list_contains(c.claims, 'lost-write')
           AND list_contains(c.claims, 'unseen'))
  AND (j.skips_a_record OR NOT EXISTS (SELECT 1 FROM actions WHERE op = 'txn'))
"""

# commits that took effect, or may have: ok, and info or never completed with what was asked for
_ATTEMPTS = """
SELECT grp, topic, part, off, begin_ns, end_ns FROM offsets WHERE op = 'commit'
UNION ALL
SELECT c.grp, e.topic, e.part, e.off, c.begin_ns, NULL
FROM actions e JOIN calls c USING (process, op_id, op)
WHERE e.op = 'commit' AND NOT EXISTS (
    SELECT 1 FROM actions d WHERE d.process = e.process AND d.op_id = e.op_id
    AND d.type IN ('ok', 'fail'))
"""

_PAIRS = """
WITH readings AS (
    SELECT * FROM offsets WHERE op <> 'commit'
), last AS (
    SELECT r.idx, r.grp, r.topic, r.part, r.off, r.process, r.begin_ns, r.end_ns,
           max(a.begin_ns) AS since_ns
    FROM readings r JOIN offsets a ON a.op = 'commit' AND a.grp = r.grp AND a.topic = r.topic
         AND a.part = r.part AND a.end_ns < r.begin_ns
    GROUP BY ALL
)
SELECT l.*, min(coalesce(a.off, -1)) AS least
FROM last l JOIN attempts a ON a.grp = l.grp
     AND ((a.topic = l.topic AND a.part = l.part) OR a.topic IS NULL)
     AND a.begin_ns < l.end_ns AND coalesce(a.end_ns, l.end_ns) >= l.since_ns
GROUP BY ALL
"""

_LOST = """
SELECT p.* FROM pairs p
WHERE p.off < p.least AND NOT EXISTS (
    SELECT 1 FROM positions s JOIN clients l USING (process)
    WHERE l.grp = p.grp AND s.topic = p.topic AND s.part = p.part
      AND s.time_ns BETWEEN p.since_ns AND p.end_ns)
"""

_REGRESSIONS = """
WITH resets AS (
    SELECT grp, topic, part, at_ns,
           row_number() OVER (PARTITION BY grp, topic, part ORDER BY at_ns) AS number
    FROM (
        SELECT grp, topic, part, begin_ns AS at_ns FROM offsets WHERE asked = off
        UNION ALL
        SELECT grp, topic, part, begin_ns FROM attempts WHERE end_ns IS NULL
        UNION ALL
        SELECT l.grp, p.topic, p.part, p.time_ns FROM positions p JOIN clients l USING (process)
    )
), placed AS (
    SELECT o.*, coalesce(r.number, 0) AS epoch FROM offsets o
    ASOF LEFT JOIN resets r ON r.grp = o.grp AND r.topic = o.topic AND r.part = o.part
         AND r.at_ns <= o.begin_ns
), highest AS (
    SELECT grp, topic, part, epoch, end_ns, max(off) OVER
           (PARTITION BY grp, topic, part, epoch ORDER BY end_ns) AS off
    FROM placed ANTI JOIN ahead USING (idx) WHERE op = 'commit' OR epoch = 0
)
SELECT p.*, h.off AS before FROM placed p
ANTI JOIN lost_commits l ON l.idx = p.idx
ASOF JOIN highest h ON h.grp = p.grp AND h.topic = p.topic AND h.part = p.part
     AND h.epoch = p.epoch AND h.end_ns < p.begin_ns
WHERE p.off < h.off
"""

_STORED = """
WITH told AS (
    SELECT e.detail ->> '$.group' AS grp, e.process, e.topic, e.part, coalesce(e.off, -1) AS off,
           e.op_id, e.idx, CAST(e.detail ->> '$.at_ns' AS BIGINT) AS at_ns
    FROM actions e WHERE e.op = 'offset_commits' AND e.topic IS NOT NULL
), last AS (
    SELECT grp, arg_max(op_id, idx) AS op_id FROM told GROUP BY grp
)
SELECT t.* EXCLUDE (op_id), lag(t.off) OVER place AS before, lag(t.at_ns) OVER place AS before_ns
FROM told t JOIN last l USING (grp, op_id)
WINDOW place AS (PARTITION BY t.grp, t.topic, t.part ORDER BY t.idx)
"""

_ASKS = """
SELECT c.grp, e.topic, e.part, e.off, c.begin_ns, d.time_ns AS end_ns
FROM actions e JOIN calls c USING (process, op_id, op)
LEFT JOIN (SELECT DISTINCT process, op_id, op, time_ns FROM actions WHERE type IN ('ok', 'fail')) d
  USING (process, op_id, op)
WHERE e.type = 'invoke'
UNION ALL
SELECT l.grp, p.topic, p.part, coalesce(p.off, 0), p.time_ns, NULL
FROM positions p JOIN clients l USING (process)
"""

# the coordinator's clock counts milliseconds
_SETBACKS = """
SELECT s.* FROM stored s
ANTI JOIN regressions r ON r.grp = s.grp AND r.topic = s.topic AND r.part = s.part AND r.off = s.off
ANTI JOIN ahead a ON a.grp = s.grp AND a.topic = s.topic AND a.part = s.part AND a.off = s.before
WHERE s.off >= 0 AND s.off < s.before AND NOT EXISTS (
    SELECT 1 FROM asks k WHERE k.grp = s.grp AND k.topic = s.topic AND k.part = s.part
    AND k.off <= s.off AND k.begin_ns <= s.at_ns + 2000000
    AND coalesce(k.end_ns >= s.before_ns - 2000000, true))
"""

_PROMISES = """
WITH final AS (
    SELECT grp, topic, part, arg_max(process, idx) AS process, arg_max(last, idx) + 1 AS next,
           max(idx) AS idx
    FROM reading WHERE last IS NOT NULL GROUP BY ALL
), closed AS (
    SELECT process, max(time_ns) AS at_ns, max(idx) AS idx FROM actions
    WHERE op = 'close' AND type = 'ok' GROUP BY process
), promised AS (
    SELECT f.*, c.at_ns FROM final f JOIN clients l USING (process) JOIN closed c USING (process)
    WHERE l.auto_commit AND c.idx > f.idx
    UNION ALL
    SELECT f.*, o.end_ns FROM final f JOIN offsets o ON o.process = f.process
         AND o.topic = f.topic AND o.part = f.part
    JOIN calls c ON c.process = o.process AND c.begin_ns = o.begin_ns
    WHERE o.op = 'commit' AND o.asked IS NULL AND c.begin_idx > f.idx
)
SELECT p.grp, p.topic, p.part, p.process, p.next, arg_max(o.off, o.idx) AS off, max(o.idx) AS idx
FROM promised p JOIN offsets o ON o.grp = p.grp AND o.topic = p.topic AND o.part = p.part
     AND o.op <> 'commit' AND o.begin_ns > p.at_ns
WHERE NOT EXISTS (
    SELECT 1 FROM actions e WHERE e.process = p.process AND e.topic = p.topic AND e.part = p.part
    AND e.op IN ('lost', 'seek', 'assign') AND e.idx > p.idx)
GROUP BY ALL
"""

RELATIONS: dict[str, Relation] = {
    "calls": Relation(("actions", "clients"), _CALLS),
    "offsets": Relation(("calls",), _OFFSETS),
    "reading": Relation(("deliveries", "given"), _READING),
    "ahead": Relation(("offsets", "reading", "positions", "unread", "placed"), _AHEAD),
    "attempts": Relation(("offsets",), _ATTEMPTS),
    "pairs": Relation(("attempts",), _PAIRS),
    "lost_commits": Relation(("pairs", "positions"), _LOST),
    "regressions": Relation(("ahead", "lost_commits"), _REGRESSIONS),
    "stored": Relation(("actions",), _STORED),
    "asks": Relation(("calls", "positions"), _ASKS),
    "setbacks": Relation(("stored", "asks", "regressions"), _SETBACKS),
    "promises": Relation(("offsets", "reading"), _PROMISES),
}
