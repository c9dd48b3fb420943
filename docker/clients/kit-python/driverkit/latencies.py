"""Latencies of a loop: plain numbers while it runs, a histogram only where it is reported.

Counting must not slow down what is counted, nor hold it up: hdrh takes 2 µs to record a value and
1 ms to forget all, which a sample of some thousand values would make a pause of ten. So values are
kept, counted by their place in the histogram many at a time, and a histogram is filled at those
places, encoded, and emptied again.

What a driver needs for its own counting it takes before the loop begins (`take_room`): a driver
that gains a few KB a second for a minute looks like a client that leaks (seen: 5 KB/s, M01 red).
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import ArrayLike

LATENCY_US_MAX = 3_600_000_000
_BITS = 11  # of a value that its place depends on: three significant digits
_HALF = _BITS - 1
_FEW = 16  # latencies that cost less one by one than as an array
_KEPT_MOST = 16_384  # a millisecond to count, while the loop waits
_ENDS = (1 << _HALF) - 1  # encoded ends: hdrh makes a ctypes type for each length, and keeps it
_NUMPY_KEEPS = 7, 1024  # freed blocks of each size, below so many bytes (its _npy_alloc_cache)


def _histogram() -> HdrHistogram:
    """Microseconds up to an hour, three significant digits."""
    return HdrHistogram(1, LATENCY_US_MAX, 3)


class Latencies:
    """Latencies in microseconds; negative ones, of clocks that differ, count as none."""

    _shared = _histogram()
    _lock = threading.Lock()

    def __init__(self) -> None:
        self._kept: list[Any] = []  # arrays
        self._total = 0  # in them
        self._counts = np.zeros(
            len(self._shared.counts), dtype=np.int64
        )  # by place in the histogram

    @staticmethod
    @cache
    def take_room() -> None:
        """Take all memory that counting comes to need: call it in the loop's thread, first.

        numpy keeps freed blocks of each small size, so that deliveries of ever new sizes grow it
        for minutes; a latency that is longer than all before touches new pages of the histogram
        and takes a longer buffer to encode it.
        """
        most, sizes = _NUMPY_KEEPS
        blocks = [np.ones(size, dtype=np.uint8) for size in range(1, sizes) for _ in range(most)]
        del blocks
        everything = Latencies()
        everything._counts.fill(1)
        everything.encoded()

    def add(self, latencies_us: ArrayLike) -> None:
        """Keep some: integers in any shape that numpy takes."""
        if isinstance(latencies_us, list) and len(latencies_us) <= _FEW:
            for each in latencies_us:
                self.add_shared(each, 1)
            return
        some = np.asarray(latencies_us, dtype=np.int64)
        self._kept.append(some)
        self._total += some.size
        if self._total > _KEPT_MOST:
            self._fold()

    def add_shared(self, latency_us: int, count: int) -> None:
        """Count one that many records share."""
        bounded = min(max(latency_us, 0), LATENCY_US_MAX)
        bucket = max(bounded.bit_length() - _BITS, 0)
        self._counts[(bucket << _HALF) + (bounded >> bucket)] += count  # as `_places`, but for one

    def absorb(self, part: Latencies) -> None:
        """Add the other's."""
        part._fold()
        self._counts += part._counts

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
        self._total = 0
        self._counts.fill(0)

    def encoded(self) -> str | None:
        """The histogram in the contract's form; None without any latency."""
        self._fold()
        places = np.flatnonzero(self._counts).tolist()
        if not places:
            return None
        found = self._counts[places].tolist()
        with self._lock:
            counts = self._shared.counts
            for place, count in zip(places, found, strict=True):
                counts[place] = count
            end = min(places[-1] | _ENDS, len(counts) - 1)
            self._shared.set_internal_tacking_values(places[0], end, sum(found))
            encoded: str = self._shared.encode().decode()
            for place in places:
                counts[place] = 0
        return encoded

    def _fold(self) -> None:
        if self._kept:
            # All at once: a call for each delivery would hold an open loop up for 30 ms a second.
            np.add.at(self._counts, _places(np.concatenate(self._kept, axis=None)), 1)
            self._kept.clear()
            self._total = 0


def _places(latencies_us: Any) -> Any:
    """Where a histogram of three digits counts values: the highest bits and how many follow."""
    bounded = np.clip(latencies_us, 0, LATENCY_US_MAX)
    bits = np.frexp(bounded.astype(np.float64))[1]  # bit lengths: exact below 2**53
    bucket = np.maximum(bits - _BITS, 0).astype(np.int64)
    return (bucket << _HALF) + (bounded >> bucket)
