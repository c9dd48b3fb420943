"""Every finding can be placed in its history and told in a bounded number of lines."""

import json
import re
from dataclasses import asdict, replace

import pytest

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.timeline.entries import LINES_MAX
from kafkalab.checkers.timeline.focus import focus
from kafkalab.checkers.timeline.tell import (
    LINE_CHARS_MAX,
    TIMELINES_MAX,
    explain,
    timeline,
)
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome


def told(write, text, claim, **context):
    rows, finished_ns = write(text)
    table = history.table(rows)
    (verdict,) = judge(table, [claim], CheckContext(finished_ns, **context))
    return table, verdict


def test_each_finding_of_a_golden_is_told_with_every_row_that_it_names(golden):
    if golden.outcome != "fail":
        return
    table = history.table(golden.rows)
    (verdict,) = judge(table, [golden.claim], golden.context)
    for finding in verdict.evidence[:TIMELINES_MAX]:
        line = timeline(table, golden.claim, finding)
        named = focus(finding).rows
        assert any(entry.marked for entry in line.entries), finding
        shown = [(e.first, e.last, e.names) for e in line.entries if e.names]
        for row, keys in named.items():
            assert any(a <= row <= b and set(keys) <= set(n) for a, b, n in shown), (row, keys)
        assert all(text.isprintable() for text in line.lines())


HEAD = """
p0 open producer acks=-1
c0 open consumer group=g offset_reset=earliest
c0 subscribe t
c0 assigned t/0 t/1
"""
LOST = f"""{HEAD}
p0 send t/0 1@0 2@1 3@2
c0 poll t/0 1@0 3@2
"""


def test_a_timeline_says_who_owned_what_was_committed_and_what_happened(write):
    text = (
        f"{LOST}c0 commit t/0=3\nc0 revoked t/0 t/1\n+1s\n"
        "c1 open consumer group=g\nc1 subscribe t\nc1 assigned t/0"
    )
    table, verdict = told(write, text, "lost-write")
    lines = timeline(table, "lost-write", verdict.evidence[0]).lines()
    assert lines[0] == "lost-write: t/0 · offset 1 · value 2 · client p0, c0, c1"
    assert "  t/0 owned by c0 6.0–13.0 ms (revoked) · c1 1018.0 ms to the end" in lines
    assert "  t/0 committed 3 by c0 at 12.0 ms" in lines
    (marked,) = [line for line in lines if line.startswith(">")]
    assert "send t/0 1@0 [2@1] 3@2  ok after 1.0 ms  ← row_acked" in marked
    assert any(line.endswith("poll t/0 1@0 3@2  ok after 1.0 ms") for line in lines)


def test_an_operation_that_others_interrupt_is_two_lines(write):
    rows, finished_ns = write(f"{HEAD}p0 send t/0 1@0 2@1\nc0 poll t/0 1@0\nc0 commit -> ok t/0=9")
    poll = [row for row in rows if row.op == "poll"]
    rest = [row for row in rows if row.op != "poll"]
    mixed = [*rest[:-1], poll[0], rest[-1], *poll[1:]]
    start = mixed[0].time_ns
    ordered = [replace(r, index=i, time_ns=start + i * 10**6) for i, r in enumerate(mixed)]
    table = history.table(ordered)
    (verdict,) = judge(table, ["commit-ahead"], CheckContext(finished_ns))
    lines = timeline(table, "commit-ahead", verdict.evidence[0]).lines()
    words = [re.split(r"  c0  ", line)[1] for line in lines if "  c0  " in line][-4:]
    assert words == [
        "commit …", "poll …", "… commit t/0=9  ok  ← row_seen", "… poll t/0 1@0  ok",
    ]  # fmt: skip


def test_a_record_that_is_missing_shows_as_a_break_in_a_long_poll(write):
    sent = " ".join(f"{i + 1}@{i}" for i in range(300))
    given = " ".join(f"{i + 1}@{i}" for i in range(300) if i != 150)
    text = f"{HEAD}p0 send t/0 {sent}\nc0 poll t/0 {given}"
    table, verdict = told(write, text, "lost-write")
    lines = "\n".join(timeline(table, "lost-write", verdict.evidence[0]).lines())
    assert "send t/0 1@0…150@149 [151@150] 152@151…300@299" in lines
    assert "poll t/0 1@0…150@149 152@151…300@299" in lines


