"""Mutants that no history can tell from what they came from, each with the reason.

(owner, name) as the run prints them → why. The run fails where an entry is no longer needed.
"""

from __future__ import annotations

from .of_transactions import OF_TRANSACTIONS
from .reasons import NO_MOMENT as _NO_MOMENT
from .reasons import NO_OFFSET as _NO_OFFSET
from .reasons import NO_PLACE as _NO_PLACE
from .reasons import ONE_ROW as _ONE_ROW
from .reasons import ONE_TIME as _ONE_TIME
from .reasons import OTHER_ROW as _OTHER_ROW
from .reasons import SPARES as _SPARES
from .reasons import TWO_DEFECTS as _TWO_DEFECTS

_NO_OVERLAP = "operations that only touch add nothing to the time in common"
_EVIDENCE = "it only chooses which of several rows the evidence names"
_BOUND = "nothing takes exactly as many nanoseconds as its bound allows"
_NOTE = "it only counts for what a passing summary says"
_MORE = "it leaves more to SQL, which finds there what the screen knows: nothing"
_ACTIONS = f"a client was opened, so that there are other actions: {_MORE}"
_NOWHERE = "a row that names no partition makes nobody responsible for one"
_UNOWNED = "what was never assigned is owned by nobody"
_ANSWERED = "an assign is answered with the partitions that were asked for"
_BY_HAND = "one that assigns by hand is no group, and looked at under its own name"
_OWN_ID = "the id of a command is its own, and its answer follows its call"
_CALL_FIRST = "a call comes before its answer"
_TOPICS = "only the invocation of a subscription names topics"
_AGAIN = "who looks at it asks for the bound again"

