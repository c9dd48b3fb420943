"""Who owned which partition, from when to when, under which generation: the group's relations.

members     the clients that subscribed: group, static `instance`, session timeout, and whether
            assignments come as differences (`incremental`: cooperative-sticky or the protocol of
            KIP-848, as configured), as whole lists (range, roundrobin), or NULL: not configured.
            `in_steps`: those of one generation come as they get free (KIP-848).
told        what happened to what a member has, one row a partition: `assigned`, `revoked`, `lost`
            as its callback ran; `open`, `close` and `kill` for each that it was ever given; and
            `dropped`, where a member that is given whole lists was given one without it. A member
            gets whole lists if it is configured so, or if it was ever given what it had.
ownerships  from each `assigned` to whatever came next for that member and partition (`ended`, NULL
            if nothing did; `to_ns` is then the end of the history). `first_gen` is the generation
            that `assigned` carried, `last_gen` the last that the member showed while it owned: an
            incremental member keeps a partition through generations without a word. What `lost`
            carries does not count: it was not a member any more. NULL where none was shown.
encounters  pairs of ownerships of one partition by two members, of which the later began before
            the earlier ended. `shown`: both show their generations. `same`: these meet.
            `takeover`: both are one static member, so the second replaced the first.
            `prior`: the one of the two that had to stop, its ownership, and `since_ns`.
takes       what one poll gave a member of one partition, with the ownership that it was given
            under: the last that had begun by then, whether it had ended or not.
paces       of members in encounters: their signs of life, the silence before each (`gap_ns`), and
            `run_ns`, the time that they certainly ran for: no gap counts for more than a second.
doubles     encounters in one generation, or, where one shows none, that last for longer than
            zombie_ns of a member that was neither told `lost` nor silent for its session timeout.
trespasses  takes by a poll that was invoked after the partition had been revoked or lost.
late_takes  takes under an ownership that was over: another member had it, and this one ran for
            more than zombie_ns since. Not those in doubles.
improper    the takes that these three explain, and those that begin too low (handover.py; only
            offsets below `until`), if the claim is judged: that something came twice in them is
            the consequence.
"""

from __future__ import annotations

from kafkalab.checkers.history import CLOCK_SLACK_NS
from kafkalab.checkers.protocol import Relation

_MEMBERS = """
WITH opened AS (
    SELECT process, arg_max(detail ->> '$.config.instance_id', idx) AS instance,
           arg_max(detail ->> '$.config.assignor', idx) AS assignor,
           arg_max(detail ->> '$.config.group_protocol', idx) AS protocol
    FROM actions WHERE op = 'open' GROUP BY process
)
SELECT l.process, l.grp, l.from_start, l.auto_commit, l.session_ns, o.instance,
       CASE WHEN o.protocol = 'consumer' OR o.assignor = 'cooperative-sticky' THEN true
            WHEN o.assignor IN ('range', 'roundrobin') THEN false END AS incremental,
       coalesce(o.protocol = 'consumer', false) AS in_steps
FROM clients l LEFT JOIN opened o USING (process) WHERE l.subscribed
"""

_TOLD = """
WITH shown AS (
    SELECT process, topic, part, idx, time_ns, op, generation
    FROM actions SEMI JOIN members USING (process)
    WHERE op IN ('assigned', 'revoked', 'lost')
), named AS (
    SELECT DISTINCT process, topic, part FROM shown WHERE op = 'assigned'
), plain AS (
    SELECT * FROM shown
    UNION ALL
    SELECT n.process, n.topic, n.part, a.idx, a.time_ns, a.op, NULL
    FROM actions a JOIN named n USING (process)
    WHERE (a.op IN ('open', 'close') AND a.type = 'invoke') OR a.op = 'kill'
), followed AS (
    SELECT *, lead(op) OVER place AS next_op, lead(idx) OVER place AS next_idx,
           lead(time_ns) OVER place AS next_ns
    FROM plain WINDOW place AS (PARTITION BY process, topic, part ORDER BY idx)
), whole AS (
    SELECT m.process FROM members m
    LEFT JOIN (SELECT DISTINCT process FROM followed
               WHERE op = 'assigned' AND next_op = 'assigned') again USING (process)
    WHERE NOT coalesce(m.incremental, again.process IS NULL)
), lists AS (
    SELECT process, time_ns, min(idx) AS idx FROM shown SEMI JOIN whole USING (process)
    WHERE op = 'assigned' GROUP BY ALL
)
SELECT * FROM plain
UNION ALL
SELECT f.process, f.topic, f.part, b.idx, b.time_ns, 'dropped', NULL
FROM (SELECT * FROM followed WHERE op = 'assigned') f
ASOF JOIN lists b ON b.process = f.process AND f.idx < b.idx
WHERE b.idx < coalesce(f.next_idx, b.idx + 1)
  AND NOT coalesce(f.next_op = 'assigned' AND f.next_ns = b.time_ns, false)
"""

