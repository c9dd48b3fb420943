"""The live form gives the verdicts of the batch form, wherever a history is cut."""

import random
from dataclasses import replace

import pytest

from kafkalab.checkers import history
from kafkalab.checkers.budget import Budget
from kafkalab.checkers.compose import judge
from kafkalab.checkers.live.judge import LIVE, Live
from kafkalab.model.history import CheckContext

EVERY = 3  # goldens: `make test-slow` has them all


def chosen(golden):
    """What the live form can find; what is legal is judged below, in longer histories."""
    return golden.claim in LIVE and golden.outcome == "fail"


def cut(table, pieces, seed):
    """The rows of a history in so many batches, cut at random places."""
    chosen = random.Random(seed).sample(range(1, len(table)), min(pieces, len(table)) - 1)
    ends = [*sorted(chosen), len(table)]
    starts = [0, *ends[:-1]]
    return [table.slice(start, end - start) for start, end in zip(starts, ends, strict=True)]


def live(rows, context, *, pieces=4, seed=1, **limits):
    with Live(context, LIVE, step_rows=1, **limits) as judge_:
        for batch in cut(history.table(rows), pieces, seed):
            judge_.fold(batch)
        return judge_.finish(context.finished_ns)


def told(verdicts):
    return [(v.claim, v.outcome, v.count, v.summary) for v in verdicts]


def test_it_judges_the_goldens_as_the_batch_form_does(golden):
    whole = judge(history.table(golden.rows), LIVE, golden.context)
    assert told(live(golden.rows, golden.context, pieces=3)) == told(whole)


class Log:
    """One partition, read by two groups; lines in the language of the goldens."""

    def __init__(self):
        self.lines = ["p0 open producer acks=-1 idempotence=true"]
        self.at = {}
        self.top = 0
        for group in "gh":
            self.join(f"{group}0", group)

    def join(self, name, group):
        self.lines += [
            f"{name} open consumer group={group} offset_reset=earliest",
            f"{name} subscribe t",
            f"{name} assigned t/0",
        ]

    def flow(self, count=12, groups=("g0", "h0")):
        """Send `count` records, two at a time, and read them."""
        for low in range(self.top, self.top + count, 2):
            words = " ".join(f"{n + 1}@{n}" for n in (low, low + 1))
            self.lines.append(f"p0 send t/0 {words}")
            self.lines += [f"{group} poll t/0 {words}" for group in groups]
        self.top += count

    def again(self, name, low, high):
        self.lines.append(f"{name} poll t/0 " + " ".join(f"{n + 1}@{n}" for n in range(low, high)))


def quiet(log):
    log.flow()


def given_again_long_after(log):
    log.again("g0", 3, 5)


def several_given_again_long_after(log):
    log.again("g0", 3, 9)


def several_given_again_once_resumed(log):
    log.lines += ["g0 pause t/0", "g0 resume t/0"]
    log.again("g0", 3, 9)


def one_left_out_while_paused(log):
    log.flow(groups=("h0",))
    log.again("g0", log.top - 12, log.top - 4)
    log.lines.append("g0 pause t/0")
    log.flow(groups=("h0",))
    log.lines.append("g0 resume t/0")
    log.again("g0", log.top - 15, log.top)


def given_again_by_another(log):
    log.lines += ["g0 kill", "+1s"]
    log.join("g1", "g")
    log.again("g1", log.top - 6, log.top)
    log.flow(groups=("g1", "h0"))


def another_value_long_after(log):
    log.lines.append("h0 poll t/0 900@4")


def a_value_elsewhere_long_after(log):
    log.lines += [
        "c9 open consumer offset_reset=earliest",
        "c9 assign t/1@0",
        "c9 poll t/1 4@0<t/1",
    ]


def duplicated_long_after(log):
    log.lines += [f"{group} poll t/0 4@{log.top}" for group in ("g0", "h0")]
    log.top += 1


def a_group_starts_from_the_beginning(log):
    log.join("i0", "i")
    log.again("i0", 0, 10)
    log.flow(groups=("g0", "h0"))
    log.again("i0", 10, log.top)
    log.flow(groups=("g0", "h0", "i0"))


def a_group_starts_and_leaves_one_out(log):
    log.join("i0", "i")
    log.again("i0", 0, 5)
    log.again("i0", 6, log.top)


def a_group_comes_back_and_leaves_some_out(log):
    log.lines.append("h0 close")
    log.flow(groups=("g0",))
    log.lines.append("h0 open consumer group=h offset_reset=earliest")
    log.lines += ["h0 subscribe t", "h0 assigned t/0"]
    log.again("h0", log.top - 3, log.top)


