"""What a run may propose as a baseline, and what may be accepted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkalab.gate.envelopes import lane_of
from kafkalab.gate.proposals import accept, check_acceptance, propose
from kafkalab.model.errors import UsageError
from kafkalab.model.run import Bound
from kafkalab.model.verdict import Outcome


@pytest.fixture
def lane(world):
    return lane_of(world.run, world.cell("P04"))


@pytest.fixture
def proposal(world, lane):
    return propose(world.run, world.cells, lane, None)


def test_bounds_are_open_on_the_side_that_needs_no_permission(world, lane):
    world.change("P04", metrics={"latency_ms_p99": 10.0, "consume_records_per_s_median": 200.0})
    bounds = propose(world.run, world.cells, lane, None).bounds
    assert bounds == (
        Bound("consume_records_per_s_median", "P04", 200.0, 170.0, None),
        Bound("latency_ms_p99", "P04", 10.0, None, 12.0),
    )


def test_a_metric_without_a_default_threshold_is_not_proposed(proposal):
    assert "close_ms_max" not in {b.metric for b in proposal.bounds}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0, None])
def test_a_value_that_bounds_nothing_is_not_proposed(world, lane, value):
    world.change("P04", metrics={"latency_ms_p99": value})
    assert propose(world.run, world.cells, lane, None) is None


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.UNKNOWN])
def test_a_red_cell_does_not_speak_for_its_lane(world, lane, outcome):
    world.change("P04", outcome=outcome)
    assert propose(world.run, world.cells, lane, None) is None


def test_a_planted_defect_does_not_speak_even_for_its_own_lane(world):
    cell = replace(world.run.cells["benchmark/pinned"][0], clients=("defect:slow-down",))
    run = replace(world.run, cells={"benchmark/pinned": (cell,)})
    verdict = world.change("P04", cell=cell.id)
    assert propose(run, [verdict], lane_of(run, verdict), None) is None


def test_a_cell_of_another_lane_does_not_speak(world, lane):
    assert propose(world.run, world.cells, replace(lane, engine="docker"), None) is None


def test_of_two_patch_releases_the_worse_one_is_the_baseline(world, lane):
    planned = world.run.cells["benchmark/pinned"][0]
    other = replace(planned, clients=("confluent-kafka@2.16.0",))
    run = replace(world.run, cells={"benchmark/pinned": (planned, other)})
    first = world.change("P04", metrics={"latency_ms_p99": 10.0})
    second = replace(first, cell=other.id, clients=other.clients, metrics={"latency_ms_p99": 11.0})
    (bound,) = propose(run, [first, second], lane, None).bounds
    assert bound.baseline == 11.0


def test_earlier_bounds_of_what_was_not_measured_are_carried_over(world, lane, proposal):
    accepted = accept(proposal, None, "me", "good", "2026-01-03T00:00:00+00:00")
    world.change("P04", metrics={"latency_ms_p99": 5.0})
    later = propose(replace(world.run, prefix="runs/later/"), world.cells, lane, accepted)
    assert later.number == 2
    assert {b.metric: b.baseline for b in later.bounds} == {
        "latency_ms_p99": 5.0,
        "rss_bytes_max": 1e8,
    }
    assert later.runs == ("runs/now/", "runs/later/")
    assert (later.accepted_by, later.why) == ("", "")


def test_when_all_is_measured_anew_only_the_new_run_is_named(world, lane, proposal):
    later = propose(replace(world.run, prefix="runs/later/"), world.cells, lane, proposal)
    assert later.runs == ("runs/later/",)


def test_an_accepted_envelope_says_who_why_and_when(proposal):
    accepted = accept(proposal, None, " me ", " first good night ", "2026-01-03T00:00:00+00:00")
    assert (accepted.accepted_by, accepted.why) == ("me", "first good night")
    assert accepted.bounds == proposal.bounds


@pytest.mark.parametrize(
    ("who", "why", "key"),
    [("", "w", "accepted_by"), (" ", "w", "accepted_by"), ("me", "\n", "why")],
)
def test_without_who_or_why_nothing_is_accepted(proposal, who, why, key):
    with pytest.raises(UsageError, match=f"^{key}: expected"):
        accept(proposal, None, who, why, "2026-01-03T00:00:00+00:00")


def _broken(proposal, **changes):
    signed = accept(proposal, None, "me", "good", "2026-01-03T00:00:00+00:00")
    return replace(signed, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": ()}, "at least one bound"),
        ({"runs": ()}, "the runs that it came from"),
        ({"number": 3}, "expected number 1, found 3"),
        ({"accepted_at": "yesterday"}, "ISO 8601"),
        ({"bounds": (Bound("latency_ms_p99", "P04", 1.0, None, None),)}, "finite bound"),
        ({"bounds": (Bound("latency_ms_p99", "P04", 1.0, None, 2.0),) * 2}, "found two"),
    ],
)
def test_what_could_judge_nothing_is_not_accepted(proposal, changes, message):
    with pytest.raises(UsageError, match=message):
        check_acceptance(_broken(proposal, **changes), None)


def test_an_envelope_replaces_only_the_one_before_it_in_its_own_lane(proposal, lane):
    current = accept(proposal, None, "me", "good", "2026-01-03T00:00:00+00:00")
    second = replace(current, number=2)
    check_acceptance(second, current)
    with pytest.raises(UsageError, match="expected one for lane"):
        check_acceptance(replace(second, lane=replace(lane, engine="docker")), current)
    with pytest.raises(UsageError, match="the lane has moved on"):
        check_acceptance(current, current)
