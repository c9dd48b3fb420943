import pytest

from kafkalab.measure import rates


def sample(records, interval_s=1.0, **more):
    return {"records": records, "bytes": records * 100, "interval_s": interval_s, **more}


def test_ramp_up_and_the_last_partial_second_do_not_count():
    samples = [sample(10), sample(500), sample(1000), sample(1010), sample(990), sample(3, 0.1)]
    assert rates.median_rate(samples) == 1000
    assert rates.median_rate(samples, "bytes") == 100_000


def test_a_rate_is_per_second():
    assert rates.median_rate([sample(50, 0.5)] * 10) == 100


@pytest.mark.parametrize("samples", [[], [sample(100)], [sample(100, 0.0)] * 5])
def test_nothing_left_is_none(samples):
    assert rates.median_rate(samples) is None


def test_the_longest_gap():
    assert rates.gap_ms_max([sample(1, gap_ms_max=5), sample(1, gap_ms_max=90.5)]) == 90.5
    assert rates.gap_ms_max([sample(0, gap_ms_max=None)]) is None


def test_partition_counts_add_up():
    found = rates.partition_counts(
        [sample(3, partitions={"t/0": 1, "t/1": 2}), sample(4, partitions={"t/0": 4}), sample(0)]
    )
    assert found == {"t/0": 5, "t/1": 2}


def test_a_starved_partition_fails_and_is_named():
    verdict = rates.starved({"t/0": 1000, "t/1": 900, "t/2": 3}, 0.5)
    assert (verdict.outcome, verdict.count) == ("fail", 1)
    assert verdict.evidence[0]["partition"] == "t/2"


def test_who_was_given_all_there_was_is_not_starved():
    counts = {"t/0": 1000, "t/1": 900, "t/2": 30}
    assert rates.starved(counts, 0.5, {"t/0": 5000, "t/1": 5000, "t/2": 30}).outcome == "pass"
    assert rates.starved(counts, 0.5, {"t/0": 5000, "t/1": 5000, "t/2": 400}).outcome == "fail"


@pytest.mark.parametrize(
    ("counts", "bound"), [({"t/0": 100, "t/1": 100}, 0.0), ({"t/0": 5, "t/1": 5}, 0.5), ({}, 0.5)]
)
def test_too_little_is_unknown(counts, bound):
    assert rates.starved(counts, bound).outcome == "unknown"