def a_group_comes_back_and_is_given_nothing(log):
    log.lines.append("h0 kill")
    log.flow(groups=("g0",))
    log.join("h1", "h")
    log.lines += ["h1 poll -> +60s ok", "g0 poll"]


def a_stall_that_ended(log):
    log.flow(groups=("h0",), count=4)
    log.lines += ["g0 poll -> +12s ok"]
    log.again("g0", log.top - 4, log.top)
    log.flow()


def one_waits_while_others_are_read(log):
    log.lines += ["h0 assigned t/1", "p0 send t/1 900@0"]
    for _ in range(8):
        log.lines += ["+2s", "h0 poll"]
        log.flow(count=4)
    log.lines.append("h0 poll t/1 900@0")


def sought_back(log):
    log.lines.append("g0 seek t/0@2")
    log.again("g0", 2, log.top)


def an_old_place_in_the_log(log):
    log.lines += ["p0 send t/0 800@1"]


def sent_out_of_order(log):
    n = log.top
    log.lines += [f"p0 send t/0 801@{n + 1}", f"p0 send t/0 800@{n}"]
    log.lines += [f"{group} poll t/0 800@{n} 801@{n + 1}" for group in ("g0", "h0")]
    log.top += 2


def lost(log):
    log.lines += [f"p0 send t/0 700@{log.top}", "p0 send t/0 701@info", "p0 send t/0 702@fail"]
    log.top += 1


def failed_but_read(log):
    log.lines += ["p0 send t/0 702@fail", f"g0 poll t/0 702@{log.top}"]
    log.top += 1


def story(write, happens):
    log = Log()
    log.flow()
    log.flow()
    happens(log)
    log.flow()
    rows, finished_ns = write("\n".join(log.lines))
    return rows, CheckContext(finished_ns, redelivery_allowed=happens is given_again_by_another)


HAPPENINGS = [
    quiet,
    given_again_long_after,
    several_given_again_long_after,
    several_given_again_once_resumed,
    one_left_out_while_paused,
    given_again_by_another,
    another_value_long_after,
    a_value_elsewhere_long_after,
    duplicated_long_after,
    a_group_starts_from_the_beginning,
    a_group_starts_and_leaves_one_out,
    a_group_comes_back_and_leaves_some_out,
    a_group_comes_back_and_is_given_nothing,
    a_stall_that_ended,
    one_waits_while_others_are_read,
    sought_back,
    an_old_place_in_the_log,
    sent_out_of_order,
    lost,
    failed_but_read,
]


@pytest.mark.parametrize("happens", HAPPENINGS, ids=lambda happens: happens.__name__)
def test_it_looks_back_at_what_was_settled(write, happens):
    rows, context = story(write, happens)
    whole = judge(history.table(rows), LIVE, context)
    assert told(live(rows, context, pieces=5)) == told(whole)


@pytest.mark.parametrize("happens", HAPPENINGS, ids=lambda happens: happens.__name__)
def test_asking_changes_nothing(write, happens):
    rows, context = story(write, happens)
    with Live(context, LIVE) as judge_:
        for batch in cut(history.table(rows), 5, 2):
            judge_.fold(batch)
            judge_.verdicts()
        found = judge_.finish(context.finished_ns)
    assert told(found) == told(judge(history.table(rows), LIVE, context))


def test_what_is_settled_is_not_held(write):
    log = Log()
    for _ in range(8):
        log.flow()
    rows, _ = write("\n".join(log.lines))
    with Live(CheckContext(0), LIVE, step_rows=1) as judge_:
        for batch in cut(history.table(rows), 6, 1):
            judge_.fold(batch)
        held = judge_.held_rows
        assert {v.outcome for v in judge_.verdicts() if v.claim != "hung-close"} == {"pass"}
    assert held < len(rows) / 2


def test_of_commits_between_assignments_the_highest_is_held(write):
    text = "c0 open consumer group=g\nc0 subscribe t\nc0 assigned t/0 t/1\n"
    text += "c0 commit t/0=1 t/1=1\nc0 commit -> fail t/0=9\nc0 commit t/0=2 t/1=1\n" * 9
    rows, _ = write(text + "c0 revoked t/0\nc0 assigned t/0\n" + "c0 commit t/0=3\n" * 9)
    with Live(CheckContext(0), LIVE) as judge_:
        for batch in cut(history.table(rows), 6, 1):
            judge_.fold(batch)
        judge_.verdicts()
        held = judge_._holding.store.rows(
            'SELECT "partition", "offset" FROM acts WHERE "op" = \'commit\' ORDER BY ALL'
        )
    assert held == [(0, 2), (0, 3), (1, 1)]


