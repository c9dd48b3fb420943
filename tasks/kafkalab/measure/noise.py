"""Was the host quiet enough to measure on? The pure part: readings in, reasons out.

Three signs, each a share, none of which the subject causes by itself:

steal             CPU time that the hypervisor gave to somebody else, of all CPU time. The subject
                  cannot cause it; anything but a little makes times meaningless.
run queue         share of the time in which some runnable task waited for a CPU (Linux PSI,
                  /proc/pressure/cpu "some"). On a host that is full by design (brokers and load on
                  two cores) this is high in every run, so it has a bound only where one is given.
calibration       the same fixed loop, timed before and after (and in between, if one likes): how
                  far its slowest run is from its median. It sees frequency changes and noisy
                  neighbours that steal does not show.

A noisy run is unknown, not a result: whoever gates on it gates on the host.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class HostReadings:
    """One reading of the host. CPU times count since boot, over all CPUs."""

    time_s: float  # CLOCK_MONOTONIC
    steal_s: float
    waiting_s: float = 0.0  # time in which some task waited for a CPU; 0 where unknown
    calibration_s: tuple[float, ...] = ()  # durations of the fixed loop, run around this reading


@dataclass(frozen=True)
class HostNoise:
    """What happened between two readings, as shares; None where it is not known."""

    steal_ratio: float
    run_queue_ratio: float
    calibration_spread: float | None  # slowest / median − 1


@dataclass(frozen=True)
class Limits:
    """Above any of these a run is noisy; None: not judged."""

    steal_ratio: float | None = 0.05
    run_queue_ratio: float | None = None
    calibration_spread: float | None = 0.25


def between(before: HostReadings, after: HostReadings, cpus: int) -> HostNoise:
    """Noise between two readings.

    Args:
        before: the earlier reading.
        after: the later reading.
        cpus: how many CPUs the CPU times are summed over, ≥ 1.

    Raises:
        ValueError: `after` is not later than `before`.
    """
    elapsed = after.time_s - before.time_s
    if elapsed <= 0:
        raise ValueError(f"expected a later second reading, found {elapsed:g} s between them.")
    return HostNoise(
        steal_ratio=max(0.0, after.steal_s - before.steal_s) / (elapsed * cpus),
        run_queue_ratio=max(0.0, after.waiting_s - before.waiting_s) / elapsed,
        calibration_spread=_spread((*before.calibration_s, *after.calibration_s)),
    )


def noisy(noise: HostNoise, limits: Limits | None = None) -> tuple[str, ...]:
    """Reasons why a run on this host says nothing; empty when it was quiet enough."""
    limits = limits or Limits()
    signs = (
        ("CPU time stolen by the hypervisor", noise.steal_ratio, limits.steal_ratio),
        ("time with tasks waiting for a CPU", noise.run_queue_ratio, limits.run_queue_ratio),
        (
            "slowest calibration loop above the median",
            noise.calibration_spread,
            limits.calibration_spread,
        ),
    )
    return tuple(
        f"{what}: {value:.1%} (at most {limit:.0%})"
        for what, value, limit in signs
        if value is not None and limit is not None and value > limit
    )


def _spread(durations: Sequence[float]) -> float | None:
    if len(durations) < 3:
        return None
    return max(durations) / statistics.median(durations) - 1
