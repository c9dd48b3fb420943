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

EQUIVALENT: dict[tuple[str, str], str] = {
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
