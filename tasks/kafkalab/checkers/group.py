"""Is each partition consumed by its owner, and by nobody else? Ownership in consumer groups.

Operations: the events `assigned`, `revoked`, `lost` as a member's callbacks ran; what ends a
membership: `close`, `kill`, `open`; `poll` with what it gave out. Members are the clients that
subscribe; those that assign by hand own nothing.

An *ownership* lasts from `assigned` to whatever comes first for that member and partition:
`revoked`, `lost`, the call of `close` (some clients close without a word), a `kill`, a new `open`,
or, of a member that is given whole lists, one without it. A member that revokes does so before the
partition is given away, and hosts share one clock: so the ownerships of two members do not
overlap, unless the first was put out of the group and has not noticed. Generations tell these
apart.

    double-owner          two members owned a partition at one time in one generation. An
                          incremental member is in every generation that it shows while it owns.
                          Where one of the two shows none (librdkafka), an overlap of more than
                          zombie_ns is one, if the first was not told `lost` by then or later, and
                          was not silent for its session timeout: else it was put out.
    consumed-after-revoke a member was given records of a partition by a poll that was invoked after
                          `revoked` or `lost` of it, and it was not assigned again. A poll in
                          flight may hand out what it had; so may one that was invoked within
                          50 ms, since callbacks run on threads of their own.
    zombie-member         a member was given records of a partition that another member had been
                          assigned in a later generation (or as its static successor, or while
                          it was silent for its session timeout), by a poll invoked when it had run
                          for more than zombie_ns since. That is time to heartbeat and to be told.
                          Time in which the process stood still does not count: between two
                          commands of its own at most a second does.

Each broken thing is counted once: an overlap is double-owner's or zombie-member's, never both.
Offsets that came twice because of these three are not delivered-twice, if they are judged.

Too little is unknown: no partition went to another member; nothing was revoked from a member that
was given records.

Not checked: records of a partition that a member was never assigned; ownership as the coordinator
sees it, which may begin a little before the callback; overlaps of up to zombie_ns where no
generation is shown. What a new owner reads is handover.py's.

Sources: KIP-62 (session and poll timeouts), KIP-345 (static members), KIP-429 (cooperative
rebalances), KIP-848 (the consumer protocol).
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, decided_where
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_HANDED_ON = """
SELECT count(*) FROM (
    SELECT process <> lag(process) OVER (PARTITION BY grp, topic, part ORDER BY from_ns, from_idx)
           AS handed_on FROM ownerships)
WHERE handed_on
"""
_NOT_HANDED_ON = "no partition went from one member of a group to another"

_FIND_DOUBLES = """
SELECT grp AS "group", topic, part AS "partition", one AS member, one_idx AS row_assigned,
       one_last AS generation, two AS other_member, two_idx AS row_assigned_other,
       two_first AS other_generation, (until_ns - two_ns) / 1e6 AS both_ms
FROM doubles ORDER BY two_idx
"""
_FIND_TRESPASSES = """
SELECT grp AS "group", topic, part AS "partition", first AS first_offset, top AS last_offset,
       process AS member, idx AS row_read, ended, to_idx AS row_ended,
       (begin_ns - to_ns) / 1e6 AS asked_after_ms
FROM trespasses ORDER BY idx
"""
_FIND_ZOMBIES = """
SELECT grp AS "group", topic, part AS "partition", first AS first_offset, top AS last_offset,
       process AS member, from_idx AS row_assigned, idx AS row_read, owner,
       ran_ns / 1e6 AS ran_ms
FROM late_takes ORDER BY idx
"""


def double_owner(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Two members owned a partition at one time in one generation."""
    del context
    view.use("doubles")
    return decided_where(
        view,
        "double-owner",
        _HANDED_ON,
        _NOT_HANDED_ON,
        _FIND_DOUBLES,
        "{count} times two members owned one partition",
    )


def consumed_after_revoke(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A poll after the revocation gave records of the partition."""
    del context
    view.use("trespasses", "ownerships")
    return decided_where(
        view,
        "consumed-after-revoke",
        "SELECT count(*) FROM ownerships WHERE ended IN ('revoked', 'lost')",
        "no partition was revoked from a member, or lost",
        _FIND_TRESPASSES,
        "{count} polls gave records of a partition after it had been revoked",
    )


def zombie_member(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A member went on consuming what another had been assigned."""
    view.use("late_takes")
    return decided_where(
        view,
        "zombie-member",
        _HANDED_ON,
        _NOT_HANDED_ON,
        _FIND_ZOMBIES,
        f"{{count}} polls gave records of a partition that another member had been assigned "
        f"over {context.zombie_ns / 1e9:g} s before",
    )