def test_only_the_samples_that_prove_a_finding_are_shown(write):
    idle = "\n".join(f"+1s\np0 sample {500 + i}" for i in range(60))
    text = f"{HEAD}p0 send t/0 1@0\np0 send t/0 2@1 -> never\n{idle}"
    table, verdict = told(write, text, "deadlock")
    lines = timeline(table, "deadlock", verdict.evidence[0]).lines()
    samples = [line for line in lines if " sample " in line]
    assert [line.split("  ← ")[1] for line in samples] == ["row_first_sample", "row_second_sample"]
    assert all("sample cpu_ms=5" in line for line in samples)
    assert any("send t/0 1@0  ok" in line for line in lines)


def test_what_a_client_reports_by_itself_is_told_in_its_words(write):
    rows, finished_ns = write(LOST)
    error = replace(rows[-1], op="error", op_id=-1, type="event", error="no connection to b1")
    bare = replace(error, topic=None, partition=None, offset=None, value=None, detail=None)
    at = [*rows, replace(bare, index=len(rows), time_ns=rows[-1].time_ns + 1)]
    table = history.table(at)
    (verdict,) = judge(table, ["lost-write"], CheckContext(finished_ns + 1))
    lines = timeline(table, "lost-write", verdict.evidence[0]).lines()
    assert any(line.endswith("  c0  error no connection to b1") for line in lines)


def test_long_histories_and_many_findings_stay_short(write):
    sends = "\n".join(f"p0 send t/0 {i}@{i}" for i in range(400))
    polls = "\n".join(f"c0 poll t/0 {i}@{i}" for i in range(400) if i % 7)
    table, verdict = told(write, f"{HEAD}{sends}\n{polls}", "lost-write")
    (explained,) = explain(table, [verdict])
    assert len(explained.timelines) == TIMELINES_MAX < verdict.count
    for lines in explained.timelines:
        assert len(lines) < 2 * LINES_MAX
        assert max(map(len, lines)) <= LINE_CHARS_MAX
    assert any("rows" in line and "…" in line for line in explained.timelines[0])


def test_a_finding_that_names_nothing_in_the_history_is_told_as_such(write):
    rows, _ = write("p0 send t/0 1@0")
    assert timeline(history.table(rows), "stall", {"value": 99}).entries == ()


def test_only_what_failed_is_explained_and_it_survives_json(write):
    table, red = told(write, LOST, "lost-write")
    green = ClaimVerdict("unseen", Outcome.PASS, 0, "")
    explained = explain(table, [green, red])
    assert explained[0] == green
    raw = json.loads(json.dumps(asdict(explained[1])))
    assert ClaimVerdict.from_dict(raw) == explained[1]


@pytest.mark.parametrize("finding", [{"row_read": 10**9}, {"rows": ["a"], "row_x": None}])
def test_a_finding_that_is_odd_costs_no_verdict(write, finding):
    table, red = told(write, LOST, "lost-write")
    (explained,) = explain(table, [replace(red, evidence=(finding,))])
    assert explained.timelines
    assert explained.outcome is Outcome.FAIL


def test_keys_of_a_finding_are_sorted_by_rule():
    finding = {
        "topic": "t", "partition": 1, "offset": 5, "value": 7, "row_read": 3, "reader": "c0",
        "sent_topic": "u", "sent_partition": 0, "places": ["t/2@9"], "scope": "group:g",
        "steps": [{"row_from": 1, "row_to": 3}], "waited_ms": 12.5, "to_ns": 4, "error": None,
    }  # fmt: skip
    found = focus(finding)
    assert found.places == (("t", 1), ("u", 0), ("t", 2))
    assert (found.offsets, found.values) == ({5, 9}, {7})
    assert found.rows == {3: ("row_read", "row_to"), 1: ("row_from",)}
    assert (found.groups, "c0" in found.names) == (("g",), True)
    assert ("waited_ms", "12.5") in found.facts
