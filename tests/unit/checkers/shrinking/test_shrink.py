"""A red history shrinks to what shows its finding, and nothing is red because of what is gone."""

from dataclasses import replace

import numpy as np
import pytest

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.checkers.shrinking.ddmin import ddmin
from kafkalab.checkers.shrinking.parts import parts
from kafkalab.checkers.shrinking.shrink import Case, NotRedError, shrink
from kafkalab.model.history import CheckContext

# judged together where all of them would take too long
FEW = ("lost-write", "unseen", "delivered-twice", "corrupt-value")
# a share of many records: no single one matters, so that hundreds of steps are needed
COUNTED = ("starved-partition",)

AROUND = """
n0 open producer acks=-1
n1 open consumer group=n offset_reset=earliest auto_commit=false
n1 subscribe noise
n1 assigned noise/0 noise/1
n0 send noise/0 9001@0 9002@1 9003@2
n0 send noise/1 9004@0
n1 poll noise/0 9001@0 9002@1 noise/1 9004@0
n1 commit noise/0=2 noise/1=1
n0 send noise/0 9005@3
n1 poll noise/0 9003@2 9005@3
n1 commit noise/0=4
n1 committed noise/0=4 noise/1=1
n0 close
n1 close
"""
LOST = """
p0 open producer acks=-1
c0 open consumer group=g offset_reset=earliest
c0 subscribe t
c0 assigned t/0 t/1
p0 send t/0 1@0 2@1 3@2 4@3
p0 send t/1 5@0
c0 poll t/0 1@0 3@2
c0 poll t/0 4@3 t/1 5@0
"""


@pytest.fixture
def embed(write):
    """Rows among operations of other clients on other partitions, in order of time."""

    def embedded(rows, context):
        around, _ = write(AROUND)
        mixed = sorted([*rows, *around], key=lambda row: row.time_ns)
        own = {f"{r.topic}/{r.partition}" for r in rows if r.partition is not None}
        table = history.table([replace(row, index=i) for i, row in enumerate(mixed)])
        finished = max(context.finished_ns, mixed[-1].time_ns)
        measured = tuple(sorted(own))
        return table, replace(context, finished_ns=finished, measured_partitions=measured)

    return embedded


def shrunk_as_promised(table, claim, claims, context, also=()):
    """Valid, red for the same claim and no new one, without what lay around, and 1-minimal."""
    found = shrink(Case(table, claim, claims, context))
    assert found.minimal
    assert history.validate(found.table) == ()
    red = [v.claim for v in judge(found.table, claims, context) if v.outcome == "fail"]
    assert {claim} <= set(red) <= {claim, *also}
    assert not any(name.startswith("n") for name in found.table["process"].to_pylist())
    case = Case(found.table, claim, claims, context)
    operations = np.where(case.parts.setup, -1, case.parts.operation)
    for operation in np.unique(operations[operations >= 0]):
        assert not case.holds(operations != operation), "an operation could be left out"
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_golden_shrinks_to_less_among_others(golden, embed):
    if golden.outcome == "fail" and golden.claim not in COUNTED:
        table, context = embed(golden.rows, golden.context)
        claims = golden.claims or tuple(CHECKERS)
        found = shrunk_as_promised(table, golden.claim, claims, context, golden.also)
        assert found.table.num_rows <= len(golden.rows)


def test_a_lost_record_shrinks_to_its_send_and_what_was_read_past_it(write, embed):
    rows, finished_ns = write(LOST)
    table, context = embed(rows, CheckContext(finished_ns))
    found = shrunk_as_promised(table, "lost-write", FEW, context)
    told = [(r["process"], r["op"], r["value"]) for r in found.table.to_pylist()]
    values = {value for _, op, value in told if op == "send"}
    assert values in ({2, 3}, {2, 4})
    assert [op for _, op, _ in told if op not in ("open", "subscribe", "send")] == ["poll"] * 2
    assert found.finding["value"] == found.part_finding["value"] == 2
    acked = found.table.to_pylist()[found.part_finding["row_acked"]]
    assert (acked["type"], acked["value"]) == ("ok", 2)


def test_the_same_history_gives_the_same_result(write, embed):
    rows, finished_ns = write(LOST)
    table, context = embed(rows, CheckContext(finished_ns))
    claims = ("lost-write", "unseen")
    one, two = (shrink(Case(table, "lost-write", claims, context)) for _ in range(2))
    assert one.table.equals(two.table)


def test_bounds_end_it_with_what_is_red_by_then(write, embed):
    rows, finished_ns = write(LOST)
    table, context = embed(rows, CheckContext(finished_ns))
    asked = iter([True, True, True])
    for found in (
        shrink(Case(table, "lost-write", ("unseen",), context), judgements_max=4),
        shrink(Case(table, "lost-write", ("unseen",), context), go_on=lambda: next(asked, False)),
    ):
        assert not found.minimal
        assert judge(found.table, ["lost-write"], context)[0].outcome == "fail"


def test_what_is_green_or_unknown_is_refused(write):
    rows, finished_ns = write("p0 send t/0 1@0\nc0 poll t/0 1@0")
    with pytest.raises(NotRedError, match="'lost-write' is pass on the whole history"):
        Case(history.table(rows), "lost-write", FEW, CheckContext(finished_ns))


def test_a_part_that_is_red_for_another_reason_does_not_hold(write):
    rows, finished_ns = write(LOST)
    case = Case(history.table(rows), "lost-write", FEW, CheckContext(finished_ns))
    values = case.parts.table["value"].to_pylist()
    ops = case.parts.table["op"].to_pylist()
    without = {
        "the record itself": [v != 2 for v in values],
        "a delivery, which loses another record": [
            (v, op) != (1, "poll") for v, op in zip(values, ops, strict=True)
        ],
        "a send, which leaves a delivery without one": [
            (v, op) != (3, "send") for v, op in zip(values, ops, strict=True)
        ],
    }
    for what, kept in without.items():
        assert not case.holds(np.array(kept)), what
    assert case.holds(np.array([v != 1 for v in values])), "a whole record may go"


def test_what_is_left_stays_valid_where_operations_lose_all_their_rows(write):
    rows, _ = write(
        "p0 send t/0 1@0\nc0 poll t/0 1@0\nc0 commit -> ok t/0=1\nc0 commit t/0=1 t/1=0"
    )
    found = parts(history.table(rows))
    left = found.build((found.place < 0) & (found.record < 0))
    assert history.validate(left) == ()
    told = [(r["op"], r["type"], r["topic"], r["offset"]) for r in left.to_pylist()]
    assert told == [
        ("poll", "invoke", None, None), ("poll", "ok", None, None),
        ("commit", "invoke", None, None), ("commit", "ok", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("needed", [(), (0,), (7,), (3, 4), (0, 50, 99), (1, 2, 3, 5, 8, 13)])
def test_ddmin_finds_what_is_needed_in_few_steps(needed):
    asked = []

    def holds(elements):
        asked.append(elements)
        return set(needed) <= set(elements)

    assert ddmin(range(100), holds) == needed
    assert len(asked) <= 1 + 14 * max(1, len(needed)) + 7


def test_ddmin_is_1_minimal_where_elements_need_each_other():
    def holds(elements):  # any even number of them, with the first
        return 0 in elements and len(elements) % 2 == 0

    kept = ddmin(range(20), holds)
    assert holds(kept)
    assert not any(holds(kept[:i] + kept[i + 1 :]) for i in range(len(kept)))
