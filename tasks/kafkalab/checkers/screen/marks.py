"""What the screen notes by partition: which are suspect, and how much it saw in each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from kafkalab.checkers.screen.arrays import arrow, text
from kafkalab.checkers.screen.coded import Coder, Codes, Mask, enlarged

COUNTERS = (
    "acknowledged",
    "failed",
    "delivered",
    "delivered_after",  # given out after another of the same stretch
    "sends_after",  # sent after another whose place in the log binds it
    "ordered_after",  # the same of producers that keep the order of calls
    "pairs",  # records next to each other in one command
    "pairs_apart",  # of these, with others' between them in the log
)


class Marks:
    """Suspects and counters by place."""

    def __init__(self, coder: Coder) -> None:
        self._coder = coder
        self._suspect = np.zeros(1, dtype=np.uint8)
        self._counts = {name: np.zeros(1, dtype=np.int64) for name in COUNTERS}

    def suspect(self, places: Codes) -> None:
        """Leave these partitions to SQL."""
        if len(places):
            self._room()
            self._suspect[places] = 1

    def suspects(self, places: Codes) -> Mask:
        """Whether each of these is suspect, shape (rows,)."""
        self._room()
        return self._suspect[places] > 0

    def count(self, name: str, places: Codes) -> None:
        """Count one for each of these."""
        if len(places):
            size = len(self._counts[name])
            if int(places.max()) >= size:
                self._counts[name] = enlarged(self._counts[name], (len(self._coder.places),), 0)
                size = len(self._counts[name])
            self._counts[name] += np.bincount(places, minlength=size)

    def everything(self) -> None:
        """Leave all partitions to SQL."""
        self._room()
        self._suspect[:] = 1

    def table(self) -> pa.Table:
        """All places: topic, part, suspect, and the counters."""
        self._room()
        places = self._coder.places
        size = len(places)
        counters = {
            name: enlarged(counts, (size,), 0)[:size] for name, counts in self._counts.items()
        }
        return pa.table(
            {
                "topic": text([places.name(place)[0] for place in range(size)]),
                "part": arrow(np.array(places.part, dtype=np.int32)),
                "suspect": arrow(self._suspect[:size] > 0),
                **{name: arrow(counts) for name, counts in counters.items()},
            }
        )

    def _room(self) -> None:
        self._suspect = enlarged(self._suspect, (len(self._coder.places),), 0)
