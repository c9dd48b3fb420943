"""Mutants that no history can tell from what they came from, each with the reason.

(owner, name) as the run prints them → why. The run fails where an entry is no longer needed.
"""

from __future__ import annotations

_ONE_TIME = "the rows of one command share their time, so that its first is its last"
_NO_OVERLAP = "operations that only touch add nothing to the time in common"
_EVIDENCE = "it only chooses which of several rows the evidence names"
_TWO_DEFECTS = "telling it takes two defects in one history, and a section plants one"
_BOUND = "nothing takes exactly as many nanoseconds as its bound allows"
_OTHER_ROW = "the two rows are of different operations, so that their numbers differ"
_SPARES = "it only spares work: what it leaves out changes no verdict"
_NO_OFFSET = "a send that did not end as ok has no offset"
_NO_MOMENT = "two operations do not share a nanosecond"
_NOTE = "it only counts for what a passing summary says"
_SCREEN = "so small a history is not screened: every partition is suspect, see test_onepass.py"
_ONE_ROW = "there is one such row"

EQUIVALENT: dict[tuple[str, str], str] = {
    ("relation calls", "swap MIN(i.idx)"): _EVIDENCE,
    ("relation offsets", "swap MAX(off)"): _ONE_ROW,
    (
        "relation reading",
        "unjoin ANTI JOIN suspects AS s ON s.topic = g.topic AND s.part = g.part",
    ): ("what it keeps apart only says again what deliveries say"),
    ("relation reading", "drop s.topic = g.topic"): _SCREEN,
    ("relation reading", "drop s.part = g.part"): _SCREEN,
    ("relation reading", "swap MAX(d.idx)"): _ONE_TIME,
    ("relation reading", "swap MIN(b.begin_ns)"): _ONE_TIME,
    ("relation reading", "swap MIN(d.time_ns)"): _ONE_TIME,
    ("relation reading", "swap MIN(begin_ns)"): _ONE_TIME,
    ("relation reading", "drop ON s.value = d.value"): _TWO_DEFECTS,
    ("relation reading", "drop d.misplaced"): _TWO_DEFECTS,
    ("relation reading", "drop s.acknowledged"): _TWO_DEFECTS,
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
    ("relation skips", "drop WHERE p.off > COALESCE(d.off, -1) + 1"): (
        "where it does not hold nothing lies between low and high"
    ),
    ("relation skips", "flip p.off > COALESCE(d.off, -1) + 1"): (
        "where they are equal nothing lies between low and high"
    ),
    ("relation skips", "flip d.idx <= p.idx"): _OTHER_ROW,
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
    ("relation loss", "swap ARG_MIN(scope, scope)"): _EVIDENCE,
    ("relation loss", "drop WHERE passed"): _EVIDENCE,
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
}
