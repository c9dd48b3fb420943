"""The decision, and its error rates by simulation: those that the docstring of paired.py claims."""

import math
from collections import Counter

import numpy as np
import pytest

from kafkalab.measure import paired

LOOKS = range(4, 11)  # 4 to 10 pairs


def compare(candidate, baseline, **changes):
    return paired.compare(
        candidate, baseline, **{"bound": 0.15, "higher_is_better": True, **changes}
    )


def test_a_clear_slow_down_is_a_regression():
    found = compare([70, 71, 69, 70], [100, 101, 100, 99])
    assert found.decision == "confirmed regression"
    assert found.effect == pytest.approx(-0.3, abs=0.01)
    assert found.low < found.effect < found.high < -0.15
    assert "confirmed regression: -30.0%" in found.summary


def test_equal_builds_are_within_bounds():
    found = compare([100, 99, 101, 100], [100, 101, 100, 99])
    assert (found.decision, found.improved) == ("within bounds", False)


def test_more_is_an_improvement_only_where_more_is_better():
    more, less = [130, 131, 129, 130], [100, 101, 100, 99]
    assert compare(more, less).improved
    worse = compare(more, less, higher_is_better=False)
    assert (worse.decision, worse.improved) == ("confirmed regression", False)


def test_a_slow_down_within_the_bound_is_no_regression_though_it_is_certain():
    assert compare([95, 95.1, 94.9, 95], [100] * 4).decision == "within bounds"


def test_a_drift_of_the_host_does_not_decide():
    drift = [100, 60, 30, 15]
    assert compare([d * 0.99 for d in drift], drift).decision == "within bounds"


def test_noise_is_undecided():
    assert compare([60, 140, 80, 120], [100] * 4).decision == "undecided"


def test_many_looks_ask_for_more():
    one = compare([80, 83, 77, 80], [100] * 4, looks_max=1)
    many = compare([80, 83, 77, 80], [100] * 4, looks_max=20)
    assert many.high - many.low > one.high - one.low
    beyond = compare([80, 83, 77, 80], [100] * 4, looks_max=21)
    assert beyond.high - beyond.low > many.high - many.low


@pytest.mark.parametrize(
    ("candidate", "baseline", "message"),
    [
        ([1.0], [1.0], "at least 2 pairs"),
        ([1.0, 2.0], [1.0], "at least 2 pairs"),
        ([1.0, 0.0], [1.0, 1.0], "positive"),
        ([1.0, math.nan], [1.0, 1.0], "positive"),
    ],
)
def test_what_cannot_be_compared_is_refused(candidate, baseline, message):
    with pytest.raises(ValueError, match=message):
        compare(candidate, baseline)


def simulate(effect, noise, runs=600):
    """How sequential comparisons of builds end whose true effect is `effect`."""
    rng = np.random.default_rng(7)
    ends = Counter()
    for _ in range(runs):
        ratios = (1 + effect) * np.exp(noise(rng, LOOKS[-1]))
        for pairs in LOOKS:
            decision = compare(ratios[:pairs], np.ones(pairs), looks_max=len(LOOKS)).decision
            if decision != "undecided":
                break
        ends[decision] += 1
    return {name: ends[name] / runs for name in ("confirmed regression", "within bounds")}


def normal(sd):
    return lambda rng, n: sd * rng.standard_normal(n)


def heavy(sd):
    return lambda rng, n: sd * rng.standard_t(3, n) / math.sqrt(3)


@pytest.mark.parametrize("noise", [normal(0.05), normal(0.15), heavy(0.1)])
def test_each_wrong_decision_is_rarer_than_claimed(noise):
    at_the_bound = simulate(-0.15, noise)
    assert at_the_bound["confirmed regression"] <= paired.ERROR_MAX + 0.02
    assert at_the_bound["within bounds"] <= paired.ERROR_MAX + 0.02


def test_equal_builds_are_never_red_and_a_third_slower_always_is():
    equal = simulate(0.0, normal(0.07))
    assert equal["confirmed regression"] == 0
    assert equal["within bounds"] >= 0.97
    slower = simulate(-0.3, normal(0.07))
    assert slower["within bounds"] == 0
    assert slower["confirmed regression"] >= 0.97
