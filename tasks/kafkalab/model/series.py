"""Time series of a cell: stored long, one reading a row, as `metrics.parquet`.

Columns: time_ns int64 (CLOCK_MONOTONIC) · source string · metric string · value float64 · text
string. Sources: "client:p0" (a client inside a driver), "driver:d0" (a driver process),
"broker:b1", "host", "lab".
A mark (a phase that starts, a fault) is a row of metric `mark` whose `text` says what happened.
"""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS: tuple[tuple[str, str], ...] = (
    ("time_ns", "int64"),
    ("source", "string"),
    ("metric", "string"),
    ("value", "float64"),
    ("text", "string"),
)

MARK = "mark"

# metric → (unit, what): what may stand in the column `metric`, and what the report plots
SERIES: dict[str, tuple[str, str]] = {
    "produce_records_per_s": ("records/s", "acknowledged sends"),
    "consume_records_per_s": ("records/s", "delivered records"),
    "latency_ms_p50": ("ms", "intended send time to delivery, over one sample"),
    "latency_ms_p99": ("ms", "intended send time to delivery, over one sample"),
    "rss_bytes": ("bytes", "resident memory"),
    "heap_bytes": ("bytes", "heap in use, as the runtime says"),
    "cpu_ratio": ("cores", "CPU time per time"),
    "lag_records": ("records", "acknowledged and not yet delivered"),
    "buffered_records": ("records", "held by the client"),
    "threads": ("threads", "threads of the process"),
    "descriptors": ("descriptors", "open file descriptors"),
    "received_bytes": ("bytes", "received by the process since its start"),
    "sent_bytes": ("bytes", "sent by the process since its start"),
    "connections": ("connections", "open TCP connections of the process"),
    "steal_ratio": ("ratio", "CPU time taken by the hypervisor"),
    MARK: ("", "a phase or a fault; the text says which"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One row of a series."""

    time_ns: int
    source: str
    metric: str
    value: float
    text: str | None = None
