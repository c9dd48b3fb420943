"""One pass for both looks: the same as one pass each, and no look decides what it cannot see."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kafkalab.checkers import compose, history, reading
from kafkalab.checkers.budget import Budget
from kafkalab.checkers.protocol import HistoryView
from kafkalab.checkers.registry import CHECKERS, RELATIONS, relations_for
from kafkalab.checkers.screen.onepass import OF_RUNS, screen
from kafkalab.model.history import CheckContext

STORY = """
p0 open producer acks=-1 idempotence=true
c0 open consumer group=g offset_reset=earliest
c0 subscribe t
c0 assigned t/0 t/1
p0 send t/0 1@0 2@1 3@2
p0 send t/1 4@0 5@1
c0 poll t/0 1@0 3@2
c0 poll t/1 4@0 5@1
c0 close
p0 close
"""
LOG = ("lost-write", "unseen", "poll-skip")


def read(table, **options):
    return reading.read(table, Budget(), worth_rows=0, runs=True, **options)


def test_the_pass_finds_what_the_screen_finds(write):
    table = history.table(write(STORY)[0])
    found = read(table)
    assert found.problems == ()
    assert found.screened == screen(table, worth_rows=0)


def test_rows_in_another_order_are_read_in_that_of_their_index(write):
    rows, finished_ns = write(STORY)
    table = history.table(rows)
    mixed = table.take(pa.array(np.random.default_rng(3).permutation(len(rows))))
    assert read(mixed).screened == read(table).screened
    context = CheckContext(finished_ns)
    found, expected = (compose.judge(t, LOG, context, worth_rows=0) for t in (mixed, table))
    assert found == expected
    assert [v.claim for v in found if v.outcome == "fail"] == ["lost-write"]


def test_what_the_look_stumbles_over_is_told_only_if_the_rows_are_well_formed(write, monkeypatch):
    def stumble(self, rows):
        raise IndexError("no such place")

    monkeypatch.setattr(reading.Looks, "look", stumble)
    rows, finished_ns = write(STORY)
    assert "out of sequence" in read(history.table(rows[1:])).problems[0]
    with pytest.raises(IndexError, match="no such place"):
        read(history.table(rows))
    (found,) = compose.judge(history.table(rows), ["unseen"], CheckContext(finished_ns))
    assert "crashed (IndexError)" in found.summary


def test_what_is_found_of_a_command_while_claims_are_judged_leaves_no_verdict(write):
    rows, finished_ns = write(STORY)
    odd = [replace(r, op_id=99) if r.op == "close" and r.type == "ok" else r for r in rows]
    found = read(history.table(odd))
    assert found.problems == ()
    assert "never invoked" in found.asking.result()[0]
    verdicts = compose.judge(history.table(odd), LOG, CheckContext(finished_ns))
    assert {v.outcome for v in verdicts} == {"unknown"}
    assert "never invoked" in verdicts[0].summary


def test_what_was_spared_is_made_when_it_is_asked_for(write):
    rows, finished_ns = write(STORY)
    table, context = history.table(rows), CheckContext(finished_ns)
    spared, whole = (screen(table, worth_rows=0, runs=runs) for runs in (False, True))
    assert set(whole.tables) - set(spared.tables) == set(OF_RUNS)
    for name in OF_RUNS:
        told = []
        for screened in (spared, whole):
            with HistoryView(table, context, (), RELATIONS, screened=screened) as view:
                view.use(name)
                told.append(view.rows(f"SELECT * FROM {name} ORDER BY ALL"))
        assert told[0] == told[1]


def test_long_waits_are_looked_for_where_a_claim_asks(write):
    rows, finished_ns = write(STORY.replace("c0 poll t/1 4@0 5@1\n", "+60s\nc0 poll\n"))
    table, context = history.table(rows), CheckContext(finished_ns, stall_ns=10**9)
    for claims, some in ((LOG, False), (("stall",), True), (tuple(CHECKERS), True)):
        with HistoryView(table, context, claims, relations_for(claims), worth_rows=0) as view:
            view.use("waited")
            assert bool(view.rows("SELECT * FROM waited")) == some
