"""Does a new owner begin where the group left off? Handovers of partitions in consumer groups.

Operations: `poll` with what it gave out, under which ownership (ownership_tables.py: from
`assigned` on); `commit`, `committed` and `group_offsets`; and what moves a position by command:
`seek`, `assign`, a `commit` of offsets that the lab chose.

The *start* of an ownership is the lowest offset of the first poll that gave any; a `seek` or
`assign` before it excuses it. It must lie where the group is:

    skipped-past-commit  the start lies beyond everything that the group was ever given below it,
                         and known records lie between: nobody in the group gets them. Known are
                         records that can be read, as order.py has it: that somebody was given
                         (another group), or, if `lost-write` is not judged, acknowledged ones.
                         Excused is what the lab had asked to skip before (commit, seek or assign
                         beyond). In a group with a member that begins at the end (offset_reset
                         latest), a committed offset below the gap must have been known before,
                         and none beyond: such a member may commit where it began. If the group was
                         seen to have committed beyond the gap, that is commit-ahead's, if judged.
    reread-below-commit  the start lies below what the coordinator was known to have before the
                         ownership began, and the group had been given that record. Known is the
                         latest commit acknowledged, or offset read, before `assigned`; the
                         lowest of all that may have overtaken it is what counts: those that were
                         running then or later, and those that ended as info or never. So what
                         at-least-once allows is computed: from the last commit on, anything may
                         come again. A seek in the group since then excuses it.
                         Or it lies below what its predecessor must have committed: one with
                         auto_commit, whose `close` ended as ok, and which was told nothing about
                         offsets. What its last poll gave does not count: some clients take that
                         as not yet processed (franz-go).

Some clients ask for the committed offsets a little before they say `assigned`, so what was
committed within 50 ms before it does not count as known.

Each broken thing is counted once: gaps within an ownership are poll-skip's; records that nobody was
ever given lost-write's or unseen's; where a reading shows that the coordinator forgot, it is
commit-lost's, if judged; what comes again below the commit is not delivered-twice as well; and what
is consumed-after-revoke is no start.

Too little is unknown: no ownership that followed another was given a record; none began after a
commit, a reading, or a clean close.

Not checked: commits that clients make by themselves before they close, unless they were read; gaps
of groups that read in loops (`consume`), which record nothing; what retention and compaction
remove.
"""

from __future__ import annotations

from kafkalab.checkers.history import CLOCK_SLACK_NS
from kafkalab.checkers.protocol import HistoryView, Relation, decided_where
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

# the first that each ownership gave, and whether others' ownerships came before
_STARTS = """
WITH firsts AS (
    SELECT grp, process, topic, part, from_idx, from_ns,
           arg_min(first, idx) AS off, min(first) AS lowest, min(idx) AS idx
    FROM takes ANTI JOIN (
        SELECT process, topic, part, op_id FROM trespasses, context
        WHERE list_contains(claims, 'consumed-after-revoke')) USING (process, topic, part, op_id)
    WHERE from_idx IS NOT NULL AND last IS NOT NULL GROUP BY ALL
)
SELECT f.*, coalesce(p.idx > f.from_idx, false) AS moved,
       row_number() OVER (PARTITION BY f.grp, f.topic, f.part ORDER BY f.from_ns) > 1 AS follows
FROM firsts f ASOF LEFT JOIN positions p
  ON p.process = f.process AND p.topic = f.topic AND p.part = f.part AND p.idx <= f.idx
"""

# starts above everything that the group was given below them
_JUMPS = """
WITH covered AS (
    SELECT process, topic, part, from_idx, first, coalesce(max(top) OVER
           (PARTITION BY grp, topic, part ORDER BY first
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), -1) AS below
    FROM takes
), wishes AS (
    SELECT m.grp, a.topic, a.part, a.idx, max(a.off) OVER
           (PARTITION BY m.grp, a.topic, a.part ORDER BY a.idx) AS off
    FROM actions a JOIN members m USING (process)
    WHERE a.op IN ('seek', 'assign', 'commit') AND a.type = 'invoke' AND a.off >= 0
), jumped AS (
    SELECT s.*, c.below FROM (SELECT * FROM covered WHERE first > below + 1) c
    JOIN starts s USING (process, topic, part, from_idx)
    WHERE s.off = c.first AND s.off = s.lowest AND NOT s.moved
)
SELECT j.*, coalesce(w.off, 0) AS wished, b.from_start OR (EXISTS (
           SELECT 1 FROM offsets o WHERE o.off BETWEEN 0 AND j.below + 1 AND o.grp = j.grp
           AND o.topic = j.topic AND o.part = j.part AND o.end_ns < j.from_ns)
       AND NOT EXISTS (
           SELECT 1 FROM offsets o WHERE o.off > j.below + 1 AND o.grp = j.grp
           AND o.topic = j.topic AND o.part = j.part AND o.end_ns < j.from_ns)) AS has_a_place
FROM jumped j
JOIN (SELECT grp, bool_and(from_start) AS from_start FROM members GROUP BY grp) b USING (grp)
ASOF LEFT JOIN wishes w ON w.grp = j.grp AND w.topic = j.topic AND w.part = j.part
     AND w.idx <= j.idx
"""

