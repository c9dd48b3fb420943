"""Which commands were invoked, from batch to batch: what completes must have been."""

from __future__ import annotations

import numpy as np

from kafkalab.checkers.live.columns import NONE, most, numbered
from kafkalab.checkers.screen.coded import Ints

INVOKE, EVENT = 0, 4  # codes of `type`, as in history.TYPES


class Commands:
    """The commands that were invoked and have not completed, or not long ago.

    Args:
        remembered: rows after which a command that completed is forgotten.
    """

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._known = np.empty((3, 0), dtype=np.int64)  # process, op_id, row of its end or NONE

    def take(self, process: Ints, op_id: Ints, type_: Ints, idx: Ints) -> int:
        """Take rows in, in order; returns how many commands completed without being invoked.

        Args:
            process: codes of clients, shape (rows,).
            op_id: ids of commands, shape (rows,).
            type_: codes as in history.TYPES, shape (rows,); NONE where it is none of them.
            idx: rows of the history, shape (rows,).
        """
        changes = [column[1:] != column[:-1] for column in (process, op_id, type_)]
        starts = np.append(True, np.logical_or.reduce(changes))  # of runs of rows that are alike
        at = np.flatnonzero(starts & (type_ < EVENT))
        both = np.hstack([self._known[:2], np.stack([process[at], op_id[at]])])
        if not both.shape[1]:
            return 0
        ends = type_[at] > INVOKE
        end = np.append(self._known[2], np.where(ends, idx[at], NONE))
        code = numbered(*both)
        count = int(code.max()) + 1
        invoked, ended = np.zeros((2, count), dtype=bool)
        known = self._known.shape[1]
        invoked[code[:known]] = True
        invoked[code[known:][type_[at] == INVOKE]] = True
        ended[code[known:][ends]] = True
        last = most(end, code, count)
        keep = (last < 0) | (last > idx[-1] - self._remembered)
        _, first = np.unique(code, return_index=True)
        self._known = np.vstack([both[:, first[keep]], last[keep]])
        return int(np.count_nonzero(ended & ~invoked))
