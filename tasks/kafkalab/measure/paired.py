"""Is the candidate worse than the baseline by more than its bound? Pairs, looked at one by one.

Each pair is one fresh process of either build, run next to each other on the same cluster, so that
what the host does to one it does to the other. What is compared is log(candidate / baseline) per
pair: ratios multiply, and a host that is twice as slow moves both.

The decision is one of three, each against the *bound* and not against zero, because a proven
slow-down of 1 % is not what a gate at 15 % is for:

    confirmed regression  the whole confidence interval lies beyond the bound
    within bounds         the whole confidence interval lies on the good side of the bound
    undecided             it straddles the bound: run another pair, or report unknown

The interval is Student's t on the log ratios. It is looked at again after every pair, which would
let errors add up; so each look uses the constant nominal level of Pocock's group sequential test,
chosen such that over all looks together each wrong decision has a probability of at most 5 %:
"confirmed regression" when the truth is at the bound or better, and "within bounds" when it is at
the bound or worse. Pocock's constants assume evenly spaced looks; ours begin later (after
`pairs_min` pairs), so the looks agree more with each other and the true error is smaller. Normal
constants are turned into t quantiles by their nominal level, his own approximation for small n.

Error rates, measured by simulation (2,000 comparisons a row, 4 to 10 pairs, bound 15 %;
tests/unit/measure/test_paired.py repeats a part of it):

    noise a pair (sd of log ratio)       5 %      10 %     15 %     10 %, Student t(3)
    truth at the bound: called worse     4.2 %    4.2 %    4.2 %    3.9 %
    truth at the bound: called good      4.2 %    4.2 %    4.2 %    3.5 %
    equal builds: called worse           0        0        0        0
    equal builds: within bounds          100 %    99 %     83 %     98 %
    30 % slower: confirmed               100 %    100 %    93 %     99 %

What is missing to 100 % is undecided.

Dead ends: comparing medians of all runs without pairing (a drift of the host decides); a bootstrap
interval (at 4 to 10 pairs it covers too little; it cannot see beyond the sample's range).

Sources: S. J. Pocock, "Group sequential methods in the design and analysis of clinical trials",
Biometrika 64 (1977); C. Jennison, B. Turnbull, "Group Sequential Methods" (2000), table 2.1;
T. Kalibera, R. Jones, "Rigorous benchmarking in reasonable time", ISMM 2013 (ratio of means, the
process as the unit of repetition).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Decision = Literal["confirmed regression", "within bounds", "undecided"]

ERROR_MAX = 0.05  # of each wrong decision, over all looks

# looks → critical value whose overall one-sided error is 5 % (Jennison & Turnbull, table 2.1)
_POCOCK = (
    (1, 1.645), (2, 1.875), (3, 1.992), (4, 2.067), (5, 2.122), (6, 2.164), (7, 2.197),
    (8, 2.225), (9, 2.249), (10, 2.270), (11, 2.289), (12, 2.305), (15, 2.345), (20, 2.392),
)  # fmt: skip

_SD_MIN = 0.005  # ratios that agree to better than this agree by rounding, not by certainty


@dataclass(frozen=True)
class Comparison:
    """What the pairs so far say. Effects are candidate / baseline − 1: −0.1 is 10 % less."""

    decision: Decision
    effect: float  # geometric mean of the ratios, − 1
    low: float  # interval adjusted for the looks; each end is missed with at most 5 %
    high: float
    bound: float  # tolerated relative worsening
    pairs: int
    improved: bool  # the whole interval is better than the baseline; for information

    @property
    def summary(self) -> str:
        """One sentence for a person."""
        better = ", an improvement" if self.improved else ""
        return (
            f"{self.decision}: {self.effect:+.1%} against the baseline "
            f"({self.low:+.1%} to {self.high:+.1%}, {self.pairs} pairs, "
            f"bound {self.bound:.0%}{better})"
        )


def compare(
    candidate: Sequence[float],
    baseline: Sequence[float],
    *,
    bound: float,
    higher_is_better: bool,
    looks_max: int = 1,
) -> Comparison:
    """Compare pairs of measurements, in the order in which they ran.

    Args:
        candidate: one positive value a pair, any unit.
        baseline: the same, of the baseline build.
        bound: tolerated relative worsening, ≥ 0 (0.15: 15 %).
        higher_is_better: of the metric.
        looks_max: how often this comparison may be made at most, with one more pair each time.

    Raises:
        ValueError: lengths differ, fewer than two pairs, or a value that is not positive.
    """
    ratios = _log_ratios(candidate, baseline)
    pairs = len(ratios)
    deviation = max(float(np.std(ratios, ddof=1)), _SD_MIN)
    half = _critical_t(looks_max, pairs - 1) * deviation / math.sqrt(pairs)
    mean = float(np.mean(ratios))
    low, high = mean - half, mean + half
    # turn it so that negative is worse
    worst, best = (low, high) if higher_is_better else (-high, -low)
    edge = math.log1p(-bound) if higher_is_better else -math.log1p(bound)
    decision: Decision = "undecided"
    if best < edge:
        decision = "confirmed regression"
    elif worst > edge:
        decision = "within bounds"
    return Comparison(
        decision,
        math.expm1(mean),
        math.expm1(low),
        math.expm1(high),
        bound,
        pairs,
        improved=worst > 0,
    )


def _log_ratios(candidate: Sequence[float], baseline: Sequence[float]) -> np.ndarray:
    if len(candidate) != len(baseline) or len(candidate) < 2:
        raise ValueError(
            f"expected at least 2 pairs, found {len(candidate)} candidate and {len(baseline)} "
            "baseline values."
        )
    values = np.array([candidate, baseline], dtype=float)
    if not np.all(np.isfinite(values)) or np.any(values <= 0):
        raise ValueError(
            f"expected positive values, found {min(candidate)} (candidate) and {min(baseline)} "
            "(baseline) as the least: a run that did nothing cannot be compared."
        )
    ratios: np.ndarray = np.log(values[0] / values[1])
    return ratios


def _critical_t(looks_max: int, freedom: int) -> float:
    """Quantile of Student's t at the nominal level of one of `looks_max` looks."""
    from scipy import stats

    if looks_max > _POCOCK[-1][0]:
        level = ERROR_MAX / looks_max  # beyond the table: Bonferroni, which errs on the safe side
    else:
        looks, constants = zip(*_POCOCK, strict=True)
        level = float(stats.norm.sf(np.interp(max(1, looks_max), looks, constants)))
    return float(stats.t.isf(level, freedom))