EQUIVALENT: dict[tuple[str, str], str] = {
    ("relation records", "drop WHERE e.op IN ('send', 'poll')"): (
        "whoever reads them asks for the op again, or for rows that deliveries name"
    ),
    ("relation records", "drop s.part = COALESCE(e.part, -1)"): _MORE,
    ("relation suspects", "drop m.topic = p.topic"): _MORE,
    ("relation suspects", "drop m.part < 0"): _MORE,
    ("relation suspects", "flip m.part < 0"): _MORE,
    ("relation suspects", "drop WHERE suspect"): _MORE,
    ("relation suspects", "drop ARRAY_CONTAINS(claims, 'deadlock')"): _MORE,
    ("relation suspects", "drop EXISTS(SELECT * FROM actions WHERE op = 'sample')"): _MORE,
    ("relation suspects", "drop WHERE op = 'sample'"): _MORE,
    ("relation suspects", "flip op = 'sample'"): _ACTIONS,
    ("relation suspects", "drop ARRAY_CONTAINS(claims, 'unrecovered')"): _MORE,
    ("relation suspects", "drop EXISTS(SELECT * FROM actions WHERE op = 'fault')"): _MORE,
    ("relation suspects", "drop WHERE op = 'fault'"): _MORE,
    ("relation suspects", "flip op = 'fault'"): _ACTIONS,
    ("relation quiet", "unjoin ANTI JOIN suspects USING (topic, part)"): (
        "it would count twice what a passing summary counts, see test_compose.py"
    ),
    ("relation sends", "drop op = 'send'"): _NO_PLACE,
    ("relation deliveries", "drop type <> 'invoke'"): _NO_PLACE,
    ("relation conflicts", "drop NOT off IS NULL"): (
        "whoever reads conflicts joins by the offset, and null equals none"
    ),
    ("relation lives", "drop l.polls"): "time counts only where somebody polls",
    (
        "relation lives",
        "drop WHERE NOT process IN (SELECT process FROM actions WHERE op = 'open')",
    ): ("the first row of one that was opened is its open"),
    ("relation lives", "drop type = 'invoke'"): "nobody polls while it opens",
    ("relation duties", "drop NOT topic IS NULL"): _NOWHERE,
    ("relation duties", "drop NOT topic IS NULL #2"): _NOWHERE,
    ("relation duties", "drop NOT topic IS NULL #3"): _NOWHERE,
    (
        "relation duties",
        "drop (op IN ('assigned', 'revoked', 'lost')) OR (op = 'assign' AND type = 'ok')",
    ): _UNOWNED,
    ("relation duties", "drop op = 'assign'"): _UNOWNED,
    ("relation duties", "drop type = 'ok' #2"): _ANSWERED,
    ("relation duties", "drop type = 'ok' #4"): _ANSWERED,
    ("relation duties", "flip type = 'ok'"): _ANSWERED,
    ("relation duties", "flip type = 'ok' #4"): _ANSWERED,
    ("relation duties", "drop op = 'assign' #3"): "the id of a command is its own",
    ("relation duties", "drop e.type = 'invoke'"): (
        "nothing is assigned while a client opens or closes"
    ),
    ("relation duties", "flip op = 'assigned' #2"): (
        "what is assigned anew was given up before, and is not paused since"
    ),
    ("relation duties", "swap MIN(idx)"): _ONE_TIME,
    ("relation duties", "swap MIN(time_ns)"): _ONE_TIME,
    ("relation group_duties", "drop WHERE subscribed"): _BY_HAND,
    ("relation group_duties", "drop l.subscribed"): _BY_HAND,
    ("relation group_duties", "drop NOT e.topic IS NULL"): _NOWHERE,
    ("relation group_duties", "drop e.op = 'subscribe'"): _TOPICS,
    ("relation group_duties", "drop e.type = 'invoke'"): _TOPICS,
    ("relation group_duties", "drop NOT e.detail IS NULL"): _TOPICS,
    ("relation gaps", "drop WHERE subscribed"): _BY_HAND,
    ("relation gaps", "drop WHERE subscribed #2"): _BY_HAND,
    ("relation gaps", "drop WHERE subscribed #3"): _BY_HAND,
    ("relation gaps", "drop WHERE s.to_ns - s.from_ns > c.stall_ns"): _AGAIN,
    ("relation gaps", "flip s.to_ns - s.from_ns > c.stall_ns"): _AGAIN,
    (
        "relation gaps",
        "drop HAVING s.to_ns - GREATEST(s.from_ns, COALESCE(MAX(g.over_ns), s.from_ns))"
        " > c.stall_ns",
    ): _AGAIN,
    (
        "relation gaps",
        "flip s.to_ns - GREATEST(s.from_ns, COALESCE(MAX(g.over_ns), s.from_ns)) > c.stall_ns",
    ): _AGAIN,
    ("relation gaps", "swap GREATEST(s.from_ns, COALESCE(MAX(g.over_ns), s.from_ns)) #2"): _AGAIN,
    ("relation gaps", "swap MAX(g.over_ns) #2"): _AGAIN,
    ("relation gaps", "drop g.over_ns > s.from_ns"): "what was over before excuses nothing",
    ("relation gaps", "flip g.over_ns > s.from_ns"): "what was over before excuses nothing",
    ("relation gaps", "flip g.killed_ns <= s.from_ns + c.stall_ns"): _BOUND,
    ("relation gaps", "swap GREATEST(c.stall_ns // 8, 1)"): "smaller parts of it tell the same",
    (
        "relation idle",
        "drop WHERE LEAST(g.to_ns, d.to_ns) - GREATEST(g.from_ns, d.from_ns) > c.stall_ns",
    ): _AGAIN,
    (
        "relation idle",
        "flip LEAST(g.to_ns, d.to_ns) - GREATEST(g.from_ns, d.from_ns) > c.stall_ns",
    ): _AGAIN,
    ("relation idle", "swap LEAST(g.to_ns, d.to_ns) #2"): _AGAIN,
    ("relation idle", "swap GREATEST(g.from_ns, d.from_ns) #2"): _AGAIN,
    ("relation offered", "unjoin SEMI JOIN idle USING (topic, part)"): _SPARES,
    ("relation begun", "swap MIN(k.low)"): "what waits lies above all that was given",
    ("relation begun", "drop WHERE NOT k.stored"): "what lies below a commit was given",
    ("relation begun", "swap MAX(k.low)"): "what lies below a commit was given",
    ("relation begun", "drop WHERE k.stored"): (
        "where nothing was given since, all that is known was stored"
    ),
    ("relation begun", "flip k.time_ns <= s.since_ns"): _NO_MOMENT,
    ("relation begun", "flip k.time_ns >= s.since_ns"): _NO_MOMENT,
    ("relation begun", "flip a.time_ns < i.to_ns"): _NO_MOMENT,
    (
        "relation waits",
        "drop HAVING p.to_ns - GREATEST(p.from_ns, MIN(s.ready_ns)) > c.stall_ns",
    ): _AGAIN,
    (
        "relation waits",
        "flip p.to_ns - GREATEST(p.from_ns, MIN(s.ready_ns)) > c.stall_ns",
    ): _AGAIN,
    ("relation waits", "swap GREATEST(p.from_ns, MIN(s.ready_ns)) #2"): _AGAIN,
    ("relation waits", "swap MIN(s.ready_ns) #2"): _AGAIN,
    ("relation waits", "swap ARG_MIN(s.off, s.off)"): _EVIDENCE,
    ("relation waits", "swap ARG_MIN(s.value, s.off)"): _EVIDENCE,
    ("relation waits", "drop s.ready_ns < p.to_ns - c.stall_ns"): (
        "what came later only counts for the evidence"
    ),
    ("relation waits", "flip s.ready_ns < p.to_ns - c.stall_ns"): _BOUND,
    ("relation waits", "flip s.off > p.position"): "what lies at the position was given",
    ("relation waits", "swap MIN(time_ns)"): _TWO_DEFECTS,
    ("relation waits", "drop NOT value IS NULL"): _SPARES,
    ("relation waits", "drop EXISTS(SELECT 1 FROM idle)"): _SPARES,
    ("relation waits", "drop n.scope IS NULL"): (
        "a reader that begins at the start is due from there, whatever it was given"
    ),
    ("relation watched", "unjoin SEMI JOIN suspects USING (topic, part)"): _SPARES,
    ("relation watched", "unjoin SEMI JOIN suspects USING (topic, part) #2"): _SPARES,
    ("relation watched", "drop v.process = w.reader"): (
        "where somebody waits is suspect, so that its owner is watched anyway"
    ),
    ("relation polling", "flip i.idx <= c.idx"): _OTHER_ROW,
    ("relation polling", "unjoin SEMI JOIN watched USING (process)"): _SPARES,
    ("relation polling", "unjoin SEMI JOIN watched USING (process) #2"): _SPARES,
    ("relation polling", "drop WHERE type = 'invoke'"): (
        "the second after an answer is then counted from the answer"
    ),
    ("relation polling", "swap MIN(idx)"): _ONE_TIME,
    ("relation polling", "swap MIN(time_ns)"): _ONE_TIME,
    ("relation stalls", "flip asked_ns > c.stall_ns"): _BOUND,
    ("relation stalls", "swap MAX(asked_ns)"): _EVIDENCE,
    ("relation stalls", "flip p.from_ns < LEAST(w.to_ns, v.end_ns)"): _NO_OVERLAP,
    ("relation stalls", "flip p.to_ns > GREATEST(w.from_ns, v.begin_ns)"): _NO_OVERLAP,
    ("relation stalls", "flip d.time_ns >= l.to_ns"): _TWO_DEFECTS,
    ("relation flights", "swap MIN(idx)"): _ONE_TIME,
    ("relation flights", "swap MIN(time_ns)"): _ONE_TIME,
    ("relation flights", "swap MIN(invoke_idx)"): _ONE_TIME,
    ("relation flights", "swap MIN(invoke_ns)"): _ONE_TIME,
    ("relation flights", "swap MAX(ack_ns)"): _ONE_TIME,
    ("relation flights", "drop WHERE COALESCE(ack_ns - invoke_ns > deadlock_ns, TRUE)"): _SPARES,
    ("relation flights", "flip ack_ns - invoke_ns > deadlock_ns"): _BOUND,
    ("relation flights", "flip to_ns - from_ns > (SELECT deadlock_ns FROM context)"): _BOUND,
    ("relation flights", "flip s.waited_ns > deadlock_ns"): _BOUND,
    ("relation flights", "flip e.idx >= c.idx"): _OTHER_ROW,
    ("relation flights", "flip d.idx >= a.idx"): _OTHER_ROW,
    ("relation flights", "drop type = 'invoke' #2"): (
        "the invocation of an open comes before its answer"
    ),
    ("relation deadlocks", "drop o.op = 'poll'"): "what it joins is of polls only",
    ("relation deadlocks", "drop a.process = o.process"): (
        "two clients are not looked at in the same nanosecond"
    ),
    ("relation deadlocks", "drop a.flight_end_ns = o.flight_end_ns"): (
        "the stalls of one reader do not overlap"
    ),
    (
        "relation deadlocks",
        "flip p.used_ms <= deadlock_cpu_ratio * (p.to_ns - p.from_ns) / 1e6",
    ): "nothing uses exactly as much as its bound allows",
    ("relation deadlocks", "unjoin SEMI JOIN suspects USING (process)"): _SPARES,
    ("relation deadlocks", "unjoin SEMI JOIN suspects USING (process) #2"): _SPARES,
    ("relation deadlocks", "unjoin SEMI JOIN suspects USING (process) #3"): _SPARES,
    ("relation deadlocks", "drop WHERE NOT ack_ns IS NULL"): _SPARES,
    ("relation deadlocks", "flip o.time_ns <= c.flight_ns"): _NO_MOMENT,
    ("relation deadlocks", "flip p.from_ns >= f.from_ns"): _NO_MOMENT,
    ("relation deadlocks", "flip p.time_ns <= o.to_ns"): _NO_MOMENT,
    ("relation deadlocks", "flip p.time_ns <= o.from_ns"): _NO_MOMENT,
    ("relation deadlocks", "flip p.from_ns < o.to_ns"): _NO_OVERLAP,
    ("relation deadlocks", "flip p.to_ns > o.from_ns"): _NO_OVERLAP,
    ("relation deadlocks", "drop type = 'invoke'"): (
        "nothing is of use between the invocation of an open and its answer"
    ),
    ("relation outages", "flip from_ns > before_ns"): _NO_MOMENT,
    ("relation cpu_use", "flip b.time_ns >= a.due_ns"): _BOUND,
    ("relation calls", "swap MIN(i.idx)"): _EVIDENCE,
    ("relation offsets", "swap MAX(off)"): _ONE_ROW,
    (
        "relation reading",
        "unjoin ANTI JOIN suspects AS s ON s.topic = g.topic AND s.part = g.part",
    ): ("what it keeps apart only says again what deliveries say"),
    ("relation reading", "swap MAX(d.idx)"): _ONE_TIME,
    ("relation reading", "swap MIN(b.begin_ns)"): _ONE_TIME,
    ("relation reading", "swap MIN(d.time_ns)"): _ONE_TIME,
    ("relation reading", "swap MIN(begin_ns)"): _ONE_TIME,
    ("relation reading", "drop ON s.value = d.value"): _TWO_DEFECTS,
    ("relation reading", "drop d.misplaced"): _TWO_DEFECTS,
    ("relation reading", "drop s.acknowledged"): _TWO_DEFECTS,
    ("relation ahead", "flip a.time_ns <= s.at_ns"): _NO_MOMENT,
    ("relation ahead", "flip d.begin_ns < s.at_ns"): _NO_MOMENT,
    ("relation ahead", "flip d.begin_ns > a.time_ns"): _NO_MOMENT,
    ("relation ahead", "drop WHERE told"): (
        "where it is not told, the offset itself is among what was asked for"
    ),
    (
        "relation ahead",
        "drop NOT EXISTS(SELECT 1 FROM reading AS r WHERE r.grp = b.grp AND r.topic = b.topic "
        "AND r.part = b.part AND r.top >= b.off AND r.process <> b.reader)",
    ): _TWO_DEFECTS,
    ("relation ahead", "flip r.top >= b.off"): _TWO_DEFECTS,
    ("relation ahead", "drop WHERE op = 'txn' #2"): _TWO_DEFECTS,
    ("relation ahead", "flip op = 'txn' #2"): _TWO_DEFECTS,
    ("relation pairs", "flip COALESCE(a.end_ns, l.end_ns) >= l.since_ns"): _NO_MOMENT,
    ("relation pairs", "flip a.begin_ns < l.end_ns"): _NO_MOMENT,
    ("relation pairs", "flip a.end_ns < r.begin_ns"): _NO_MOMENT,
    ("relation regressions", "drop ON l.idx = p.idx"): _TWO_DEFECTS,
    ("relation regressions", "flip h.end_ns < p.begin_ns"): _NO_MOMENT,
    ("relation promises", "swap ARG_MAX(o.off, o.idx)"): _EVIDENCE,
    ("relation promises", "swap MAX(o.idx)"): _EVIDENCE,
    ("relation promises", "flip o.begin_ns > p.at_ns"): _NO_MOMENT,
    ("relation promises", "drop WHERE NOT last IS NULL"): _TWO_DEFECTS,
    ("relation promises", "drop c.process = o.process"): _NO_MOMENT,
    ("relation promises", "flip e.idx > p.idx"): _OTHER_ROW,
    ("relation promises", "flip c.idx > f.idx"): _OTHER_ROW,
    ("relation promises", "flip c.begin_idx > f.idx"): _OTHER_ROW,
    ("claim commit-behind", "flip p.off < p.next"): (
        "an offset that is the next is one of those that excuse it"
    ),
    ("claim commit-behind", "drop NOT o.idx IN (SELECT idx FROM ahead)"): _TWO_DEFECTS,
    ("relation conflicts", "swap MIN(value)"): _EVIDENCE,
    ("relation conflicts", "swap MAX(value)"): _EVIDENCE,
    ("relation conflicts", "drop outcome = 'ok'"): _NO_OFFSET,
    ("relation spans", "swap MAX(t.top)"): _ONE_ROW,
    ("relation clients", "drop type = 'invoke'"): "only the invocation of an open says anything",
    ("relation spans", "flip e.idx > p.idx"): _OTHER_ROW,
    ("relation spans", "flip d.idx > g.idx"): _OTHER_ROW,
    ("relation spans", "flip d.idx < g.until_idx"): _OTHER_ROW,
    ("relation skips", "drop WHERE p.off > COALESCE(d.off, -1) + 1"): (
        "where it does not hold nothing lies between low and high"
    ),
    ("relation skips", "flip p.off > COALESCE(d.off, -1) + 1"): (
        "where they are equal nothing lies between low and high"
    ),
    ("relation skips", "flip d.idx <= p.idx"): _OTHER_ROW,
    ("relation restarts", "flip d.idx < b.idx"): _OTHER_ROW,
    ("relation restarts", "flip p.idx > b.idx"): _OTHER_ROW,
    ("relation restarts", "flip o.end_ns < b.time_ns"): _NO_MOMENT,
    ("relation restarts", "unjoin SEMI JOIN latest USING (scope)"): _SPARES,
    ("relation contents", "drop NOT a.detail IS NULL OR NOT b.detail IS NULL"): _SPARES,
    ("relation contents", "drop NOT detail IS NULL"): _SPARES,
    ("relation contents", "drop WHERE NOT detail IS NULL"): _SPARES,
    ("relation contents", "drop op = 'send'"): (
        "what other polls show of a value differs only where a fail is found anyway"
    ),
    ("relation contents", "drop type = 'invoke'"): "only the invocation of a send has a content",
    ("relation loss", "drop o.topic = u.topic"): _TWO_DEFECTS,
    ("relation loss", "drop o.part = u.part"): _TWO_DEFECTS,
    ("relation loss", "drop at_end #2"): _TWO_DEFECTS,
    ("relation loss", "flip h.off <= u.off"): (
        "what lies first in a transaction is of it, and not acknowledged before it ends"
    ),
    ("relation loss", "flip h.until_ns > c.finished_ns"): _NO_MOMENT,
    ("relation loss", "flip u.off > s.position"): "what lies at the position was given",
    ("relation loss", "drop at_end"): _TWO_DEFECTS,
    ("claim unseen", "drop WHERE state = 'held'"): _NOTE,
    ("claim unseen", "flip state = 'held'"): _NOTE,
    ("claim unseen", "drop WHERE state = 'stalled'"): _NOTE,
    ("claim unseen", "flip state = 'stalled'"): _NOTE,
    ("claim G1a", "drop WHERE outcome = 'fail'"): _NOTE,
    ("claim G1a", "flip outcome = 'fail'"): _NOTE,
    ("claim duplicate", "drop outcome = 'ok'"): _NO_OFFSET,
    ("claim duplicate", "drop NOT off IS NULL"): _EVIDENCE,
    ("claim delivered-twice", "drop WHERE NOT misplaced"): _SPARES,
    ("claim delivered-twice", "drop HAVING COUNT(*) > 1"): _SPARES,
    ("claim delivered-twice", "flip COUNT(*) > 1"): _SPARES,
    ("claim delivered-twice", "flip t.idx < g.idx"): _OTHER_ROW,
    ("claim delivered-twice", "flip t.idx > g.before"): _OTHER_ROW,
    ("claim delivered-twice", "drop i.topic = j.topic"): _TWO_DEFECTS,
    ("claim delivered-twice", "drop i.part = j.part"): _TWO_DEFECTS,
    ("claim delivered-twice", "drop COALESCE(j.off < i.until, TRUE)"): _TWO_DEFECTS,
    ("claim delivered-twice", "drop i.process = j.process"): _TWO_DEFECTS,
    ("claim delivered-twice", "drop i.op_id = j.op_id"): _TWO_DEFECTS,
    ("claim delivered-twice", "drop i.process = j.process_before"): _TWO_DEFECTS,
    ("claim delivered-twice", "drop i.op_id = j.op_before"): _TWO_DEFECTS,
    ("claim delivered-twice", "flip j.off < i.until"): _TWO_DEFECTS,
    (
        "claim delivered-twice",
        "drop (i.process = j.process AND i.op_id = j.op_id) "
        "OR (i.process = j.process_before AND i.op_id = j.op_before)",
    ): _TWO_DEFECTS,
    ("claim corrupt-value", "drop c.topic = d.topic"): _TWO_DEFECTS,
    ("claim corrupt-value", "drop c.part = d.part"): _TWO_DEFECTS,
    ("claim corrupt-value", "drop c.off = d.off"): _TWO_DEFECTS,
    ("claim changed-content", "drop sent <> given"): (
        "what differs with null taken for empty differs"
    ),
    ("relation stretches", "unjoin SEMI JOIN back USING (process, topic, part)"): _SPARES,
    ("relation stretches", "drop WHERE off <= before"): _SPARES,
    ("relation leaps", "unjoin SEMI JOIN uneven USING (process, topic, part)"): _SPARES,
    ("relation leaps", "drop WHERE off <> before + 1"): _SPARES,
    ("relation leaps", "drop WHERE off > below + 1"): _SPARES,
    ("relation leaps", "flip off > below + 1"): _SPARES,
    ("relation sent", "drop s.outcome = 'ok'"): _NO_OFFSET,
    ("relation sent", "flip f.first_ack < p.invoke_idx"): _OTHER_ROW,
    ("relation low", "unjoin SEMI JOIN falling USING (process, topic, part)"): _SPARES,
    ("relation low", "drop WHERE off < last_off"): _SPARES,
    ("relation low", "flip off < last_off"): _SPARES,
    ("relation low", "flip e.ack_idx < p.invoke_idx"): _OTHER_ROW,
    ("relation low", "swap ARG_MAX(value, off)"): _EVIDENCE,
    ("relation low", "swap ARG_MAX(value, off) #2"): _EVIDENCE,
    ("relation low", "swap ARG_MAX(value, off) #3"): _EVIDENCE,
    ("claim int-send-skip", "drop WHERE off > before + 1"): _NOTE,
    ("claim int-send-skip", "flip off > before + 1"): _NOTE,
    ("claim startup", "drop c.idx > i.idx"): _OWN_ID,
    ("claim startup", "flip c.idx > i.idx"): _OWN_ID,
    ("claim startup", "drop c.time_ns >= i.time_ns"): _OWN_ID,
    ("claim startup", "flip c.time_ns >= i.time_ns"): _OWN_ID,
    ("claim startup", "drop op = 'open' #2"): _OWN_ID,
    ("claim startup", "drop type <> 'invoke'"): _OWN_ID,
    ("claim startup", "drop type = 'invoke' #2"): _OWN_ID,
    ("claim startup", "drop e.type = 'invoke'"): _CALL_FIRST,
    ("claim startup", "drop e.type = 'invoke' #2"): _CALL_FIRST,
    ("claim startup", "drop e.type = 'ok' #2"): (
        "the first send of a life is what was asked for, so that nothing before its end counts"
    ),
    ("claim startup", "drop l.subscribed"): "one that assigns by hand is alone in its scope",
    ("claim startup", "flip e.idx > o.idx"): _OTHER_ROW,
    ("claim startup", "flip e.idx < o.until"): _OTHER_ROW,
    ("claim startup", "flip e.idx > t.asked_idx"): _OTHER_ROW,
    ("claim startup", "flip e.idx < t.until"): _OTHER_ROW,
    ("claim startup", "flip e.idx > a.idx"): _OTHER_ROW,
    ("claim startup", "flip e.idx < a.until"): _OTHER_ROW,
    ("claim startup", "flip s.usable_ns < a.usable_ns"): _NO_MOMENT,
    (
        "claim startup",
        "flip COALESCE(a.open_ns, LEAST(c.finished_ns, n.end_ns) - a.from_ns) + COALESCE("
        "CASE WHEN EXISTS(SELECT 1 FROM served AS s WHERE s.scope = l.scope "
        "AND s.process <> a.process AND COALESCE(s.usable_ns < a.usable_ns, TRUE)) THEN 0 "
        "WHEN NOT a.usable_ns IS NULL THEN a.usable_ns - a.asked_ns "
        "ELSE LEAST(c.finished_ns, n.end_ns) - a.asked_ns END, 0) > c.startup_ns",
    ): _BOUND,
    (
        "claim hung-close",
        "flip COALESCE(e.closed_ns, LEAST(e.killed_ns, c.finished_ns)) - e.from_ns > c.close_ns",
    ): _BOUND,
    ("claim hung-close", "drop e.type = 'invoke'"): _CALL_FIRST,
    ("claim hung-close", "drop type = 'invoke'"): "nothing is closed while it opens",
    ("claim hung-close", "drop type = 'invoke' #2"): _OWN_ID,
    ("claim hung-close", "swap MIN(e.time_ns) #3"): "it only counts whether one failed",
    ("claim hung-close", "swap MIN(e.time_ns) #4"): "a life is killed once",
    ("claim hung-close", "swap MIN(e.error)"): _EVIDENCE,
    ("claim hung-close", "drop d.process = e.process"): _TWO_DEFECTS,
    (
        "claim hung-close",
        "drop d.flight_ns <= COALESCE(e.closed_ns, c.finished_ns)",
    ): _TWO_DEFECTS,
    (
        "claim hung-close",
        "flip d.flight_ns <= COALESCE(e.closed_ns, c.finished_ns)",
    ): _TWO_DEFECTS,
    ("claim hung-close", "drop d.flight_end_ns > e.from_ns"): _TWO_DEFECTS,
    ("claim hung-close", "flip d.flight_end_ns > e.from_ns"): _TWO_DEFECTS,
    ("claim hung-close", "flip e.idx > l.idx"): _OTHER_ROW,
    ("claim hung-close", "flip e.idx < l.until"): _OTHER_ROW,
    ("claim hung-close", "flip e.idx > c.row_close"): _OTHER_ROW,
    ("claim hung-close", "flip e.idx < c.until"): _OTHER_ROW,
    ("relation sending", "swap MIN(invoke_ns)"): _ONE_TIME,
    ("relation sending", "swap MIN(ack_ns)"): _ONE_TIME,
    ("relation sending", "swap MAX(ack_ns)"): _ONE_TIME,
    ("relation sending", "swap MIN(invoke_idx)"): _EVIDENCE,
    ("relation sending", "flip e.idx >= f.idx"): _OTHER_ROW,
    ("relation sending", "drop WHERE EXISTS(SELECT 1 FROM outages)"): (
        "it spares the work where there are no faults, and changes no verdict"
    ),
    ("relation sending", "drop type = 'invoke'"): (
        "what comes first after a send is the invocation, not the completion"
    ),
    ("relation recoveries", "swap MIN(s.idx)"): _EVIDENCE,
    ("relation recoveries", "flip s.to_ns > t.healed_ns"): _NO_OVERLAP,
    ("relation recoveries", "flip s.from_ns < t.to_ns"): _NO_OVERLAP,
    ("relation recoveries", "flip o.healed_ns < s.ok_ns"): (
        "the lab's note and a driver's answer do not share a nanosecond"
    ),
    ("relation unrecovered", "swap MAX(after_ns)"): _EVIDENCE,
    ("relation unrecovered", "flip asked_ns > recovery_ns"): _BOUND,
    ("relation unrecovered", "drop d.process = r.process"): _TWO_DEFECTS,
    ("relation unrecovered", "drop d.flight_ns < r.to_ns"): _TWO_DEFECTS,
    ("relation unrecovered", "drop d.flight_end_ns > r.healed_ns"): _TWO_DEFECTS,
    ("relation unrecovered", "flip d.flight_ns < r.to_ns"): _NO_OVERLAP,
    ("relation unrecovered", "flip d.flight_end_ns > r.healed_ns"): _NO_OVERLAP,
    **OF_TRANSACTIONS,
}
