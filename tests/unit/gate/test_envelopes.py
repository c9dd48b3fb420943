"""Lanes, bounds in words, and which bounds can be used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkalab.gate.envelopes import against, bound_in_words, client_line, lane_of, usable, warn_at
from kafkalab.model.run import Bound

THROUGHPUT = "produce_records_per_s_median"


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        ("confluent-kafka@2.16.1", "confluent-kafka@2.16"),
        ("sarama@v1.46.2", "sarama@1.46"),
        ("kafka-clients@4.0.0-rc1", "kafka-clients@4.0"),
        ("confluent-kafka@main", "confluent-kafka@main"),
        ("defect:drop", "defect:drop"),
    ],
)
def test_a_client_line_is_major_and_minor(subject, line):
    assert client_line(subject) == line


def _lane(world, planned, reported):
    cells = world.run.cells["benchmark/pinned"]
    cell = replace(cells[0], clients=planned)
    run = replace(world.run, cells={"benchmark/pinned": (cell,)})
    return lane_of(run, replace(world.cell("P04"), cell=cell.id, clients=reported)).client_line


def test_a_lane_is_of_what_was_loaded(world):
    assert _lane(world, ("confluent-kafka@main",), ("confluent-kafka@2.17.0",)) == (
        "confluent-kafka@2.17"
    )


def test_the_baseline_build_of_a_pair_is_not_part_of_the_lane(world):
    reported = ("confluent-kafka@2.11.1", "confluent-kafka@2.16.1")
    assert _lane(world, reported[:1], reported) == "confluent-kafka@2.11"


def test_a_planted_defect_never_shares_the_lane_of_the_client_that_it_wraps(world):
    assert _lane(world, ("defect:slow-down",), ("confluent-kafka@2.16.1",)) == "defect:slow-down"


def test_clients_of_one_group_share_a_lane_in_any_order(world):
    both = ("sarama@1.46.2", "kafka-clients@4.3.1")
    assert _lane(world, both, both) == _lane(world, both[::-1], both)
    assert _lane(world, both, both) == "kafka-clients@4.3+sarama@1.46"


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (
            Bound(THROUGHPUT, "P02", 141_176.0, 120_000.0, None),
            "≥ 120,000 records/s (−15 % of 141,176)",
        ),
        (Bound("latency_ms_p99", "P04", 10.0, None, 12.0), "≤ 12 ms (+20 % of 10)"),
        (Bound("latency_ms_p99", "P04", 0.0, None, 12.0), "≤ 12 ms"),
    ],
)
def test_a_bound_is_said_in_words(bound, words):
    assert bound_in_words(bound) == words


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (Bound(THROUGHPUT, "P02", 10.0, 8.0, None), True),
        (Bound(THROUGHPUT, "P02", 10.0, 8.0, 12.0), True),
        (Bound(THROUGHPUT, "P02", 10.0, None, 12.0), False),
        (Bound(THROUGHPUT, "P02", 10.0, float("nan"), None), False),
        (Bound(THROUGHPUT, "P02", float("inf"), 8.0, None), False),
        (Bound("latency_ms_p99", "P04", 10.0, 8.0, None), False),
        (Bound("latency_ms_p99", "P04", 10.0, None, 12.0), True),
        (Bound("no_such_metric", "P04", 10.0, 8.0, 12.0), False),
    ],
)
def test_a_bound_is_usable_when_it_has_the_side_that_matters(bound, expected):
    assert usable(bound) is expected


def test_only_throughput_warns():
    assert warn_at(Bound(THROUGHPUT, "P02", 100.0, 85.0, None)) == 92.0
    assert warn_at(Bound("latency_ms_p99", "P04", 10.0, None, 12.0)) is None


@pytest.mark.parametrize(
    ("value", "baseline", "words"),
    [
        (98_824.0, 141_176.0, "30 % below the baseline of 141,176"),
        (12.5, 10.0, "25 % above the baseline of 10"),
        (3.0, 0.0, "the baseline is 0"),
    ],
)
def test_a_value_is_set_against_its_baseline(value, baseline, words):
    assert against(value, baseline) == words
