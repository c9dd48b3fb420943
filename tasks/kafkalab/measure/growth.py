"""Does a series keep growing on its plateau? A robust slope, the same at 1 minute, 8 hours, 7 days.

Input: readings (time in seconds, value) of one resource of one process. What lies before `start`
is warm-up, what lies after `end` is idle (the load has stopped, and with it most leaks): neither
is looked at. The plateau is cut into BLOCKS stretches of equal length and each is
reduced to its median: so a minute and a week are the same test, a spike is one reading among
many, and neighbouring readings, which repeat each other (a resident set hardly moves within a
second), do not count as independent evidence.

`leak` fails when all of this holds:

1. growth is not noise: the Theil-Sen slope over the blocks is above zero with its 99 % interval
   (Sen's distribution-free interval from Kendall's tau);
2. it is spread over the plateau: from each quarter to the next the median rises by at least
   SPREAD_MIN of the mean rise. A step (a buffer that was allocated once) rises in one place; the
   teeth of a garbage collector fall again; a random walk seldom does this;
3. it does not slow down: the second half grows at no less than STEADY_MIN of the rate of the first.
   A warm-up that reaches into the plateau slows down, a leak does not;
4. it is material: the slope's lower bound, projected over an hour (or the plateau's own length,
   where that is longer), is at least MATERIAL_RATIO of the level and at least `floor`.

It is unknown with fewer than SAMPLES_MIN readings or less than SPAN_S_MIN seconds. Growth that
stops at 2 or 3 passes, and the summary says that it was seen.

What it cannot tell: a warm-up longer than the plateau, or a garbage collector whose teeth are
longer than the plateau, from a leak. That takes a longer run, and the same test then.

Error rates by simulation (48 s at 2 Hz; more in tests/unit/measure/test_growth.py): red in none of
150 plateaus with white noise, one step, a warm-up ramp, or saw-teeth up to half the plateau; in
3 % of random walks; a leak of 1 % a minute is red in 99 % with noise of 0.05 % of the level.

Dead ends: least squares on all readings (one step or tooth gives t values of 20, since neighbours
are not independent); comparing the first minute with the last (a step is a leak then).

Sources: P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63
(1968); R. Hirsch, J. Slack, "A nonparametric trend test for seasonal data with serial dependence",
Water Resources Research 20 (1984), for blocks against serial dependence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kafkalab.model.verdict import ClaimVerdict, Outcome

BLOCKS = 12
SAMPLES_MIN = 36  # three a block
SPAN_S_MIN = 20.0
CONFIDENCE = 0.99
SPREAD_MIN = 0.4
STEADY_MIN = 0.7
MATERIAL_RATIO = 0.05
HORIZON_S = 3600.0
FLOOR_BYTES = 8 * 1024 * 1024

_CLAIM = "leak"


@dataclass(frozen=True)
class Growth:
    """Growth of a series on its plateau, in units of the value and seconds."""

    slope: float  # per second, Theil-Sen over the blocks
    low: float  # 99 % interval of the slope
    high: float
    level: float  # median of the first block
    span_s: float
    spread: float  # least rise between quarters / mean rise
    steadiness: float  # slope of the second half / of the first; inf when the first did not grow

    @property
    def projected(self) -> float:
        """Growth at the lower bound of the slope over an hour, or the span where longer."""
        return self.low * max(HORIZON_S, self.span_s)


class Leak(NamedTuple):
    """The verdict, and the slope per second that the metric reports."""

    verdict: ClaimVerdict
    slope: float


def slope(
    times: Sequence[float], values: Sequence[float], start: float, end: float | None = None
) -> Growth | None:
    """Growth from `start` to `end`; None when there is too little to say.

    Args:
        times: seconds, ascending; any origin.
        values: one reading each, finite.
        start: end of the warm-up, on the same clock.
        end: end of the load, on the same clock; None: the last reading.

    Raises:
        ValueError: lengths differ or a value is not finite.
    """
    from scipy import stats

    t, y = np.asarray(times, dtype=float), np.asarray(values, dtype=float)
    if t.shape != y.shape or not (np.all(np.isfinite(t)) and np.all(np.isfinite(y))):
        raise ValueError(f"expected finite pairs, found {t.size} times and {y.size} values.")
    loaded = (t >= start) & (t <= (np.inf if end is None else end))
    t, y = t[loaded], y[loaded]
    if t.size < SAMPLES_MIN or t[-1] - t[0] < SPAN_S_MIN:
        return None
    blocks = _blocks(t, y, BLOCKS)
    if len(blocks) < BLOCKS:
        return None  # a hole in the readings
    fit = stats.theilslopes(blocks[:, 1], blocks[:, 0], alpha=CONFIDENCE)
    quarters = np.diff(_blocks(t, y, 4)[:, 1])
    half = BLOCKS // 2
    first, second = (
        float(stats.theilslopes(part[:, 1], part[:, 0]).slope)
        for part in (blocks[:half], blocks[half:])
    )
    mean_rise = float(np.mean(quarters))
    return Growth(
        slope=float(fit.slope),
        low=float(fit.low_slope),
        high=float(fit.high_slope),
        level=float(blocks[0, 1]),
        span_s=float(t[-1] - t[0]),
        spread=float(np.min(quarters)) / mean_rise if mean_rise > 0 else 0.0,
        steadiness=second / first if first > 0 else float("inf"),
    )


def leak(
    times: Sequence[float],
    values: Sequence[float],
    start: float,
    *,
    what: str,
    end: float | None = None,
    floor: float = FLOOR_BYTES,
) -> Leak:
    """Judge the claim `leak` on one series.

    Args:
        times: seconds, ascending; any origin.
        values: readings, in bytes unless `floor` says otherwise.
        start: end of the warm-up, on the same clock.
        what: the series, for the summary ("consumer process").
        end: end of the load, on the same clock; None: the last reading.
        floor: projected growth below this is never material, in units of the values.
    """
    found = slope(times, values, start, end)
    if found is None:
        count = sum(start <= time <= (end or time) for time in times)
        text = (
            f"{what}: {count} readings under load after the warm-up; expected at least "
            f"{SAMPLES_MIN} over {SPAN_S_MIN:g} s without a hole"
        )
        return Leak(ClaimVerdict(_CLAIM, Outcome.UNKNOWN, 0, text), 0.0)
    material = found.projected >= max(floor, MATERIAL_RATIO * found.level)
    steady = found.spread >= SPREAD_MIN and found.steadiness >= STEADY_MIN
    red = found.low > 0 and material and steady
    note = "" if red or found.low <= 0 or not material else ", in steps or slowing down: no leak"
    text = (
        f"{what}: {found.slope * 60 / max(found.level, 1e-9):+.2%} per minute of "
        f"{found.level:,.0f} over {found.span_s:,.0f} s (99 % interval "
        f"{found.low * 60:+,.0f} to {found.high * 60:+,.0f} per minute){note}"
    )
    evidence = {"series": what, **found.__dict__, "projected": found.projected}
    evidence["steadiness"] = min(found.steadiness, 1e9)  # JSON knows no infinity
    outcome = Outcome.FAIL if red else Outcome.PASS
    return Leak(ClaimVerdict(_CLAIM, outcome, int(red), text, (evidence,)), found.slope)


def _blocks(t: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """(middle, median) of each of `count` stretches of equal length that holds readings."""
    edges = np.linspace(t[0], t[-1], count + 1)
    place = np.clip(np.searchsorted(edges, t, side="right") - 1, 0, count - 1)
    middles = (edges[:-1] + edges[1:]) / 2
    filled = np.unique(place)
    return np.array([(middles[b], np.median(y[place == b])) for b in filled])