_OWNERSHIPS = """
WITH calls_back AS (
    SELECT process, time_ns, op, min(idx) AS idx,
           any_value(generation) FILTER (op <> 'lost') AS generation
    FROM told GROUP BY process, time_ns, op
), shown AS (
    SELECT process, time_ns, op, last_value(generation IGNORE NULLS) OVER
           (PARTITION BY process ORDER BY idx, op <> 'dropped' ROWS UNBOUNDED PRECEDING) AS by_gen,
           last_value(generation IGNORE NULLS) OVER (PARTITION BY process
           ORDER BY idx, op <> 'dropped' ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
           AS before_gen, idx
    FROM calls_back
), known AS (
    SELECT t.*, CASE WHEN t.op IN ('assigned', 'dropped') THEN s.before_gen ELSE s.by_gen END AS gen
    FROM told t JOIN shown s USING (process, time_ns, op)
), last AS (
    SELECT process, max(by_gen) AS gen FROM shown GROUP BY process
), spans AS (
    SELECT *, lead(idx) OVER place AS to_idx, lead(time_ns) OVER place AS end_ns,
           lead(op) OVER place AS ended, lead(gen) OVER place AS end_gen
    FROM known WINDOW place AS (PARTITION BY process, topic, part ORDER BY idx)
)
SELECT m.grp, s.process, s.topic, s.part, s.idx AS from_idx, s.time_ns AS from_ns,
       s.generation AS first_gen, s.to_idx, s.ended,
       greatest(s.time_ns, coalesce(s.end_ns, c.finished_ns)) AS to_ns,
       CASE WHEN s.to_idx IS NULL THEN l.gen ELSE s.end_gen END AS last_gen
FROM spans s JOIN members m USING (process) JOIN last l USING (process), context c
WHERE s.op = 'assigned'
"""

_ENCOUNTERS = """
WITH placed AS (
    SELECT *, max(to_ns) OVER (PARTITION BY grp, topic, part ORDER BY from_ns, from_idx
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS held_ns
    FROM ownerships
), pairs AS (
    SELECT b.grp, b.topic, b.part, a.process AS one, a.from_idx AS one_idx, a.from_ns AS one_ns,
           a.ended AS one_ended, a.first_gen AS one_first, a.last_gen AS one_last,
           b.process AS two, b.from_idx AS two_idx, b.from_ns AS two_ns, b.ended AS two_ended,
           b.first_gen AS two_first, b.last_gen AS two_last,
           least(a.to_ns, b.to_ns) AS until_ns, x.session_ns,
           coalesce(x.instance = y.instance, false) AS takeover,
           a.first_gen IS NOT NULL AND b.first_gen IS NOT NULL AS shown
    FROM (SELECT * FROM placed WHERE held_ns > from_ns) b
    JOIN ownerships a ON a.grp = b.grp AND a.topic = b.topic AND a.part = b.part
         AND (a.from_ns, a.from_idx) < (b.from_ns, b.from_idx) AND a.to_ns > b.from_ns
    JOIN members x ON x.process = a.process JOIN members y ON y.process = b.process
)
SELECT *, coalesce(shown AND one_first <= two_last AND two_first <= one_last, false) AS same,
       coalesce(shown AND one_first > two_last, false) AS stale,
       CASE WHEN stale THEN two ELSE one END AS prior,
       CASE WHEN stale THEN two_idx ELSE one_idx END AS prior_idx, two_ns AS since_ns
FROM pairs
"""

_TAKES = """
SELECT r.*, o.from_idx, o.from_ns, o.to_idx, o.to_ns, o.ended
FROM (SELECT * FROM reading SEMI JOIN members USING (process)) r ASOF LEFT JOIN ownerships o
  ON o.process = r.process AND o.topic = r.topic AND o.part = r.part AND o.from_idx <= r.idx
"""

_PACES = """
WITH late AS (
    SELECT DISTINCT prior AS process FROM encounters
), marks AS (
    SELECT process, time_ns AS at_ns FROM polls SEMI JOIN late USING (process)
    UNION ALL SELECT process, time_ns FROM actions SEMI JOIN late USING (process)
    UNION ALL SELECT process, finished_ns FROM late, context
), gaps AS (
    SELECT process, at_ns,
           coalesce(at_ns - lag(at_ns) OVER (PARTITION BY process ORDER BY at_ns), 0) AS gap_ns
    FROM marks
)
SELECT *, sum(least(gap_ns, 1000000000)) OVER (PARTITION BY process ORDER BY at_ns) AS run_ns
FROM gaps
"""

