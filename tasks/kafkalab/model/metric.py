"""The metrics: one string each, the same in code, artifact, suite and chart.

A name carries its unit, then its qualifier, last (`latency_ms_p99`). The default bounds are those
of DESIGN section 8: throughput fails at −15 % and warns at −8 %, latency fails at +20 %, RSS at
+25 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Metric:
    """What a metric means and how far it may move away from its baseline."""

    name: str
    unit: str
    higher_is_better: bool
    fail_ratio: float | None  # largest tolerated relative worsening, e.g. 0.15; None: not gated
    warn_ratio: float | None
    what: str


_ALL = (
    Metric("produce_records_per_s_median", "records/s", True, 0.15, 0.08, "acknowledged sends"),
    Metric("consume_records_per_s_median", "records/s", True, 0.15, 0.08, "delivered records"),
    Metric("throughput_records_per_s_median", "records/s", True, 0.15, 0.08, "delivered records"),
    Metric("latency_ms_p50", "ms", False, 0.20, None, "intended send time to delivery"),
    Metric("latency_ms_p95", "ms", False, 0.20, None, "intended send time to delivery"),
    Metric("latency_ms_p99", "ms", False, 0.20, None, "intended send time to delivery"),
    Metric("latency_ms_p999", "ms", False, None, None, "intended send time to delivery"),
    Metric("rss_bytes_max", "bytes", False, 0.25, None, "resident memory of the client process"),
    Metric("rss_bytes_per_s_slope", "bytes/s", False, None, None, "growth on the plateau"),
    Metric("cpu_s_per_100k_records", "s", False, None, None, "client CPU time"),
    Metric(
        "fetched_bytes_per_delivered_byte",
        "ratio",
        False,
        None,
        None,
        "received by the consuming processes, per byte of delivered values",
    ),
    Metric("buffered_records_max", "records", False, None, None, "records held by the client"),
    Metric("stall_count", "stalls", False, None, None, "gaps longer than the bound"),
    Metric("stall_ms_max", "ms", False, None, None, "longest gap while records were available"),
    Metric("poll_gap_ms_max", "ms", False, None, None, "longest time between two deliveries"),
    Metric("fairness_ratio", "ratio", True, None, None, "least / mean deliveries per partition"),
    Metric("lag_records_max", "records", False, None, None, "produced but not yet delivered"),
    Metric("startup_ms_max", "ms", False, None, None, "open to first usable"),
    Metric("close_ms_max", "ms", False, None, None, "close command to closed"),
    Metric("drain_ms", "ms", False, None, None, "last send to last delivery"),
)

METRICS = MappingProxyType({m.name: m for m in _ALL})
