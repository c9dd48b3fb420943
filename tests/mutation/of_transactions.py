"""Excused mutants of transactions and cycles; see equivalent.py."""

from __future__ import annotations

from .reasons import (
    NO_MOMENT,
    NO_OFFSET,
    NO_PLACE,
    ONE_ROW,
    ONE_TIME,
    OTHER_ROW,
    SPARES,
    TWO_DEFECTS,
)

_ENDED = "it is asked only of what is known to have ended"
_NULL = "what is null is neither equal to anything nor later"
_LOOP = "what a transaction was given of itself closes no circle"
_NOT_READ = "what was misplaced or aborted is no read, see wr"
_PROVEN = "more is looked at, and each circle must still be proven"
_WHOLE = "a command is of one transaction as a whole, or of none, and each is named apart"

OF_TRANSACTIONS: dict[tuple[str, str], str] = {
    ("relation txn_steps", "swap MAX(idx)"): ONE_ROW,
    ("relation txn_steps", "swap MAX(time_ns)"): ONE_TIME,
    ("relation txn_steps", "drop WHERE type <> 'invoke'"): _ENDED,
    ("relation txn_steps", "drop WHERE type <> 'invoke' #2"): _ENDED,
    ("relation txn_steps", "drop WHERE op = 'txn'"): SPARES,
    ("relation inits", "flip l.begin_ns > d.end_ns"): NO_MOMENT,
    ("relation inits", "flip o.idx <= s.begin_idx"): OTHER_ROW,
    ("relation txns", "drop WHERE NOT b.txn IS NULL"): _NULL,
    ("relation txns", "flip i.end_ns <= b.begin_ns"): NO_MOMENT,
    ("relation txns", "drop WHERE process IN (SELECT process FROM txn_steps)"): SPARES,
    ("relation txns", "swap MIN(idx) #2"): ONE_ROW,
    ("relation txns", "swap MIN(begin_ns)"): ONE_ROW,
    ("relation txns", "drop WHERE action = 'begin' #2"): "its begin is the first of its steps",
    ("relation txns", "swap MIN(end_idx)"): ONE_ROW,
    ("relation txns", "swap MIN(end_ns)"): ONE_ROW,
    ("relation txns", "drop outcome = 'fail'"): (
        "what was committed, or may have been, is told before"
    ),
    ("relation txn_sends", "flip e.idx < t.until"): OTHER_ROW,
    ("relation txn_sends", "flip t.txn <= e.idx"): OTHER_ROW,
    ("relation txn_sends", "drop op = 'send'"): NO_PLACE,
    ("relation txn_sends", "drop process IN (SELECT process FROM txns)"): SPARES,
    ("relation zombies", "flip s.invoke_ns > i.fenced_ns"): NO_MOMENT,
    ("relation zombies", "flip i.end_ns <= s.invoke_ns"): NO_MOMENT,
    ("relation zombies", "drop d.value IN (SELECT value FROM late)"): SPARES,
    (
        "relation zombies",
        "drop process IN (SELECT process FROM inits WHERE NOT fenced_ns IS NULL)",
    ): SPARES,
    ("relation zombies", "drop WHERE NOT fenced_ns IS NULL"): SPARES,
    ("relation txn_reads", "drop ON z.value = d.value"): TWO_DEFECTS,
    ("relation visible", "flip time_ns >= commit_ns"): NO_MOMENT,
    ("relation torn", "drop ON z.value = s.value"): TWO_DEFECTS,
    ("relation torn", "drop WHERE s.acked"): NO_OFFSET,
    ("relation torn", "drop EXISTS(SELECT 1 FROM missing)"): SPARES,
    ("relation markers", "drop WHERE EXISTS(SELECT 1 FROM odd)"): SPARES,
    ("relation markers", "drop WHERE idx IN (SELECT idx FROM unowned)"): SPARES,
    ("relation markers", "drop EXISTS(SELECT 1 FROM txns)"): SPARES,
    ("relation markers", "drop WHERE acked"): (
        "a send that is not acknowledged has no offset, nor has one with acks=0"
    ),
    ("relation hidden", "drop WHERE NOT off IS NULL"): _NULL,
    (
        "relation txn_polls",
        "drop WHERE process IN (SELECT process FROM txns UNION"
        " SELECT group_of FROM txn_steps WHERE NOT group_of IS NULL)",
    ): SPARES,
    ("relation txn_polls", "drop WHERE NOT group_of IS NULL"): SPARES,
    ("relation txn_polls", "swap MIN(idx)"): (
        "nothing of a client comes between two rows of its poll"
    ),
    ("relation txn_polls", "swap MAX(time_ns)"): ONE_TIME,
    ("relation txn_polls", "flip p.idx < t.until"): OTHER_ROW,
    ("relation txn_polls", "flip t.txn <= p.idx"): OTHER_ROW,
    ("relation txn_polls", "flip s.begin_idx < s.until"): OTHER_ROW,
    ("relation txn_polls", "flip t.txn <= s.begin_idx"): OTHER_ROW,
    ("relation txn_polls", "flip s.begin_ns >= p.end_ns"): NO_MOMENT,
    ("relation txn_polls", "drop action = 'send_offsets'"): (
        "no other step names a client whose offsets it sends"
    ),
    ("relation early", "drop m.txn = r.txn"): (
        "what a transaction was given of itself came before its commit was asked for"
    ),
    ("relation early", "flip r.time_ns < r.commit_ns"): NO_MOMENT,
    ("relation backward", "drop d.known"): _NULL,
    ("relation backward", "drop d.txn IS NULL"): (
        "what was sent after it was given was committed after that, too"
    ),
    ("relation backward", "drop NOT d.misplaced"): _NOT_READ,
    ("relation backward", "drop r.state <> 'aborted'"): _NOT_READ,
    ("relation backward", "drop m.txn IS DISTINCT FROM r.txn"): _LOOP,
    ("relation backward", "drop d.sent_ns > COALESCE(m.commit_ns, d.time_ns)"): _PROVEN,
    (
        "relation backward",
        "drop r.commit_ns IS NULL OR r.commit_ns > COALESCE(m.commit_ns, r.time_ns)",
    ): _PROVEN,
    ("relation backward", "flip d.sent_ns > COALESCE(m.commit_ns, d.time_ns)"): NO_MOMENT,
    ("relation backward", "flip r.commit_ns > COALESCE(m.commit_ns, r.time_ns)"): NO_MOMENT,
    ("relation wr", "drop WHERE writer <> reader"): _LOOP,
    ("relation wr", "swap MIN(idx)"): "nobody is shown this row",
    ("relation wr", "drop WHERE txn IS NULL"): _WHOLE,
    ("relation wr", "drop d.txn IS NULL"): _WHOLE,
    ("relation acts", "swap MAX(time_ns)"): ONE_TIME,
    ("relation acts", "swap MIN(invoke_ns)"): ONE_TIME,
    ("relation acts", "drop HAVING MIN(idx) IN (SELECT reader FROM wr)"): SPARES,
    ("relation acts", "drop HAVING MIN(invoke_idx) IN (SELECT writer FROM wr)"): SPARES,
    ("relation acts", "drop WHERE txn IS NULL"): _WHOLE,
    ("relation acts", "drop c.type = 'invoke'"): "a poll is invoked before it ends",
    ("relation acts", "drop WHERE m.process <> w.process"): (
        "what a client does between the begin of its transaction and a poll is part of it"
    ),
    (
        "relation acts",
        "drop WHERE t.txn IN (SELECT writer FROM wr UNION SELECT reader FROM wr)",
    ): "what neither wrote nor read only adds to the order of clients, as real time does anyway",
    ("relation extents", "drop s.acked"): NO_OFFSET,
    ("relation cyclic_reads", "drop p.process = e.process"): TWO_DEFECTS,
    ("relation cyclic_reads", "drop p.op_id = e.op_id"): TWO_DEFECTS,
    ("relation cyclic_reads", "drop c.writer = e.txn"): TWO_DEFECTS,
    ("relation cyclic_reads", "drop c.reader = COALESCE(m.txn, p.node)"): TWO_DEFECTS,
    ("relation cyclic_reads", "drop WHERE process IN (SELECT process FROM early)"): SPARES,
    ("relation ww", "drop WHERE NOT below IS NULL"): "where nobody is no circle closes",
}