_SKIPPED = """
WITH missed AS (
    SELECT j.process, j.topic, j.part, j.from_idx, r.off AS low, r.off AS high
    FROM jumps j JOIN readable r ON r.topic = j.topic AND r.part = j.part
         AND r.off > j.below AND r.off < j.off AND r.off >= j.wished
    UNION ALL
    SELECT j.process, j.topic, j.part, j.from_idx, greatest(l.low, j.below + 1, j.wished),
           least(l.low + l.n, j.off) - 1
    FROM jumps j JOIN (SELECT * FROM placed ANTI JOIN suspects USING (topic, part)) l
      ON l.topic = j.topic AND l.part = j.part AND l.low < j.off AND l.low + l.n - 1 > j.below
         AND l.low + l.n - 1 >= j.wished
), summed AS (
    SELECT process, topic, part, from_idx, sum(high - low + 1) AS records, min(low) AS first_missed
    FROM missed WHERE low <= high GROUP BY ALL
)
SELECT j.*, s.records, s.first_missed
FROM jumps j JOIN summed s USING (process, topic, part, from_idx), context c
WHERE j.has_a_place
  AND NOT (list_contains(c.claims, 'commit-ahead') AND EXISTS (
      SELECT 1 FROM ahead a WHERE a.grp = j.grp AND a.topic = j.topic AND a.part = j.part
      AND a.off > s.first_missed))
  AND j.grp NOT IN (SELECT m.grp FROM actions a JOIN members m USING (process)
                    WHERE a.op = 'consume')
"""

# the last that was known before an ownership began, where that began below it
_AFTER_COMMITS = """
SELECT s.*, o.off AS known, o.begin_ns AS since_ns, o.idx AS known_idx
FROM (SELECT *, from_ns - {slack} AS asked_ns FROM starts WHERE NOT moved) s
ASOF JOIN (SELECT * FROM offsets WHERE off >= 0) o
  ON o.grp = s.grp AND o.topic = s.topic AND o.part = s.part AND o.end_ns < s.asked_ns
"""

# what a member that commits by itself must have committed when it closed, and who had it next
_PROMISED = """
WITH closed AS (
    SELECT i.process, i.idx FROM actions i JOIN actions c USING (process, op, op_id)
    WHERE i.op = 'close' AND i.type = 'invoke' AND c.type = 'ok'
), owned AS (
    SELECT *, lead(process) OVER place AS heir, lead(from_idx) OVER place AS heir_idx
    FROM ownerships WINDOW place AS (PARTITION BY grp, topic, part ORDER BY from_ns, from_idx)
), left_over AS (
    SELECT o.*, g.op_id AS last_op FROM owned o JOIN members m USING (process)
    JOIN closed c ON c.process = o.process AND c.idx = o.to_idx
    ASOF JOIN given g ON g.process = o.process AND g.idx <= o.to_idx
    WHERE o.ended = 'close' AND m.auto_commit
)
SELECT l.heir, l.heir_idx, l.process, l.topic, l.part, l.to_idx, max(t.top) + 1 AS next
FROM left_over l JOIN takes t ON t.process = l.process AND t.topic = l.topic AND t.part = l.part
     AND t.from_idx = l.from_idx AND t.idx < l.to_idx AND t.op_id <> l.last_op
WHERE NOT EXISTS (
    SELECT 1 FROM actions a WHERE a.process = l.process AND a.topic = l.topic AND a.part = l.part
    AND a.op IN ('seek', 'assign', 'commit') AND a.idx BETWEEN l.from_idx AND l.to_idx)
GROUP BY ALL
"""

