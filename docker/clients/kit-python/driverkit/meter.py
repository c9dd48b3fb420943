"""What a loop counts: one interval and the whole, in the contract's words."""

from __future__ import annotations

import time
from collections import Counter
from operator import sub
from typing import Any

from driverkit.latencies import Latencies

_MASK64 = (1 << 64) - 1


class Meter:
    """Counters of one loop. `sample` starts the next interval, `total` ends it all."""

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self.errors = 0
        self.corrupt = 0
        self.out_of_order = 0
        self.value_sum: int | None = 0
        self.gap_ns_max = 0
        self.partitions: Counter[str] = Counter()
        self.latencies = Latencies()
        self._began_ns = time.monotonic_ns()
        self._delivered_ns = self._began_ns
        self.all_records = 0
        self._all: Meter | None = None

    def delivered(self, now_ns: int, records: int) -> None:
        """Note a delivery of some records at a time."""
        self.gap_ns_max = max(self.gap_ns_max, now_ns - self._delivered_ns)
        self._delivered_ns = now_ns
        self.records += records
        self.all_records += records

    def delivered_each(self, times_ns: list[int]) -> None:
        """Note records that were delivered one by one."""
        gaps = map(sub, times_ns, [self._delivered_ns, *times_ns[:-1]])
        self.gap_ns_max = max(self.gap_ns_max, *gaps)
        self._delivered_ns = times_ns[-1]
        self.records += len(times_ns)
        self.all_records += len(times_ns)

    def sample(self) -> dict[str, Any]:
        """The interval in the contract's form; it becomes part of the whole."""
        if self._all is None:
            self._all = Meter()
            self._all._began_ns = self._began_ns  # noqa: SLF001 of the same class
        now_ns = time.monotonic_ns()
        self.gap_ns_max = max(self.gap_ns_max, now_ns - self._delivered_ns)
        fields = self._fields(now_ns)
        self._all._absorb(self)  # noqa: SLF001
        self._reset(now_ns)
        return fields

    def total(self) -> dict[str, Any]:
        """The whole loop in the contract's form."""
        self.sample()
        assert self._all is not None
        return self._all._fields(time.monotonic_ns())

    def _fields(self, now_ns: int) -> dict[str, Any]:
        return {
            "interval_s": (now_ns - self._began_ns) / 1e9,
            "records": self.records,
            "bytes": self.bytes,
            "errors": self.errors,
            "corrupt": self.corrupt,
            "out_of_order": self.out_of_order,
            "value_sum": None if self.value_sum is None else self.value_sum & _MASK64,
            "partitions": dict(self.partitions),
            "gap_ms_max": self.gap_ns_max / 1e6,
            "latency_us": self.latencies.encoded(),
        }

    def _absorb(self, part: Meter) -> None:
        for name in ("records", "bytes", "errors", "corrupt", "out_of_order"):
            setattr(self, name, getattr(self, name) + getattr(part, name))
        if part.value_sum is not None and self.value_sum is not None:
            self.value_sum += part.value_sum
        self.gap_ns_max = max(self.gap_ns_max, part.gap_ns_max)
        self.partitions += part.partitions
        self.latencies.absorb(part.latencies)

    def _reset(self, now_ns: int) -> None:
        self.records = self.bytes = self.errors = self.corrupt = self.out_of_order = 0
        self.value_sum = None if self.value_sum is None else 0
        self.gap_ns_max = 0
        self.partitions = Counter()
        self.latencies.clear()
        self._began_ns = now_ns
