"""What is written in the language of the golden histories reads back as it was."""

from dataclasses import replace

import pytest

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.text import to_text
from kafkalab.model.history import CheckContext

IGNORED = {"error", "op_id", "index", "time_ns"}  # ids and times are written anew


def told(rows):
    return [
        {name: getattr(row, name) for name in type(row).__slots__ if name not in IGNORED}
        for row in rows
    ]


def read(write, text):
    head, _, body = text.partition("\n")
    rows, finished_ns = write(body)
    return head, rows, finished_ns


def test_a_golden_is_written_as_it_was_read(golden, write):
    text = to_text(history.table(golden.rows), golden.name, golden.outcome, golden.context)
    head, rows, finished_ns = read(write, text)
    assert told(rows) == told(golden.rows)
    assert [r.time_ns for r in rows] == [r.time_ns for r in golden.rows]
    assert finished_ns == golden.context.finished_ns
    assert head.startswith(f"== {golden.name} | {golden.outcome}")


def test_what_overlaps_is_written_as_what_overlaps(write):
    text = (
        "c0 poll t/0 1@0 -> later ok\np0 send t/0 1@0 t/1 2@0 -> later\nc0 commit -> later ok t/0=1"
        "\n+3ms\np0 ends send\nc0 ends poll\nc0 ends commit"
    )
    rows, finished_ns = write(text)
    again = to_text(history.table(rows), "a", "fail", CheckContext(finished_ns))
    assert told(read(write, again)[1]) == told(rows)
    assert "p0 ends send" in again


def test_bounds_that_are_not_the_default_stand_in_the_head(write):
    rows, finished_ns = write("p0 send t/0 1@0")
    context = CheckContext(finished_ns, stall_ns=5, redelivery_allowed=True, evidence_max=9)
    head = to_text(history.table(rows), "a", "fail", context).partition("\n")[0]
    assert head == "== a | fail | stall_ns=5 redelivery_allowed=true"


@pytest.mark.parametrize("key", ["a b#c", "->", "~@/"])
def test_contents_that_mean_something_in_a_line_are_escaped(write, key):
    plain, finished_ns = write("p0 send t/0 1@0~key\nc0 poll t/0 1@0~key")
    rows = [replace(r, detail=r.detail.replace('"k"', f'"{key}"') if r.detail else None)
            for r in plain]  # fmt: skip
    text = to_text(history.table(rows), "a", "fail", CheckContext(finished_ns))
    assert told(read(write, text)[1]) == told(rows)


def test_a_claim_that_is_red_on_a_history_is_red_on_its_text(write):
    rows, finished_ns = write("p0 send t/0 1@0 2@1\nc0 poll t/0 2@1")
    text = to_text(history.table(rows), "a", "fail", CheckContext(finished_ns))
    _, again, finished_ns = read(write, text)
    (verdict,) = judge(history.table(again), ["lost-write"], CheckContext(finished_ns))
    assert verdict.outcome == "fail"
