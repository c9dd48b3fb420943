"""Latency percentiles from the HdrHistograms that drivers report.

A driver sends one HdrHistogram (V2, compressed, base64, in microseconds) a second and one for the
whole loop. Percentiles do not average: histograms are merged by adding their counts, and the
percentiles are read from the sum. Resolution is three significant digits, as the drivers record.

Source: http://hdrhistogram.org (the V2 encoding); G. Tene, "How NOT to Measure Latency".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

_HOUR_US = 3_600_000_000
_DIGITS = 3


@dataclass(frozen=True)
class Percentiles:
    """Latency of `count` records, in ms."""

    count: int
    p50: float
    p95: float
    p99: float
    p999: float
    max: float


def decode(sample: str) -> HdrHistogram:
    """One histogram from its base64 text.

    Raises:
        ValueError: the text is not a HdrHistogram in V2 encoding.
    """
    try:
        return HdrHistogram.decode(sample)
    except (HdrCookieException, HdrLengthException, TypeError, ValueError, zlib.error) as error:
        raise ValueError(
            "latency_us: expected a HdrHistogram (V2, compressed, base64), found "
            f"'{sample[:24]}...' ({type(error).__name__}); see docs/driver-contract.md."
        ) from error


def merge(samples: Iterable[str | None]) -> HdrHistogram | None:
    """The sum of the samples' counts; None when no sample holds a value."""
    decoded = [decode(sample) for sample in samples if sample]
    filled = [histogram for histogram in decoded if histogram.get_total_count()]
    if not filled:
        return None
    highest = max(_HOUR_US, *(int(histogram.get_max_value()) for histogram in filled))
    merged = HdrHistogram(1, highest, _DIGITS)
    for histogram in filled:
        merged.add(histogram)
    return merged


def percentiles(samples: Iterable[str | None]) -> Percentiles | None:
    """Percentiles in ms over all samples together; None when there is nothing in them.

    Args:
        samples: base64 histograms in µs, as in a loop's `latency_us`; None entries are skipped.

    Raises:
        ValueError: a sample cannot be decoded.
    """
    merged = merge(samples)
    if merged is None:
        return None
    values = merged.get_percentile_to_value_dict([50.0, 95.0, 99.0, 99.9])
    return Percentiles(
        count=int(merged.get_total_count()),
        p50=values[50.0] / 1e3,
        p95=values[95.0] / 1e3,
        p99=values[99.0] / 1e3,
        p999=values[99.9] / 1e3,
        max=merged.get_max_value() / 1e3,
    )
