"""The clients of a live judge (tables.py, readers) as arrays, and what they are to read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kafkalab.checkers.live.columns import ROWS_MAX
from kafkalab.checkers.live.store import Store
from kafkalab.checkers.screen.coded import Ints, Mask

_READERS = """
SELECT process, opened, ordered, silent, transactional, dense_rank() OVER (ORDER BY scope) - 1,
       alive FROM readers ORDER BY process
"""
_ASSIGNED = """
WITH scopes AS (SELECT process, dense_rank() OVER (ORDER BY scope) - 1 AS scope FROM readers)
SELECT DISTINCT s.scope, a.tid, a."partition" FROM acts a JOIN scopes s ON s.process = a.pid
WHERE a.op IN ('assigned', 'assign') AND a.tid IS NOT NULL AND a."partition" IS NOT NULL
"""
_NAMED = """
WITH scopes AS (SELECT process, dense_rank() OVER (ORDER BY scope) - 1 AS scope FROM readers)
SELECT DISTINCT s.scope, n.tid
FROM (SELECT DISTINCT pid, unnest(named) AS tid FROM acts) n JOIN scopes s ON s.process = n.pid
"""
# How transactions ended that may have been open while what is held was sent.
_ENDED = """
SELECT pid, idx, type = 'ok' AND coalesce(detail ->> '$.action' = 'commit', false) FROM acts
WHERE op = 'txn' AND type <> 'invoke' AND idx > (SELECT min(idx) FROM recs) ORDER BY pid, idx
"""


@dataclass(frozen=True)
class Readers:
    """Arrays of shape (processes,), but for `alive`, which has shape (scopes,)."""

    opened: Ints
    ordered: Mask
    silent: Mask
    transactional: Mask
    scope: Ints
    alive: Mask
    assigned: Ints  # shape (assignments, 3): scope, topic, partition
    named: Ints  # shape (subscriptions, 2): scope, topic
    ended: Ints  # shape (ends of transactions, 3): process, row, whether it committed

    @classmethod
    def of(cls, store: Store) -> Readers:
        """What the tables `readers` and `acts` say now; a client without rows counts as none."""
        found = store.rows(_READERS)
        count = max((row[0] for row in found), default=-1) + 1
        table = np.zeros((6, count), dtype=np.int64)
        for process, *told in found:  # clients, not rows
            table[:, process] = told
        opened, ordered, silent, transactional, scope, alive = table
        living = np.zeros(int(scope.max(initial=-1)) + 1, dtype=bool)
        living[scope[alive > 0]] = True
        return cls(
            opened, ordered > 0, silent > 0, transactional > 0, scope, living,
            np.array(store.rows(_ASSIGNED), dtype=np.int64).reshape(-1, 3),
            np.array(store.rows(_NAMED), dtype=np.int64).reshape(-1, 2),
            np.array(store.rows(_ENDED), dtype=np.int64).reshape(-1, 3),
        )  # fmt: skip

    def committed(self, process: Ints, idx: Ints) -> Mask:
        """Whether what a client's rows say was in a transaction that committed, or in none."""
        count = len(self.ended)
        if not count:
            return ~self.transactional[process]
        marks = self.ended[:, 0] * ROWS_MAX + self.ended[:, 1]
        next_ = np.searchsorted(marks, process * ROWS_MAX + idx, "right")
        told = self.ended[np.minimum(next_, count - 1)]
        commits: Mask = (next_ < count) & (told[:, 0] == process) & (told[:, 2] > 0)
        return commits | ~self.transactional[process]
