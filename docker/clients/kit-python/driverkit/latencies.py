"""Latencies of a loop: plain numbers while it runs, a histogram only where it is reported.

Counting must not slow down what is counted, nor hold it up: hdrh takes 2 µs to record a value and
1 ms to forget all, which a sample of some thousand values would make a pause of ten. So values are
told apart by the interpreter's own C code, counted by their place in the histogram, and a histogram
is filled at those places, encoded, and emptied again.

What a whole loop adds up has room for every place from the start: a dictionary that gains a few
dozen places a second looks like a client that leaks (seen: 3 KB/s for as long as M01 looks).
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

LATENCY_US_MAX = 3_600_000_000
_BITS = 11  # of a value that its place depends on: three significant digits
_HALF = _BITS - 1


def _histogram() -> HdrHistogram:
    """Microseconds up to an hour, three significant digits."""
    return HdrHistogram(1, LATENCY_US_MAX, 3)


class Latencies:
    """Latencies in microseconds; negative ones, of clocks that differ, count as none."""

    _shared = _histogram()
    _lock = threading.Lock()

    def __init__(self) -> None:
        self.kept: list[int] = []
        self._counts: Counter[int] = Counter()  # by place in the histogram
        self._whole: array[int] | None = None  # likewise, of all that was absorbed

    def add(self, latencies_us: Iterable[int]) -> None:
        """Keep some."""
        self.kept += latencies_us
        if len(self.kept) > 1_000_000:
            self._fold()

    def add_shared(self, latency_us: int, count: int) -> None:
        """Keep one that many records share."""
        self._counts[_place(latency_us)] += count

    def absorb(self, part: Latencies) -> None:
        """Add the other's."""
        part._fold()
        if self._whole is None:
            self._whole = array("Q", bytes(8 * len(self._shared.counts)))
        for place, count in part._counts.items():
            self._whole[place] += count

    def clear(self) -> None:
        """Forget all."""
        self.kept.clear()
        self._counts.clear()

    def encoded(self) -> str | None:
        """The histogram in the contract's form; None without any latency."""
        self._fold()
        found = self._counts
        if self._whole is not None:
            found = found + Counter({at: count for at, count in enumerate(self._whole) if count})
        if not found:
            return None
        total, places = found.total(), found.keys()
        with self._lock:
            counts = self._shared.counts
            for place, count in found.items():
                counts[place] = count
            self._shared.set_internal_tacking_values(min(places), max(places), total)
            encoded: str = self._shared.encode().decode()
            for place in places:
                counts[place] = 0
        return encoded

    def _fold(self) -> None:
        if not self.kept:
            return
        # the bits that no value's place depends on go first, so that fewer differ
        shift = max(min(self.kept).bit_length() - _BITS, 0)
        same = Counter([each >> shift for each in self.kept] if shift else self.kept)
        for each, count in same.items():
            self._counts[_place(each << shift)] += count
        self.kept.clear()


def _place(latency_us: int) -> int:
    """Where a histogram of three digits counts a value: its highest bits and how many follow."""
    bounded = min(max(latency_us, 0), LATENCY_US_MAX)
    bucket = max(bounded.bit_length() - _BITS, 0)
    return (bucket << _HALF) + (bounded >> bucket)
