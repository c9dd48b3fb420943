"""Do rebalances end, leave nothing without an owner, and move no more than they must?

Operations: what changes the members of a group (`subscribe`, `close`, `kill`, and the events `lost`
and `error`), what they are told (`assigned`, `revoked`, `lost`), and `poll`, which says that a
member takes part. Ownerships are those of ownership_tables.py.

A group is *settled* where for longer than settle_ns nothing of that happened and it owns at least
one partition. After a `kill`, or the `close` of a static member, which does not leave, the session
timeout of that member must have passed first.

    orphan-partition    a partition had no owner through a settled time, though a member that had
                        subscribed to its topic was there, and every member of the group kept
                        polling (a gap counts for a third of settle_ns at most, so that a process
                        that stands still holds nothing up). It must have been there: a member
                        owned it before, or a record of it was acknowledged before the member
                        subscribed.
    needless-move       in a group whose members are all configured for cooperative-sticky or
                        KIP-848, a partition was revoked, and then given back to the same member;
                        or, where all subscribe to the same topics, to a member that had as many
                        partitions, or just one less, when it was revoked. A balanced, sticky
                        assignment never needs either: who gives has at least two more than who
                        takes. Not judged where the reason may be another: members came or went
                        between revocation and assignment, or both came and went within settle_ns
                        before; a member was killed, lost or reported an error around that time;
                        the partition was free for longer than settle_ns.
    rounds-to-converge  between two settled times a group went through more rebalances than
                        rounds_max for each change of its members (a `lost` or an `error` counts
                        as one, since it may be the reason for another). Rebalances are counted by
                        generations, or, where none is shown, by the lists that one member was
                        given. Both are at most what really happened: a rebalance that tells
                        nobody anything is not seen.

Each broken thing is counted once: records that were left unread in an orphan are not unseen as
well; a group that owns nothing at all is stall's.

Too little is unknown: no settled time; no revoked partition in a group that is all cooperative; no
group that was assigned anything.

Not checked: partitions that were added after the members had subscribed; topics of patterns that
nobody was given; moves of groups with assignors that are not configured by name; how long a
rebalance takes (stall, unrecovered).

Sources: KIP-429, KIP-848; the sticky strategy of KIP-54.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, decided_where
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_FIND_ORPHANS = """
WITH steps AS (
    SELECT grp, time_ns, max(idx) AS idx FROM changes GROUP BY ALL
)
SELECT o.grp AS "group", o.topic, o.part AS "partition", s.idx AS row_last_change, o.from_ns,
       (o.to_ns - o.from_ns) / 1e6 AS unowned_ms, o.members AS members_there,
       o.owned AS partitions_owned, o.at_end
FROM orphans o ASOF LEFT JOIN steps s ON s.grp = o.grp AND s.time_ns <= o.from_ns
ORDER BY o.from_ns, o.topic, o.part
"""
_FIND_NEEDLESS = """
SELECT grp AS "group", topic, part AS "partition", process AS giver, had AS giver_had, taker,
       taker_had, from_idx AS row_assigned, to_idx AS row_revoked, taken_idx AS row_assigned_next
FROM needless ORDER BY taken_idx
"""
_FIND_ROUNDS = """
SELECT grp AS "group", rounds, calls AS changes_of_members, from_ns, (to_ns - from_ns) / 1e6 AS ms,
       idx AS row_first
FROM episodes, context WHERE rounds > rounds_max * greatest(calls, 1) ORDER BY idx
"""


def orphan_partition(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A partition had no owner after the group had converged."""
    view.use("orphans", "changes")
    return decided_where(
        view,
        "orphan-partition",
        "SELECT count(*) FROM settled",
        f"no group that owned anything was left alone for {context.settle_ns / 1e9:g} s",
        _FIND_ORPHANS,
        "{count} times a partition had no owner after its group had converged",
    )


def needless_move(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A cooperative rebalance gave a partition back, or moved one that could have stayed."""
    del context
    view.use("needless")
    return decided_where(
        view,
        "needless-move",
        "SELECT count(*) FROM moves WHERE NOT stirred AND NOT troubled",
        "no partition was revoked and given on in a group that is cooperative throughout",
        _FIND_NEEDLESS,
        "{count} partitions were moved that could have stayed where they were",
    )


def rounds_to_converge(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A group took more rebalances than the bound allows."""
    view.use("episodes")
    return decided_where(
        view,
        "rounds-to-converge",
        "SELECT count(*) FROM episodes WHERE rounds IS NOT NULL",
        "no group's rebalances could be counted",
        _FIND_ROUNDS,
        f"{{count}} times a group took more than {context.rounds_max} rebalances for each change "
        "of its members",
    )
