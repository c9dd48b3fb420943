"""Was each value sent once, and did it end at most once? One byte a value; see wellformed.py."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kafkalab.checkers.screen.arrays import numbers, valid

Bools = npt.NDArray[np.bool_]

SENT, ENDED = 1, 2


class Values:
    """Which values were sent, and ended: one byte a value, for values below `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.dense = True
        self.without = 0  # sends without a value
        self._seen = np.zeros(min(limit, 2**20), np.uint8)
        self._marked = {SENT: 0, ENDED: 0}

    def mark(self, column: pa.Array, mask: Bools, mark: int) -> None:
        """Note the values of some rows as sent or ended."""
        if column.null_count:
            known = valid(column)
            self.without += int((mask & ~known).sum())
            mask = mask & known
        values = numbers(column, 0)[mask]
        if not self.dense or not len(values):
            return
        top = int(values.max())
        if top >= self.limit:
            self.dense = False
            return
        if top >= len(self._seen):
            grown = np.zeros(min(self.limit, max(2 * len(self._seen), top + 1)), np.uint8)
            grown[: len(self._seen)] = self._seen
            self._seen = grown
        self._marked[mark] += len(values)
        self._seen[values] |= mark

    def clean(self) -> bool:
        """Each value was sent once, ended at most once, and only if it was sent."""
        if not self.dense or self.without:
            return False
        sent, ended = (self._seen & SENT) != 0, (self._seen & ENDED) != 0
        return (
            int(sent.sum()) == self._marked[SENT]
            and int(ended.sum()) == self._marked[ENDED]
            and not bool((ended & ~sent).any())
        )