_DOUBLES = """
SELECT o.* FROM encounters o, context c
WHERE NOT o.takeover AND CASE WHEN o.shown THEN o.same ELSE
    o.until_ns - o.two_ns > c.zombie_ns AND o.one_ended IS DISTINCT FROM 'lost'
    AND o.two_ended IS DISTINCT FROM 'lost' AND NOT EXISTS (
        SELECT 1 FROM paces p WHERE p.process = o.prior AND p.gap_ns > o.session_ns
        AND p.at_ns > o.one_ns AND p.at_ns - p.gap_ns <= o.two_ns) END
"""

_TRESPASSES = """
SELECT t.* FROM takes t
WHERE t.idx > t.to_idx AND t.ended IN ('revoked', 'lost') AND t.last IS NOT NULL
  AND t.begin_ns > t.to_ns + {slack}
  AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.process = t.process AND a.op = 'open'
                  AND a.idx BETWEEN t.to_idx AND t.idx)
"""

_LATE_TAKES = """
WITH late AS (
    SELECT t.*, o.since_ns,
           CASE WHEN o.stale THEN o.one ELSE o.two END AS owner
    FROM (SELECT * FROM encounters ANTI JOIN doubles USING (one, one_idx, two, two_idx)) o
    JOIN takes t ON t.process = o.prior AND t.topic = o.topic AND t.part = o.part
         AND t.from_idx = o.prior_idx AND t.begin_ns > o.since_ns AND t.begin_ns <= o.until_ns
    WHERE (o.shown OR o.one_ended IS NOT DISTINCT FROM 'lost' OR o.takeover OR EXISTS (
        SELECT 1 FROM paces p WHERE p.process = o.prior AND p.gap_ns > o.session_ns
        AND p.at_ns > o.one_ns AND p.at_ns - p.gap_ns <= o.two_ns))
      AND t.last IS NOT NULL
), clocked AS (
    SELECT l.*, n.run_ns - coalesce(b.run_ns + least(l.since_ns - b.at_ns, 1000000000), 0)
               AS ran_ns FROM late l
    ASOF LEFT JOIN paces n ON n.process = l.process AND n.at_ns <= l.begin_ns
    ASOF LEFT JOIN paces b ON b.process = l.process AND b.at_ns <= l.since_ns
)
SELECT DISTINCT ON (process, topic, part, op_id) k.* FROM clocked k, context c
WHERE k.ran_ns > c.zombie_ns ORDER BY k.ran_ns DESC
"""

_IMPROPER = """
SELECT t.process, t.topic, t.part, t.op_id, NULL AS until FROM trespasses t, context
WHERE list_contains(claims, 'consumed-after-revoke')
UNION
SELECT z.process, z.topic, z.part, z.op_id, NULL FROM late_takes z, context
WHERE list_contains(claims, 'zombie-member')
UNION
SELECT t.process, t.topic, t.part, t.op_id, NULL FROM doubles d
JOIN takes t ON t.topic = d.topic AND t.part = d.part
     AND ((t.process = d.one AND t.from_idx = d.one_idx)
          OR (t.process = d.two AND t.from_idx = d.two_idx)), context
WHERE list_contains(claims, 'double-owner')
UNION
SELECT t.process, t.topic, t.part, t.op_id, r.least FROM rereads r
JOIN takes t USING (process, topic, part, from_idx), context
WHERE list_contains(claims, 'reread-below-commit')
"""

RELATIONS: dict[str, Relation] = {
    "members": Relation(("actions", "clients"), _MEMBERS),
    "told": Relation(("actions", "members"), _TOLD),
    "ownerships": Relation(("told", "members"), _OWNERSHIPS),
    "encounters": Relation(("ownerships", "members"), _ENCOUNTERS),
    "takes": Relation(("reading", "ownerships", "members"), _TAKES),
    "paces": Relation(("encounters", "polls", "actions"), _PACES),
    "doubles": Relation(("encounters", "paces"), _DOUBLES),
    "trespasses": Relation(("takes", "actions"), _TRESPASSES.format(slack=CLOCK_SLACK_NS)),
    "late_takes": Relation(("encounters", "doubles", "takes", "paces"), _LATE_TAKES),
    "improper": Relation(("trespasses", "late_takes", "doubles", "takes", "rereads"), _IMPROPER),
}