_REREADS = """
WITH low AS (
    SELECT * FROM after_commits WHERE off < known
), possible AS (
    SELECT grp, topic, part, off, begin_ns, end_ns FROM attempts
    UNION ALL
    SELECT grp, topic, part, off, begin_ns, end_ns FROM offsets WHERE op <> 'commit' AND off >= 0
), least AS (
    SELECT l.process, l.topic, l.part, l.from_idx, min(coalesce(p.off, -1)) AS least
    FROM low l JOIN possible p ON p.grp = l.grp
         AND ((p.topic = l.topic AND p.part = l.part) OR p.topic IS NULL)
         AND p.begin_ns <= l.from_ns AND coalesce(p.end_ns, l.from_ns) >= l.since_ns
    GROUP BY ALL
), below AS (
    SELECT l.*, e.least FROM low l JOIN least e USING (process, topic, part, from_idx), context c
    WHERE l.off < e.least
      AND EXISTS (SELECT 1 FROM takes t WHERE t.grp = l.grp AND t.topic = l.topic
          AND t.part = l.part AND t.idx < l.idx AND l.off BETWEEN t.first AND t.top
          AND (t.process <> l.process OR t.from_idx <> l.from_idx))
      AND NOT EXISTS (SELECT 1 FROM actions a JOIN members m USING (process)
          WHERE a.op IN ('seek', 'assign') AND m.grp = l.grp AND a.topic = l.topic
          AND a.part = l.part AND a.time_ns >= l.since_ns AND a.idx < l.idx)
      AND NOT (list_contains(c.claims, 'commit-lost') AND EXISTS (
          SELECT 1 FROM lost_commits x WHERE x.grp = l.grp AND x.topic = l.topic
          AND x.part = l.part))
), found AS (
    SELECT grp, process, topic, part, from_idx, off, idx, least, known_idx FROM below
    UNION ALL
    SELECT s.grp, s.process, s.topic, s.part, s.from_idx, s.off, s.idx, p.next, p.to_idx
    FROM starts s JOIN promised p ON p.heir = s.process AND p.heir_idx = s.from_idx
         AND p.topic = s.topic AND p.part = s.part
    WHERE s.off < p.next AND NOT s.moved
)
SELECT grp, process, topic, part, from_idx, off, idx, max(least) AS least,
       arg_max(known_idx, least) AS known_idx
FROM found GROUP BY ALL
"""

RELATIONS: dict[str, Relation] = {
    "starts": Relation(("takes", "positions", "trespasses"), _STARTS),
    "jumps": Relation(("takes", "starts", "members", "offsets", "actions"), _JUMPS),
    "skipped": Relation(("jumps", "readable", "placed", "suspects", "ahead"), _SKIPPED),
    "after_commits": Relation(("starts", "offsets"), _AFTER_COMMITS.format(slack=CLOCK_SLACK_NS)),
    "promised": Relation(("ownerships", "members", "takes", "given", "actions"), _PROMISED),
    "rereads": Relation(("after_commits", "promised", "attempts", "lost_commits"), _REREADS),
}

_FIND_SKIPPED = """
SELECT grp AS "group", topic, part AS "partition", below AS group_was_given, off AS start,
       records AS records_skipped, first_missed, process AS member, from_idx AS row_assigned,
       idx AS row_read
FROM skipped ORDER BY idx
"""
_FIND_REREADS = """
SELECT grp AS "group", topic, part AS "partition", off AS start, least AS committed,
       process AS member, from_idx AS row_assigned, idx AS row_read, known_idx AS row_committed
FROM rereads ORDER BY idx
"""


def skipped_past_commit(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A new owner starts beyond what its predecessors were given."""
    del context
    view.use("skipped", "starts")
    return decided_where(
        view,
        "skipped-past-commit",
        "SELECT count(*) FROM starts WHERE follows",
        "no member was given records of a partition that a group had read before",
        _FIND_SKIPPED,
        "{count} times a new owner began beyond what the group had been given",
    )


def reread_below_commit(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A new owner starts below the last successful commit."""
    del context
    view.use("rereads")
    return decided_where(
        view,
        "reread-below-commit",
        "SELECT (SELECT count(*) FROM after_commits) + (SELECT count(*) FROM promised)",
        "no member was given records of a partition with a known committed offset",
        _FIND_REREADS,
        "{count} times a new owner began below the committed offset",
    )
