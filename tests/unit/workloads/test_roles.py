"""What the roles count, and the arithmetic that loops are judged by."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from kafkalab.model.cluster import ProcessStats
from kafkalab.model.errors import UsageError
from kafkalab.model.verdict import Outcome
from kafkalab.workloads import hot_partition, loops, roles
from kafkalab.workloads.client import UnansweredError
from kafkalab.workloads.commits import Load as CommitLoad
from kafkalab.workloads.commits import next_offsets


def record(partition: int, offset: int):
    return ["t", partition, offset, 1, 64, None, partition, 0]


def test_delivered_reaches_an_end_by_its_last_offset_not_by_a_count():
    delivered = roles.Delivered()
    assert delivered.add([record(0, 0), record(0, 2), record(1, 5)]) == 3
    assert delivered.reached({("t", 0): 3, ("t", 1): 6})
    assert not delivered.reached({("t", 0): 4})
    assert delivered.reached({("t", 2): 0})


def test_nothing_delivered_is_no_progress():
    delivered = roles.Delivered()
    before = delivered.moved_at
    assert delivered.add([]) == 0
    assert delivered.moved_at == before


@pytest.mark.parametrize(
    ("connections", "expected"), [(4, {"fetched_bytes_per_delivered_byte": 2.5}), (-1, {})]
)
def test_fetched_bytes_are_compared_with_the_values_where_connections_are_seen(
    connections, expected
):
    delivered = roles.Delivered()
    stats = ProcessStats(1, 1, 0.1, 1, 1, 1, 160, 50, connections)
    lab = SimpleNamespace(host=SimpleNamespace(stats=lambda _driver: stats))
    assert roles.fetched(lab, ["d0", "d1"], delivered) == {}  # nothing delivered: no ratio
    delivered.add([record(0, 0), record(0, 1)])
    assert roles.fetched(lab, ["d0", "d1"], delivered) == expected


def test_the_next_offset_of_a_poll_is_one_beyond_its_last():
    assert next_offsets([record(0, 3), record(1, 9), record(0, 4)]) == [("t", 0, 5), ("t", 1, 10)]


def totals(**changes) -> loops.Totals:
    base = {
        "records": 100, "bytes": 1, "errors": 0, "corrupt": 0, "out_of_order": 0, "value_sum": 4950,
        "seconds": 2.0, "gap_ms_max": 5.0, "latency_us": None,
    }  # fmt: skip
    return loops.Totals(**{**base, **changes})


def red(produced: loops.Totals, consumed: loops.Totals) -> dict[str, int]:
    claims = loops.accounting(loops.Pair(produced, consumed))
    return {c.claim: c.count for c in claims if c.outcome is Outcome.FAIL}


@pytest.mark.parametrize(
    ("consumed", "expected"),
    [
        ({}, {}),
        ({"records": 98}, {"unseen": 2}),
        ({"records": 103}, {"duplicate": 3}),
        ({"value_sum": 4951}, {"unseen": 1, "duplicate": 1}),
        ({"corrupt": 4}, {"corrupt-value": 4}),
        ({"gap_ms_max": 10_001.0}, {"stall": 1}),
        ({"gap_ms_max": 9_999.0}, {}),
    ],
)
def test_accounting_names_what_the_loops_lost(consumed, expected):
    assert red(totals(), totals(**consumed)) == expected


def test_a_rate_is_over_the_whole_loop():
    assert totals().rate == 50.0


def test_an_unknown_commit_mode_is_refused():
    with pytest.raises(UsageError, match="unknown 'sometimes'"):
        CommitLoad(("sync", "sometimes"), 10, 100, 1, 10)


def test_fairness_is_the_least_share_of_what_could_be_expected():
    load = hot_partition.Load(30_000, 3_000, 3, 500, 200, 100, 0.1)
    assert hot_partition._ratio(load, {0: 10_500, 1: 3_000, 2: 3_000, 3: 3_000}) == 1.0
    assert hot_partition._ratio(load, {0: 19_400, 1: 50, 2: 25, 3: 25}) == pytest.approx(25 / 3_000)


def test_a_group_is_waited_for_until_each_member_has_something(monkeypatch):
    monkeypatch.setattr(roles, "JOIN_S", 0.2)
    monkeypatch.setattr(roles, "SETTLE_S", 0.1)
    owned = {"c0": [["t", 0]], "c1": []}
    waits = []
    recorder = SimpleNamespace(owned=owned.get, wait=waits.append)
    lab = SimpleNamespace(recorder=recorder, mark=lambda _: None, check_time=lambda: None)
    members = [SimpleNamespace(name="c0"), SimpleNamespace(name="c1")]
    roles.wait_for_shares(lab, members)
    assert waits  # and it gave up: the history tells what was lacking
    owned["c1"] = [["t", 1]]
    waits.clear()
    roles.wait_for_shares(lab, members)
    assert waits == []


def test_who_never_comes_back_from_a_poll_ends_its_own_reading_only():
    said = []

    def poll(_most, _wait):
        raise UnansweredError("c0: 'poll' was not answered")

    lab = SimpleNamespace(check_time=lambda: None, progress=said.append)
    client = SimpleNamespace(poll=poll)
    assert roles.consume(lab, client, roles.Delivered(), threading.Event(), 10) == 0
    assert said == ["c0: 'poll' was not answered"]


def test_a_drain_is_as_patient_as_it_is_told():
    delivered = roles.Delivered()
    admin = SimpleNamespace(end_offsets=lambda _topic, _count: {0: 1})
    lab = SimpleNamespace(check_time=lambda: None, admin=admin)
    began = time.monotonic()
    assert not roles.drain(lab, delivered, "t", 1, patience_s=0.6)
    assert 0.5 < time.monotonic() - began < 5
    delivered.add([record(0, 0)])
    assert roles.drain(lab, delivered, "t", 1, patience_s=0.6)
