"""Is every member of a group given its part? The claim unshared-group.

Operations: `subscribe`, `poll`, the events `assigned`, `revoked`, `lost`, and what ends a member's
first life: `close`, `kill`, another `open`. Ownerships are those of ownership_tables.py.

A member may have nothing to do: there may be fewer partitions than members, or none of what it
subscribed to. But where another member owns two partitions of one topic, one of them is its due,
with every assignor that Kafka knows: they all deal out the partitions of a topic evenly among those
that subscribed to it. (Over several topics range need not: two topics of one partition each go to
one member.)

    unshared-group  for longer than join_ns a member that had subscribed, and polled all that time
                    (a gap counts for a third of join_ns at most), owned nothing, while one other
                    member of its group owned the same two partitions of a topic that it had
                    subscribed to.

A partition that another member owns as well counts for nothing: that is double-owner's, if judged.
Time in which a fault is in force, or in which clients may recover from one (progress.py), is no
such time, nor is any that reaches into it.

Too little is unknown: no group with two members was assigned anything.

Not checked: members of patterns; a client that was opened again; how even the shares are beside
that; a member that a group of many rebalances never lets in, if the others' partitions change hands
meanwhile (rounds-to-converge).

Source: KIP-54 and the assignors of the Java client (range, round-robin, sticky).
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, Relation, decided_where
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_UNSHARED = """
WITH ends AS (
    SELECT process, min(time_ns) AS end_ns FROM (
        SELECT process, time_ns FROM actions
        WHERE op = 'kill' OR (op = 'close' AND type = 'invoke')
        UNION ALL
        SELECT process, time_ns FROM actions WHERE op = 'open' AND type = 'invoke'
        QUALIFY row_number() OVER (PARTITION BY process ORDER BY idx) > 1)
    GROUP BY process
), steps AS (
    SELECT process, at_ns, partitions FROM loads
    UNION ALL
    SELECT process, min(since_ns), 0 FROM wanted GROUP BY process
), stretches AS (
    SELECT process, partitions, at_ns AS from_ns,
           lead(at_ns) OVER (PARTITION BY process ORDER BY at_ns, partitions) AS next_ns
    FROM steps
), without AS (
    SELECT m.grp, s.process, s.from_ns, least(s.next_ns, e.end_ns, c.finished_ns) AS to_ns
    FROM stretches s JOIN members m USING (process) LEFT JOIN ends e USING (process), context c
    WHERE s.partitions = 0
), contested AS (
    SELECT one AS process, one_idx AS from_idx, topic, part FROM doubles, context
    WHERE list_contains(claims, 'double-owner')
    UNION ALL
    SELECT two, two_idx, topic, part FROM doubles, context
    WHERE list_contains(claims, 'double-owner')
), owned AS (
    SELECT * FROM ownerships ANTI JOIN contested USING (process, from_idx, topic, part)
), beside AS (
    SELECT w.grp, w.process, a.process AS other, a.topic, a.part AS one, b.part AS two,
           greatest(a.from_idx, b.from_idx) AS owned_idx,
           greatest(w.from_ns, a.from_ns, b.from_ns, n.since_ns) AS from_ns,
           least(w.to_ns, a.to_ns, b.to_ns) AS to_ns
    FROM without w JOIN wanted n ON n.process = w.process
    JOIN owned a ON a.grp = w.grp AND a.topic = n.topic
    JOIN owned b ON b.process = a.process AND b.topic = a.topic AND b.part > a.part
), long AS (
    SELECT b.* FROM beside b, context c WHERE b.to_ns - b.from_ns > c.join_ns
      AND NOT EXISTS (SELECT 1 FROM outages o
                      WHERE o.from_ns < b.to_ns AND o.settled_ns > b.from_ns)
), windows AS (
    SELECT DISTINCT process, from_ns, to_ns FROM long
), asked AS (
    SELECT w.*, p.time_ns - lag(p.time_ns) OVER
           (PARTITION BY w.process, w.from_ns, w.to_ns ORDER BY p.time_ns) AS gap_ns
    FROM windows w JOIN polls p ON p.process = w.process AND p.type = 'invoke'
         AND p.time_ns BETWEEN w.from_ns AND w.to_ns
), polled AS (
    SELECT process, from_ns, to_ns, sum(least(coalesce(gap_ns, 0), c.join_ns // 3)) AS polled_ns
    FROM asked, context c GROUP BY ALL
)
SELECT l.*, polled_ns FROM long l JOIN polled USING (process, from_ns, to_ns), context c
WHERE polled_ns >= c.join_ns
"""

RELATIONS: dict[str, Relation] = {
    "unshared": Relation(
        (
            "loads",
            "wanted",
            "members",
            "ownerships",
            "doubles",
            "actions",
            "polls",
            "outages",
        ),
        _UNSHARED,
    ),
}

_MEMBERS = """
SELECT count(DISTINCT process) FROM ownerships
WHERE grp IN (SELECT grp FROM members GROUP BY grp HAVING count(*) > 1)
"""

_FIND = """
SELECT grp AS "group", process AS member, other AS other_member, topic,
       list_sort(list_distinct(flatten(list([one, two])))) AS its_partitions,
       min(owned_idx) AS row_owned, min(from_ns) AS from_ns, max(polled_ns) / 1e6 AS polled_ms
FROM unshared GROUP BY ALL ORDER BY from_ns, member, other_member
"""


def unshared_group(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A member was given no partition though another had two."""
    view.use("unshared")
    return decided_where(
        view,
        "unshared-group",
        _MEMBERS,
        "no group with two members was assigned anything",
        _FIND,
        f"{{count}} times a member had no partition for {context.join_ns / 1e9:g} s, though "
        "another had two of a topic",
    )
