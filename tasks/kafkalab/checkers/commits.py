"""Is the committed offset what the group has read? The commit family.

Operations: `commit` (what was asked for, what was acknowledged), `committed` and `group_offsets`
(what a client, or the lab's admin, was told that the coordinator has), `offset_commits` (every
commit that the group's offsets topic holds, as the admin read it), `poll`, and what moves a
position by command: `seek`, `assign`. A committed offset is the *next* one to read, −1 is none.
All is per group and partition; times of different clients compare, since hosts share one clock.

Call *delivered* the highest offset given to any member of the group by a poll that was invoked
before the commit was (for a reading: before it ended). A poll in flight counts whole, because its
client may already have moved on.

    commit-ahead       an acknowledged or a read offset beyond delivered + 1, beyond anything that
                       the lab asked to commit, sought or assigned. Whoever takes the group over
                       skips what lies between. If nothing but records that nobody was ever given
                       lie between, and no other client went on behind them, the records were lost
                       on the way: that is lost-write's or unseen's, if both are judged. Readers
                       with offset_reset latest are judged from their first delivery after each
                       assignment on: without a commit they begin at the end every time. In a
                       history with transactions, where control records take offsets, only
                       acknowledged records between them count.
    commit-lost        a reading shows less than the last commit that was acknowledged before it
                       began, and less than every other commit that may have overtaken that one.
    commit-regression  an acknowledged or a read offset lies below an earlier one that had ended
                       before it began, without a `seek`, an `assign` or an explicit commit
                       of the lab's in between. A reading that is commit-lost's is not counted
                       again, and going back from a commit that was ahead is not a regression.
                       Nobody sees what a client commits by itself, so the offsets topic is asked as
                       well: a stored offset lies below the one before it, though the lab had not
                       told a member to go on from there, by a `seek` or an `assign` before it or by
                       a commit in flight between the two.
    commit-behind      the client that was last given records of a partition promised to commit
                       them: it has auto_commit and closed cleanly, or it committed "what
                       it thinks" (offsets null) after them, acknowledged. A later reading shows
                       less than the next offset after its last record, and no commit or reading
                       ever showed that much (else it was lost or went backwards: see above).
                       Not promised after the event `lost` or a `seek`.

Too little is unknown: no offset observed; no reading after an acknowledged commit; no two
observations of a partition; no promise that was followed by a reading.

The relations behind it, one a claim, stand in commit_tables.py.

Not checked: commits inside transactions; of the offsets topic what compaction had removed. (Where
the topic holds offsets of transactions they are judged, without what the lab asked for by them.)

Source of its records: OffsetCommitKey.json and OffsetCommitValue.json of Apache Kafka.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, decided_where
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_FIND_AHEAD = """
SELECT grp AS "group", topic, part AS "partition", off AS committed, bound AS delivered_next,
       op, process AS client, idx AS row_seen FROM ahead ORDER BY idx
"""
_FIND_LOST = """
SELECT grp AS "group", topic, part AS "partition", off AS read, least AS acknowledged,
       process AS client, idx AS row_seen FROM lost_commits ORDER BY idx
"""
_FIND_REGRESSIONS = """
SELECT grp AS "group", topic, part AS "partition", off AS committed, before AS committed_before,
       op, process AS client, idx AS row_seen FROM regressions
UNION ALL
SELECT grp, topic, part, off, before, 'offset_commits', process, idx FROM setbacks ORDER BY row_seen
"""
_FIND_BEHIND = """
SELECT p.grp AS "group", p.topic, p.part AS "partition", p.off AS committed,
       p.next AS delivered_next, p.process AS client, p.idx AS row_seen
FROM promises p WHERE p.off < p.next AND NOT EXISTS (
    SELECT 1 FROM offsets o WHERE o.grp = p.grp AND o.topic = p.topic AND o.part = p.part
    AND o.off >= p.next AND o.idx NOT IN (SELECT idx FROM ahead))
ORDER BY p.idx
"""


def commit_ahead(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Committed beyond what was delivered."""
    del context
    view.use("ahead")
    return decided_where(
        view,
        "commit-ahead",
        "SELECT count(*) FROM offsets WHERE off >= 0",
        "no committed offset was observed",
        _FIND_AHEAD,
        "{count} committed offsets lie beyond what was delivered",
    )


def commit_behind(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """After a clean close, not at the next offset."""
    del context
    view.use("promises", "ahead")
    return decided_where(
        view,
        "commit-behind",
        "SELECT count(*) FROM promises",
        "no client that promised to commit closed cleanly and had its offsets read afterwards",
        _FIND_BEHIND,
        "{count} partitions were left behind what was delivered, after a clean end",
    )


def commit_regression(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A committed offset went backwards."""
    del context
    view.use("setbacks")
    return decided_where(
        view,
        "commit-regression",
        """SELECT count(*) FROM (
           SELECT grp, topic, part FROM offsets GROUP BY ALL HAVING count(*) > 1
           UNION SELECT grp, topic, part FROM stored WHERE before IS NOT NULL)""",
        "no partition's committed offset was observed twice",
        _FIND_REGRESSIONS,
        "{count} committed offsets lie below an earlier one",
    )


def commit_lost(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A commit was acknowledged and is not found."""
    del context
    view.use("lost_commits")
    return decided_where(
        view,
        "commit-lost",
        "SELECT count(*) FROM pairs",
        "no acknowledged commit was followed by a reading of the committed offset",
        _FIND_LOST,
        "{count} readings show less than what was acknowledged",
    )
