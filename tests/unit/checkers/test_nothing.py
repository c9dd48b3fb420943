"""Where there is nothing to judge no claim passes, whichever claims there will be.

Each history lacks something. A claim may pass on it only if `may_pass` says that it has something
to look at there; all others must be unknown, with a reason.
"""

from dataclasses import replace

import pytest

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.model.history import CheckContext

READ = frozenset(
    {
        "G1a", "duplicate", "delivered-twice", "inconsistent-offsets", "corrupt-value",
        "null-becomes-empty", "changed-content", "wrong-topic", "G1c-realtime",
    }
)  # fmt: skip
SENDS = frozenset({"nonmonotonic-send", "int-nonmonotonic-send", "int-send-skip"})
SENT = "p0 send t/0 1@0 2@1\np0 send t/0 3@2 4@3\n"
GROUP = "c0 open consumer group=g offset_reset=earliest\nc0 subscribe t\nc0 assigned t/0\n"

HISTORIES = {
    "one empty poll": ("c0 poll", frozenset()),
    "empty polls only": ("c0 poll\nc0 poll\nc1 poll", frozenset()),
    "no polls": (SENT, SENDS),
    "no sends": ("c0 poll\nc0 position", frozenset()),
    "sends of which nobody knows": ("p0 send t/0 1@info 2@info", frozenset()),
    "sends that failed": ("p0 send t/0 1@fail 2@fail", frozenset()),
    "one record, and its partition is taken away": (
        "p0 send t/0 1@info\n" + GROUP + "c0 poll t/0 1@0\nc0 revoked t/0",
        READ | {"consumed-after-revoke", "rounds-to-converge", "startup"},
    ),
    "what nobody acknowledged was read": (
        "p0 send t/0 1@info\nc0 poll t/0 1@0",
        READ,
    ),
    "sends and empty polls": (SENT + "c0 poll\nc0 poll", SENDS | {"stall"}),
    "sends of which nothing is promised, and polls": (
        "p0 open producer acks=0\np0 send t/0 1@0\nc0 poll\nc0 poll",
        {"startup"},
    ),
    "sends of which nobody says where they are, and polls": (
        "p0 open producer acks=1\np0 send t/0 1@-1\nc0 poll\nc0 poll",
        {"startup"},
    ),
    "a member, and nothing to read": (
        GROUP + "c0 poll\nc0 poll",
        {"startup", "rounds-to-converge"},
    ),
    "assignments only": ("c0 assigned t/0 t/1\nc0 revoked t/0 t/1", frozenset()),
    "a kill only": ("c0 kill", frozenset()),
    "readings of no offset": ("c0 committed t/0=-1", frozenset()),
}
WHOLE = (
    "p0 open producer acks=-1\n" + GROUP + SENT
    + "c0 poll t/0 1@0 2@1 3@2 4@3\nc0 commit t/0=4\nc0 committed t/0=4\nc0 close\np0 close"
)  # fmt: skip


def judged(rows, claim, finished_ns):
    (found,) = judge(history.table(rows), [claim], CheckContext(finished_ns))
    assert "crash" not in found.summary, found
    assert found.summary, "a reason, whatever the verdict"
    return found


@pytest.mark.parametrize("name", HISTORIES)
def test_nothing_to_judge_is_unknown(write, name):
    text, may_pass = HISTORIES[name]
    rows, finished_ns = write(text)
    assert history.validate(history.table(rows)) == ()
    found = judge(history.table(rows), CHECKERS, CheckContext(finished_ns))
    assert {v.claim for v in found if v.outcome == "pass"} <= set(may_pass)
    assert [v for v in found if v.outcome == "fail" or "crash" in v.summary] == []
    assert all(v.summary for v in found)


@pytest.mark.parametrize("claim", CHECKERS)
def test_a_claim_alone_on_nothing_is_unknown(write, claim):
    for text in ("c0 poll", "p0 position"):
        rows, finished_ns = write(text)
        assert judged(rows, claim, finished_ns).outcome == "unknown"


def test_what_was_invoked_and_never_ended_proves_nothing(write):
    rows, finished_ns = write(WHOLE)
    asked = [row for row in rows if row.type == "invoke"]
    asked = [replace(row, index=i) for i, row in enumerate(asked)]
    found = judge(history.table(asked), CHECKERS, CheckContext(finished_ns))
    assert {v.claim: v.summary for v in found if v.outcome != "unknown"} == {}


def test_one_row_proves_nothing(write):
    rows, finished_ns = write(WHOLE)
    kinds = {(row.op, row.type): replace(row, index=0) for row in rows}
    for row in kinds.values():
        found = judge(history.table([row]), CHECKERS, CheckContext(finished_ns))
        assert {v.claim: v.summary for v in found if v.outcome != "unknown"} == {}, row
