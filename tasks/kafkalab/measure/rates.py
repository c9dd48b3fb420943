"""Rates, gaps and fairness from the samples that loops report once a second.

A loop's average over everything mixes its start (connections, first fetches, compilation) and its
last partial second into the number. The rate here is the median over whole seconds after the
ramp-up: what the loop held, not what it began or ended with.

Fairness is judged against what a partition could have had: its expected share is the mean over
the partitions, or what was available in it where that is less. A partition that was given all it
had is not starved.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from kafkalab.model.verdict import ClaimVerdict, Outcome

RAMP_S = 2.0
WHOLE = 0.8  # an interval shorter than this share of the median interval is a partial one
ENOUGH = 20  # records that a partition must have had for its share to mean something

Sample = Mapping[str, Any]


def median_rate(
    samples: Sequence[Sample], field: str = "records", ramp_s: float = RAMP_S
) -> float | None:
    """Median rate per second over whole intervals after the ramp-up.

    Args:
        samples: a loop's samples in order, as the driver contract has them.
        field: what is counted, `records` or `bytes`.
        ramp_s: left out at the start, in seconds.

    Returns:
        Units of `field` per second; None when no whole interval is left.
    """
    if not samples:
        return None
    whole = WHOLE * statistics.median(float(s["interval_s"]) for s in samples)
    rates, begun_s = [], 0.0
    for sample in samples:
        interval_s = float(sample["interval_s"])
        if begun_s >= ramp_s and interval_s >= whole and interval_s > 0:
            rates.append(float(sample[field]) / interval_s)
        begun_s += interval_s
    return statistics.median(rates) if rates else None


def gap_ms_max(samples: Sequence[Sample]) -> float | None:
    """Longest time between two deliveries that any sample reports, in ms; None without one."""
    gaps = [float(s["gap_ms_max"]) for s in samples if s.get("gap_ms_max") is not None]
    return max(gaps) if gaps else None


def partition_counts(samples: Sequence[Sample]) -> dict[str, int]:
    """Records per "topic/partition" over all samples."""
    counts: dict[str, int] = {}
    for sample in samples:
        for partition, records in (sample.get("partitions") or {}).items():
            counts[partition] = counts.get(partition, 0) + int(records)
    return counts


def shares(
    delivered: Mapping[str, int], available: Mapping[str, int] | None = None
) -> dict[str, float]:
    """Per partition: deliveries / expected share. 1 is fair, 0 is starved.

    Args:
        delivered: records per partition in the measured window; a partition of which nothing was
            delivered must be named with 0.
        available: records that could have been delivered; None: enough in each.

    Returns:
        Only partitions whose expected share is at least ENOUGH records.
    """
    if not delivered:
        return {}
    mean = sum(delivered.values()) / len(delivered)
    expected = {p: min(mean, (available or {}).get(p, mean)) for p in delivered}
    return {p: delivered[p] / expected[p] for p in delivered if expected[p] >= ENOUGH}


def starved(
    delivered: Mapping[str, int], ratio_min: float, available: Mapping[str, int] | None = None
) -> ClaimVerdict:
    """Judge the claim `starved-partition` on counts of one window; see `shares`.

    Unknown without a bound (0), or when no partition had enough records to be judged.
    """
    claim = "starved-partition"
    if ratio_min <= 0:
        return ClaimVerdict(claim, Outcome.UNKNOWN, 0, "no bound: fairness_ratio_min is 0")
    found = shares(delivered, available)
    if len(found) < 2:
        text = f"fewer than two partitions had {ENOUGH} records to share"
        return ClaimVerdict(claim, Outcome.UNKNOWN, 0, text)
    evidence = tuple(
        {"partition": p, "delivered": delivered[p], "share": round(share, 4)}
        for p, share in sorted(found.items(), key=lambda item: item[1])
        if share < ratio_min
    )
    least = min(found.values())
    text = (
        f"least share {least:.0%} of what is fair over {len(found)} partitions "
        f"(at least {ratio_min:.0%})"
    )
    outcome = Outcome.FAIL if evidence else Outcome.PASS
    return ClaimVerdict(claim, outcome, len(evidence), text, evidence)