def test_before_the_end_nothing_is_unseen(write):
    rows, now_ns = write("p0 open producer\nc0 open consumer\np0 send t/0 1@0 2@1\nc0 poll t/0 1@0")
    with Live(CheckContext(0), ["unseen"]) as judge_:
        judge_.fold(history.table(rows))
        (so_far,) = judge_.verdicts()
        (at_end,) = judge_.finish(now_ns)
    assert (so_far.outcome, at_end.outcome) == ("unknown", "fail")
    assert "not over yet: 1 records" in so_far.summary


def test_a_record_may_arrive_before_its_send_does(write):
    rows, now_ns = write("c0 open consumer\np0 open producer\nc0 poll t/0 1@0")
    with Live(CheckContext(0), ["corrupt-value"]) as judge_:
        judge_.fold(history.table(rows))
        (so_far,) = judge_.verdicts()
        (at_end,) = judge_.finish(now_ns)
    assert (so_far.outcome, at_end.outcome) == ("unknown", "fail")


def test_beyond_its_limit_it_is_unknown_but_what_failed_stays_failed(write):
    log = Log()
    log.flow()
    log.again("g0", 1, 3)
    log.flow(groups=("h0",), count=40)
    rows, finished_ns = write("\n".join(log.lines))
    found = {v.claim: v for v in live(rows, CheckContext(finished_ns), held_rows_max=60)}
    assert found["delivered-twice"].outcome == "fail"
    assert found["lost-write"].outcome == "unknown"
    assert "out of budget" in found["lost-write"].summary


def test_having_given_up_it_holds_nothing(write):
    log = Log()
    log.flow(groups=("h0",), count=80)
    rows, finished_ns = write("\n".join(log.lines))
    with Live(CheckContext(finished_ns), LIVE, step_rows=1, held_rows_max=60) as judge_:
        for batch in cut(history.table(rows), 6, 1):
            judge_.fold(batch)
        assert judge_.reason
        assert judge_.held_rows == 0


def test_beyond_the_disk_it_is_allowed_it_is_unknown(write, monkeypatch):
    monkeypatch.setattr("kafkalab.checkers.live.segments.SEGMENT_ROWS", 1)
    log = Log()
    log.flow(count=40)
    rows, finished_ns = write("\n".join(log.lines))
    found = live(rows, CheckContext(finished_ns), budget=Budget(64 * 10**6, spill_bytes=1))
    assert {v.outcome for v in found} == {"unknown"}
    assert "1 B of disk" in found[0].summary


def test_nothing_is_left_on_disk(write, tmp_path, monkeypatch):
    monkeypatch.setattr("kafkalab.checkers.live.segments.SEGMENT_ROWS", 1)
    log = Log()
    log.flow(count=40)
    rows, _ = write("\n".join(log.lines))
    budget = Budget(64 * 10**6, spill_folder=str(tmp_path))
    with Live(CheckContext(0), LIVE, step_rows=1, budget=budget) as judge_:
        judge_.fold(history.table(rows))
        assert list(tmp_path.rglob("*.arrow"))
    assert list(tmp_path.iterdir()) == []


def test_what_it_can_no_longer_look_up_is_unknown(write, monkeypatch):
    monkeypatch.setattr("kafkalab.checkers.live.segments.SEGMENT_ROWS", 1)
    log = Log()
    for _ in range(4):
        log.flow()
    log.again("g0", 1, 3)
    rows, finished_ns = write("\n".join(log.lines))
    found = live(rows, CheckContext(finished_ns), pieces=8, settled_rows_max=10)
    assert {v.outcome for v in found} == {"unknown"}


BROKEN = {
    "out of sequence": lambda rows: [*rows[:3], *(replace(r, index=r.index + 1) for r in rows[3:])],
    "never invoked": lambda rows: [replace(r, op_id=99) if r.index == 5 else r for r in rows],
    "more than once": lambda rows: [replace(r, value=1) if r.op == "send" else r for r in rows],
    "clock steps back": lambda rows: [replace(r, time_ns=1) if r.index == 5 else r for r in rows],
    "type other": lambda rows: [replace(r, type="odd") if r.index == 5 else r for r in rows],
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_history_that_is_not_well_formed_is_unknown(write, text):
    rows, now_ns = write("p0 open producer\np0 send t/0 1@0 2@1\np0 send t/0 3@2\nc0 poll t/0 1@0")
    found = live(BROKEN[text](rows), CheckContext(now_ns))
    assert {v.outcome for v in found} == {"unknown"}
    assert text in found[0].summary


def test_no_rows_and_no_live_claim_are_unknown():
    with Live(CheckContext(0), ["stall", "commit-ahead"]) as judge_:
        found = judge_.finish(1)
    assert {v.outcome for v in found} == {"unknown"}
    assert "empty" in found[0].summary
    assert "whole of it" in found[1].summary
