"""Where stretches begin, and what each producer was last acknowledged: kept from part to part.

A stretch begins where a client moves (order.py): of a partition, or of all that it reads.
"""

from __future__ import annotations

import numpy as np

from kafkalab.checkers.live.columns import NONE, ROWS_MAX, by_code, most, numbered
from kafkalab.checkers.screen.coded import Ints


class Moves:
    """The last moves of each client, and all that came since `forget`."""

    def __init__(self) -> None:
        self._rows = np.empty((4, 0), dtype=np.int64)  # process, topic, part, idx

    def add(self, process: Ints, topic: Ints, part: Ints, idx: Ints) -> None:
        """Moves that came; without a topic (NONE) they are of all that the client reads."""
        of_one = (topic < 0) | (part >= 0)  # no row is of a topic without a partition
        self._rows = np.hstack([self._rows, np.stack([process, topic, part, idx])[:, of_one]])

    def stretches(self, process: Ints, topic: Ints, part: Ints, idx: Ints) -> Ints:
        """The row of the last move before each row, NONE where there is none; shape (rows,).

        Args:
            process: clients.
            topic: NONE where only moves of a whole client count.
            part: partitions.
            idx: rows, rising; later than all that was there at the last `forget`.
        """
        everywhere = self._rows[1] < 0
        of_client = _last_before(self._rows[[0, 3]][:, everywhere], (process, idx))
        of_part = _last_before(self._rows[:, ~everywhere], (process, topic, part, idx))
        return np.maximum(of_client, of_part)

    def forget(self) -> None:
        """Keep of moves that are of the same the last only: what comes is later than all."""
        if self._rows.shape[1]:
            process, topic, part, idx = self._rows
            order = np.lexsort((idx, part, topic, process))
            rows = self._rows[:, order]
            last = np.append((rows[:3, 1:] != rows[:3, :-1]).any(axis=0), True)
            self._rows = rows[:, last]


def _last_before(moves: Ints, rows: tuple[Ints, ...]) -> Ints:
    """For each row the `idx` of the last move that agrees with it in all else, or NONE.

    Args:
        moves: shape (columns, moves), `idx` last.
        rows: as many columns, shape (rows,) each.
    """
    if not moves.shape[1] or not len(rows[-1]):
        return np.full(len(rows[-1]), NONE, dtype=np.int64)
    both = [np.concatenate([a, b]) for a, b in zip(moves[:-1], rows[:-1], strict=True)]
    code = numbered(*both)
    count = moves.shape[1]
    moved, row, of = moves[-1], rows[-1], code[count:]
    fresh = moved > row[0]
    last = most(moved[~fresh], code[:count][~fresh], int(code.max()) + 1)[of]
    if not fresh.any():
        return last
    marks = code[:count][fresh] * ROWS_MAX + moved[fresh]
    marks.sort()
    at = np.searchsorted(marks, of * ROWS_MAX + row, "right") - 1
    same = (at >= 0) & (marks[at] // ROWS_MAX == of)
    return np.where(same, marks[at] % ROWS_MAX, last)


class Neighbours:
    """Records next to each other in one command: how many, and how many of them lie apart.

    The numbers of int-send-skip (order.py).
    """

    def __init__(self) -> None:
        self.pairs = self.apart = 0
        self._last = np.empty((5, 0), dtype=np.int64)  # process, topic, part, op_id, off

    def count(self, acknowledged: Ints) -> None:
        """Acknowledged records in order, shape (5, records): the columns of `_last`."""
        rows = np.hstack([self._last, acknowledged])
        if not rows.shape[1]:
            return
        lane = numbered(*rows[:3])
        order = by_code(lane)
        lane, op_id, off = lane[order], rows[3][order], rows[4][order]
        same = lane[1:] == lane[:-1]
        together = same & (op_id[1:] == op_id[:-1])
        self.pairs += int(np.count_nonzero(together))
        self.apart += int(np.count_nonzero(together & (off[1:] > off[:-1] + 1)))
        self._last = rows[:, order[np.append(~same, True)]]
