"""Too little, unknown claims and crashes are unknown, never pass; ceding needs a taker."""

import json
from dataclasses import replace

import pytest

from kafkalab.checkers import compose, history
from kafkalab.checkers.protocol import HistoryView
from kafkalab.checkers.registry import CHECKERS, RELATIONS
from kafkalab.model.history import CheckContext

CONTEXT = CheckContext(finished_ns=10**12)


def judged(write, text, claims, **context):
    rows, finished_ns = write(text)
    found = compose.judge(history.table(rows), claims, CheckContext(finished_ns, **context))
    return {v.claim: v for v in found}


def test_one_verdict_a_claim_in_the_order_asked_for(write):
    rows, _ = write("p0 send t/0 1@0")
    claims = ["stall", "lost-write", "stall", "leak"]
    found = compose.judge(history.table(rows), claims, CONTEXT)
    assert [v.claim for v in found] == ["stall", "lost-write", "leak"]


def test_nothing_to_see_is_unknown_for_every_claim(write):
    found = judged(write, "p0 position", CHECKERS)
    assert {v.outcome for v in found.values()} == {"unknown"}
    assert all(v.summary for v in found.values())


def test_an_empty_history_is_unknown():
    assert compose.judge(history.table([]), ["stall"], CONTEXT)[0].outcome == "unknown"


def test_a_claim_that_no_checker_judges_is_unknown(write):
    found = judged(write, "p0 send t/0 1@0", ["leak"])["leak"]
    assert (found.outcome, "no checker" in found.summary) == ("unknown", True)


def test_a_crash_is_unknown_with_its_traceback_and_spares_the_others(write, monkeypatch):
    def crash(view, context):
        raise RuntimeError("planted")

    monkeypatch.setattr(compose, "CHECKERS", {**CHECKERS, "stall": crash})
    found = judged(write, "p0 send t/0 1@0\nc0 poll t/0 1@0", ["stall", "lost-write"])
    assert found["stall"].outcome == "unknown"
    assert "planted" in found["stall"].evidence[0]["traceback"]
    assert found["lost-write"].outcome == "pass"


def test_reading_nothing_is_no_pass(write):
    found = judged(write, "p0 send t/0 1@0\nc0 poll", ["lost-write", "unseen", "duplicate"])
    assert {v.outcome for v in found.values()} == {"unknown"}


STALLED = """
c0 open consumer group=g offset_reset=earliest
c0 subscribe t
c0 assigned t/0
p0 send t/0 1@0 2@1
c0 poll t/0 1@0
c0 poll -> +11s ok
"""
OTHER_VALUE = "p0 send t/0 1@0 2@1 3@2\nc0 poll t/0 1@0 9@1 3@2"
DAMAGED = "p0 send t/0 1@0 2@1 3@2\nc0 poll t/0 1@0 0@1!short 3@2"


@pytest.mark.parametrize(
    ("text", "taker", "giver"),
    [
        (STALLED, "stall", "unseen"),
        (OTHER_VALUE, "inconsistent-offsets", "lost-write"),
        (DAMAGED, "corrupt-value", "lost-write"),
    ],
)
def test_a_finding_goes_to_the_more_specific_claim_only_if_that_is_judged(
    write, text, taker, giver
):
    both = judged(write, text, [taker, giver])
    assert (both[taker].outcome, both[giver].outcome) == ("fail", "pass")
    assert judged(write, text, [giver])[giver].outcome == "fail"


def test_unseen_says_what_it_left_to_the_stall(write):
    found = judged(write, STALLED, ["stall", "unseen"])
    assert "1 more are unread because of the stall" in found["unseen"].summary


def test_evidence_is_bounded_counted_and_json(write):
    sent = " ".join(f"{v}@{v}" for v in range(50))
    found = judged(
        write, f"p0 send t/0 {sent}\nc0 poll t/0 0@0 49@49", ["lost-write"], evidence_max=7
    )["lost-write"]
    assert (found.count, len(found.evidence)) == (48, 7)
    assert "48 acknowledged records" in found.summary
    assert json.loads(json.dumps(found.evidence))[0]["value"] == 1


def test_a_long_query_shows_no_progress_on_stdout(write):
    rows, finished_ns = write("p0 open producer\np0 send t/0 1@0")
    with HistoryView(history.table(rows), CheckContext(finished_ns), (), RELATIONS) as view:
        shown = view.rows("SELECT current_setting('enable_progress_bar') AS shown")
    assert not shown[0]["shown"]


def test_gaps_where_nothing_was_acknowledged_are_screened(write):
    rows, finished_ns = write("c0 poll t/0 1@0 3@2")
    table, context = history.table(rows), CheckContext(finished_ns)
    found = compose.judge(table, ["corrupt-value"], context, worth_rows=0)
    assert found == compose.judge(table, ["corrupt-value"], context)


def test_what_the_screen_settles_and_what_it_leaves_to_sql_are_counted_once(write):
    rows, finished_ns = write(
        "p0 open producer\nc0 open consumer offset_reset=earliest\nc0 assign t/0@0 t/1@0\n"
        "p0 send t/0 1@0 2@1 t/1 3@0 4@1 5@2\np0 send t/1 6@fail\n"
        "c0 poll t/0 1@0 2@1 t/1 3@0 5@2"
    )
    claims = ["G1a", "inconsistent-offsets", "changed-content"]
    whole, screened = (
        compose.judge(history.table(rows), claims, CheckContext(finished_ns), worth_rows=worth)
        for worth in (10**9, 0)
    )
    assert [v.summary for v in screened] == [v.summary for v in whole]
    assert whole[0].summary == "none of 1 failed sends was among 4 deliveries"


def test_a_detail_that_is_no_json_is_said_to_be_none(write):
    rows, finished_ns = write("p0 open producer\np0 send t/0 1@0\nc0 poll t/0 1@0")
    rows = [replace(row, detail="{") if row.op == "open" else row for row in rows]
    for verdict in compose.judge(history.table(rows), ["unseen"], CheckContext(finished_ns)):
        assert verdict.outcome == "unknown"
        assert verdict.summary == "the history cannot be judged: the detail of a row is no JSON"
