"""The screen's look at what was given out: all of the log, in its order, once a reader?

A partition stays quiet while: each record given out is plain, was sent before, and the log (as
acknowledged) holds just that value at that offset, now or by the end; what one client is given
between two of its moves goes up without leaving out an offset that is in the log; no reader is
given an offset twice; and by the end each acknowledged record was given to somebody.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kafkalab.checkers.screen.clients import Clients
from kafkalab.checkers.screen.coded import INVOKE, NULL, POLL, Coded, Codes, Ints, enlarged
from kafkalab.checkers.screen.logbook import NOTHING, Log, Sequence, Steps, TooWideError
from kafkalab.checkers.screen.marks import Marks
from kafkalab.checkers.screen.strays import Strays

WAITING_MAX = 4_000_000  # records given out before they are acknowledged
MARKS_MAX = 1 << 30  # bytes of marks of all readers together
GAP_MAX = 64  # offsets that a gap may leave out; control records take one or two


class _Given(NamedTuple):
    """Records given out, shape (rows,) each."""

    scope: Codes
    place: Codes
    off: Ints
    value: npt.NDArray[np.uint64]
    time_ns: Ints

    def at(self, rows: Ints) -> _Given:
        """These of them."""
        where = (self.scope[rows], self.place[rows], self.off[rows])
        return _Given(*where, self.value[rows], self.time_ns[rows])


class Reads:
    """Looks at polled records, batch by batch."""

    def __init__(self, clients: Clients, log: Log, marks: Marks, strays: Strays) -> None:
        self._clients, self._log, self._marks, self._strays = clients, log, marks, strays
        self._sequence = Sequence()
        self._seen: dict[int, npt.NDArray[np.uint8]] = {}  # scope → marks by address
        self._stamp = np.zeros(len(log.held), dtype=np.int32)
        self._touched = np.zeros((1, 1), dtype=np.uint8)
        self._waiting: list[_Given] = []
        self._gaps: list[tuple[Codes, Ints, Ints]] = []  # place, offset below, offset above

    def look(self, batch: Coded, moves: Ints) -> None:
        """Look at one batch; `moves`: positions of rows that may move a client."""
        given = np.flatnonzero((batch.op == POLL) & (batch.type != INVOKE) & (batch.place >= 0))
        place = batch.place[given]
        meant = batch.meant[given]
        odd = batch.odd[given] | ((meant != NULL) & (meant != place)) | (batch.off[given] < 0)
        self._marks.suspect(place[odd])
        self._marks.count("delivered", place)
        self._touch(batch.process[given], place)
        self._in_order(batch, given, moves)
        suspect = self._marks.suspects(batch.place[given])
        left = given[suspect & (batch.off[given] >= 0)]
        self._strays.given(batch.place[left], batch.off[left], batch.value[left])
        given = given[~suspect]
        scope = self._clients.scopes(batch.process[given])
        where = (scope, batch.place[given], batch.off[given])
        self._waiting.append(_Given(*where, batch.value[given], batch.time_ns[given]))
        self._settle()

    def finish(self) -> None:
        """What never was acknowledged, was never given out, or was left out."""
        self._settle()
        for given in self._waiting:
            self._leave(given)
        unread = self._log.held[: self._log.size] > 0
        for seen in self._seen.values():
            unread[: len(seen)] &= seen[: len(unread)] == 0
        if unread.any():
            self._marks.suspect(np.unique(self._log.places_at(np.flatnonzero(unread))))
        for process in self._clients.unclear:
            if process < len(self._touched):
                self._marks.suspect(np.flatnonzero(self._touched[process]).astype(np.int32))
        self._look_into_gaps()

    def _touch(self, process: Codes, place: Codes) -> None:
        if len(process):
            shape = (int(process.max()) + 1, int(place.max()) + 1)
            self._touched = enlarged(self._touched, shape, 0)
            self._touched[process, place] = 1

    def _in_order(self, batch: Coded, given: Ints, moves: Ints) -> None:
        of_all = moves[batch.place[moves] < 0]
        rows = np.sort(np.concatenate([given, moves[batch.place[moves] >= 0]]))
        process, place = batch.process[rows], batch.place[rows]
        epoch = self._clients.epochs(process, rows, batch.process[of_all], of_all)
        if not len(rows):
            return
        off = np.where(batch.op[rows] == POLL, batch.off[rows], NOTHING)
        steps = self._sequence.steps(process, place, off, epoch)
        self._weigh(steps, place[steps.order])

    def _weigh(self, steps: Steps, place: Codes) -> None:
        follows = steps.known & steps.same
        self._marks.count("delivered_after", place[follows])
        self._marks.suspect(place[follows & ((steps.step < 1) | (steps.step > GAP_MAX + 1))])
        gap = np.flatnonzero(follows & (steps.step > 1))
        if len(gap):
            gap = gap[~self._marks.suspects(place[gap])]
            before = steps.before[gap]
            self._gaps.append((place[gap], before, before + steps.step[gap]))

    def _settle(self) -> None:
        """Mark what the log holds as read; what it does not hold yet waits."""
        waiting, self._waiting = self._waiting, []
        for given in waiting:
            at, held = self._log.has(given.place, given.off, given.value)
            early = held.copy()
            early[held] = given.time_ns[held] < self._log.called_ns[at[held]]
            self._marks.suspect(given.place[early])
            for scope in np.unique(given.scope[held]):
                self._mark(int(scope), at[held & (given.scope == scope)])
            suspect = self._marks.suspects(given.place)
            self._leave(given.at(np.flatnonzero(~held & suspect)))
            later = np.flatnonzero(~held & ~suspect)
            if len(later):
                self._waiting.append(given.at(later))
        if sum(len(given.place) for given in self._waiting) > WAITING_MAX:
            for given in self._waiting:
                self._leave(given)
            self._waiting = []

    def _leave(self, given: _Given) -> None:
        """Leave to SQL what the log does not hold where it was given out."""
        self._marks.suspect(given.place)
        self._strays.given(given.place, given.off, given.value)

    def _mark(self, scope: int, at: Ints) -> None:
        if scope not in self._seen:
            self._seen[scope] = np.zeros(len(self._log.held), dtype=np.uint8)
        if len(self._seen) * self._log.size > MARKS_MAX:
            raise TooWideError(f"{len(self._seen):,} readers of {self._log.size:,} offsets")
        self._seen[scope] = seen = enlarged(self._seen[scope], (self._log.size,), 0)
        again = seen[at] > 0
        seen[at] = 1
        self._stamp = enlarged(self._stamp, (self._log.size,), 0)
        number = np.arange(len(at), dtype=np.int32)
        self._stamp[at] = number
        again |= self._stamp[at] != number  # the same offset twice among these
        self._marks.suspect(self._log.places_at(at[again]))

    def _look_into_gaps(self) -> None:
        if not self._log.size:  # nothing was acknowledged: no gap holds anything
            return
        for place, below, above in self._gaps:
            for ahead in range(1, GAP_MAX + 1):
                inside = np.flatnonzero(below + ahead < above)
                if not len(inside):
                    break
                at = self._log.address(place[inside], below[inside] + ahead, make=False)
                held = (at >= 0) & (self._log.held[at] > 0)
                self._marks.suspect(place[inside[held]])
