"""Acceptances are numbered without gaps, exactly one of several at once wins, and none is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from kafkalab.artifacts import baselines, keys
from kafkalab.artifacts.store import Conflict, StoreError, to_json
from kafkalab.model.errors import UsageError
from kafkalab.model.run import Bound, Envelope, Lane

pytestmark = pytest.mark.system

LANE = Lane("kafka_smoke", "kafka@3.9.2", "confluent-kafka@2.16", "process", "linux-x86_64-2c-24g")
BOUND = Bound("produce_records_per_s_median", "P02", 100.0, 85.0, None)
PROPOSAL = Envelope(LANE, 0, (BOUND,), ("runs/a/",), "", "", "")


def test_a_lane_begins_without_a_baseline(store):
    assert baselines.current(store, LANE) is None
    assert baselines.history(store, LANE) == []


def test_acceptances_follow_each_other(store):
    first = baselines.accept(store, PROPOSAL, "ada", "first night")
    second = baselines.accept(store, replace(PROPOSAL, number=99), "bob", "new disks")
    assert (first.number, first.accepted_by, first.why) == (1, "ada", "first night")
    assert (second.number, second.bounds) == (2, (BOUND,))
    assert first.accepted_at < second.accepted_at
    found = baselines.current(store, LANE)
    assert found is not None
    assert found.envelope == second
    assert found.etag == store.get_with_etag(keys.baseline_current(LANE)).etag
    assert baselines.history(store, LANE) == [first, second]
    assert baselines.current(store, replace(LANE, engine="docker")) is None


def test_history_is_in_order_of_number(store):
    for n in range(11):
        baselines.accept(store, PROPOSAL, "ada", f"{n}")
    assert [e.number for e in baselines.history(store, LANE)] == list(range(1, 12))


def test_of_many_acceptances_at_once_each_is_in_force_or_refused(store):
    barrier = threading.Barrier(8)

    def accept(n: int) -> Envelope | Conflict:
        barrier.wait()
        try:
            return baselines.accept(store, PROPOSAL, f"person {n}", "at once")
        except Conflict as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(accept, range(8)))
    accepted = sorted((r for r in results if isinstance(r, Envelope)), key=lambda e: e.number)
    refused = [r for r in results if isinstance(r, Conflict)]
    assert refused, "nobody met anybody: the test shows nothing"
    assert all("Yours was not stored" in str(r) for r in refused)
    assert baselines.history(store, LANE) == accepted
    assert [e.number for e in accepted] == list(range(1, len(accepted) + 1))
    found = baselines.current(store, LANE)
    assert found is not None
    assert found.envelope == accepted[-1]


def test_who_dies_between_history_and_current_has_accepted(store):
    first = baselines.accept(store, PROPOSAL, "ada", "first")
    second = replace(first, number=2, accepted_by="bob")
    store.put_json(keys.baseline_entry(LANE, 2), second.to_dict())  # and bob's process is gone
    found = baselines.current(store, LANE)
    assert found is not None
    assert found.envelope == second
    third = baselines.accept(store, PROPOSAL, "eve", "third")
    assert third.number == 3
    assert store.get_json(keys.baseline_current(LANE))["number"] == 3
    assert [e.accepted_by for e in baselines.history(store, LANE)] == ["ada", "bob", "eve"]


@pytest.mark.parametrize(
    ("proposal", "who", "why", "message"),
    [
        (PROPOSAL, " ", "why", "who accepts"),
        (PROPOSAL, "ada", "", "who accepts"),
        (replace(PROPOSAL, bounds=()), "ada", "why", "at least one bound"),
        (replace(PROPOSAL, bounds=(replace(BOUND, lower=None),)), "ada", "why", "P02 produce"),
        (replace(PROPOSAL, bounds=(replace(BOUND, upper=1.0),)), "ada", "why", "lower ≤ upper"),
        (replace(PROPOSAL, bounds=(replace(BOUND, lower=float("nan")),)), "ada", "why", "finite"),
        (replace(PROPOSAL, bounds=(replace(BOUND, baseline=float("inf")),)), "a", "w", "finite"),
    ],
)
def test_what_would_judge_nothing_is_refused(store, proposal, who, why, message):
    with pytest.raises(UsageError, match=message):
        baselines.accept(store, proposal, who, why)
    assert baselines.history(store, LANE) == []


def test_a_damaged_baseline_is_named(store):
    store.put_if(keys.baseline_current(LANE), to_json({"lane": 1}), None)
    with pytest.raises(StoreError, match=r"current\.json: expected an accepted envelope"):
        baselines.current(store, LANE)
