"""What a partition's log holds, rebuilt from acknowledgements; and who was given what of it.

One flat array holds the values of all logs, in pages of 1,024 offsets: `Log.address` says where an
offset of a place lies. Ten million records take 170 MB, and 10 MB more a reader.

A `Sequence` looks at numbers that come one after another for each pair (client, place), and says by
how much each lies above the one before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kafkalab.checkers.screen.coded import NULL, Codes, Ints, Mask, enlarged

PAGE_BITS = 10
PAGES_MAX = 1 << 25  # of all places together, the empty ones counted
PAIRS_MAX = 1 << 24  # (client, place)

NOTHING = -2  # before the first offset of a stretch


class TooWideError(Exception):
    """The history does not lend itself to arrays: offsets or pairs lie too far apart."""


class Log:
    """Values by place and offset.

    `room`: how many records there may be. So much is reserved at once: memory that nobody has
    written to costs nothing, and an array that grows exists twice while it is copied.
    """

    def __init__(self, room: int = 0) -> None:
        self._table = np.full((1, 1), NULL, dtype=np.int32)  # [place, page of it] → page of all
        self.place_of: list[int] = []  # by page
        self.values = np.zeros(room, dtype=np.uint64)
        self.held = np.zeros(room, dtype=np.uint8)
        self.called_ns = np.zeros(room, dtype=np.int64)  # when the send was invoked

    @property
    def size(self) -> int:
        """How many offsets all pages have."""
        return len(self.place_of) << PAGE_BITS

    def address(self, place: Codes, off: Ints, *, make: bool) -> Ints:
        """Where offsets lie, shape (rows,); NULL where there is no page, unless `make`."""
        page = off >> PAGE_BITS
        if not len(place):
            return off
        places, pages = int(place.max()) + 1, int(page.max()) + 1
        if places * pages > PAGES_MAX:
            raise TooWideError(f"{places:,} partitions with offsets up to {off.max():,}")
        self._table = enlarged(self._table, (places, pages), NULL)
        found = self._table[place, page]
        if make and (found < 0).any():
            self._make(place, page, found < 0)
            found = self._table[place, page]
        return np.where(found < 0, NULL, (found.astype(np.int64) << PAGE_BITS) + (off & 1023))

    def put(self, place: Codes, off: Ints, value: npt.NDArray[np.uint64], called_ns: Ints) -> Mask:
        """Note acknowledged records; True where something else was, or is now, in that place."""
        at = self.address(place, off, make=True)
        taken = self.held[at] > 0
        self.values[at] = value
        self.held[at] = 1
        self.called_ns[at] = called_ns
        clash: Mask = taken | (self.values[at] != value)
        return clash

    def has(self, place: Codes, off: Ints, value: npt.NDArray[np.uint64]) -> tuple[Ints, Mask]:
        """The addresses of records, and True where the log holds exactly that value there."""
        at = self.address(place, off, make=False)
        if not self.size:
            return at, np.zeros(len(at), dtype=bool)
        return at, (at >= 0) & (self.held[at] > 0) & (self.values[at] == value)

    def places_at(self, at: Ints) -> Codes:
        """The places of addresses, shape (rows,)."""
        places: Codes = np.array(self.place_of, dtype=np.int32)[at >> PAGE_BITS]
        return places

    def _make(self, place: Codes, page: Ints, missing: Mask) -> None:
        width = self._table.shape[1]
        for pair in np.unique(place[missing].astype(np.int64) * width + page[missing]):
            one, its_page = divmod(int(pair), width)
            self._table[one, its_page] = len(self.place_of)
            self.place_of.append(one)
        self.values = enlarged(self.values, (self.size,), 0)
        self.held = enlarged(self.held, (self.size,), 0)
        self.called_ns = enlarged(self.called_ns, (self.size,), 0)


class Steps(NamedTuple):
    """Rows in the order (client, place, as they came), shape (rows,) each."""

    order: Ints  # positions in what was given
    step: Ints  # how far above the one before it
    before: Ints
    known: Mask  # False: there was none before it, and `step` means nothing
    same: Mask  # of the same epoch as the one before it


class Sequence:
    """The last number of each pair (client, place)."""

    def __init__(self) -> None:
        self.last = np.full((1, 1), NOTHING, dtype=np.int64)
        self._epoch = np.zeros((1, 1), dtype=np.int64)

    def steps(self, process: Codes, place: Codes, off: Ints, epoch: Ints) -> Steps:
        """Compare each number with the one before it of the same pair.

        Args:
            process: codes of clients, shape (rows,).
            place: codes of places, shape (rows,).
            off: numbers, shape (rows,); after NOTHING the next has none before it.
            epoch: whatever two neighbours may have in common, shape (rows,).
        """
        self._grow(int(process.max()) + 1, int(place.max()) + 1)
        key = process.astype(np.int64) * self.last.shape[1] + place
        order = np.argsort(_small(key, self.last.size), kind="stable")
        key, off, epoch = key[order], off[order], epoch[order]
        first = np.ones(len(key), dtype=bool)
        first[1:] = key[1:] != key[:-1]
        last = np.append(first[1:], True)
        before, epoch_before = np.empty_like(off), np.empty_like(epoch)
        before[1:], epoch_before[1:] = off[:-1], epoch[:-1]
        flat, flat_epoch = self.last.reshape(-1), self._epoch.reshape(-1)
        before[first], epoch_before[first] = flat[key[first]], flat_epoch[key[first]]
        flat[key[last]], flat_epoch[key[last]] = off[last], epoch[last]
        known = (before != NOTHING) & (off != NOTHING)
        return Steps(order, off - before, before, known, epoch == epoch_before)

    def _grow(self, processes: int, places: int) -> None:
        if processes * places > PAIRS_MAX:
            raise TooWideError(f"{processes:,} clients with {places:,} partitions")
        self.last = enlarged(self.last, (processes, places), NOTHING)
        self._epoch = enlarged(self._epoch, (processes, places), 0)


def _small(key: Ints, size: int) -> npt.NDArray[np.generic]:
    """Keys in the smallest type: a stable sort of 16 bits is linear."""
    return key.astype(np.uint16) if size <= 1 << 16 else key
