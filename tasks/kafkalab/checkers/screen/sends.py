"""The screen's look at sends: does each producer's log grow as it called, and where it asked?

A partition stays quiet while, for each producer of it: sends complete in the order in which they
were invoked; acknowledged offsets rise; each lies where it was asked for, where nothing else lies;
and no record is other than plain. Sends that failed, or whose end is unknown, make nothing suspect:
if one is given out, the look at readers (reads.py) finds it missing from the log, wherever that is
(strays.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kafkalab.checkers.screen.clients import Clients
from kafkalab.checkers.screen.coded import (
    FAIL,
    INVOKE,
    NULL,
    OK,
    SEND,
    Coded,
    Coder,
    Codes,
    Ints,
    Mask,
    enlarged,
)
from kafkalab.checkers.screen.logbook import Log, Sequence
from kafkalab.checkers.screen.marks import Marks
from kafkalab.checkers.screen.strays import Strays

_NEVER = np.iinfo(np.int64).max


class Sends:
    """Looks at `send` rows, batch by batch."""

    def __init__(
        self, coder: Coder, clients: Clients, log: Log, marks: Marks, strays: Strays
    ) -> None:
        self._coder, self._clients, self._log, self._marks = coder, clients, log, marks
        self._strays = strays
        self._open: dict[int, npt.NDArray[np.uint64]] = {}  # process → [value, place, index, time]
        self._disordered: set[int] = set()
        self._sequence = Sequence()
        self._first_ack = np.full((1, 1), _NEVER, dtype=np.int64)

    def look(self, batch: Coded) -> None:
        """Look at one batch."""
        send = batch.op == SEND
        invoked = np.flatnonzero(send & (batch.type == INVOKE))
        done = np.flatnonzero(send & (batch.type != INVOKE))
        self._marks.suspect(batch.place[invoked[batch.odd[invoked]]])
        self._invoke(batch, invoked)
        if len(done):
            self._complete(batch, done)

    def finish(self) -> None:
        """Leave to SQL what cannot be told here."""
        for value, place, *_ in self._open.values():
            self._strays.sent(value, place.astype(np.int32))
        for process in self._disordered | self._clients.left_to_sql:
            if process < len(self._sequence.last):
                touched = np.flatnonzero(self._first_ack[process] != _NEVER)
                self._marks.suspect(touched.astype(np.int32))

    def _invoke(self, batch: Coded, rows: Ints) -> None:
        for process, mine in by_process(batch.process, rows):
            if process not in self._disordered:
                new = np.stack([
                    batch.value[mine], batch.place[mine].astype(np.uint64),
                    batch.idx[mine].astype(np.uint64), batch.time_ns[mine].astype(np.uint64),
                ])  # fmt: skip
                old = self._open.get(process)
                self._open[process] = new if old is None else np.concatenate([old, new], axis=1)

    def _complete(self, batch: Coded, rows: Ints) -> None:
        asked = np.full(len(batch.idx), NULL, dtype=np.int32)
        called = np.full(len(batch.idx), _NEVER, dtype=np.int64)
        called_ns = np.zeros(len(batch.idx), dtype=np.int64)
        for process, mine in by_process(batch.process, rows):
            open_sends = self._open.get(process)
            if process in self._disordered or open_sends is None:
                self._disordered.add(process)
                continue
            head, self._open[process] = open_sends[:, : len(mine)], open_sends[:, len(mine) :]
            if head.shape[1] < len(mine) or (head[0] != batch.value[mine]).any():
                self._disordered.add(process)
                continue
            asked[mine], called[mine], called_ns[mine] = head[1], head[2], head[3]
        ok = rows[batch.type[rows] == OK]
        self._marks.count("failed", batch.place[rows[batch.type[rows] == FAIL]])
        loose = rows[batch.type[rows] != OK]
        self._strays.sent(
            batch.value[loose], np.where(asked[loose] < 0, batch.place[loose], asked[loose])
        )
        if len(ok):
            self._acknowledge(batch, ok, asked[ok], called[ok], called_ns[ok])

    def _acknowledge(
        self, batch: Coded, rows: Ints, asked: Codes, called: Ints, called_ns: Ints
    ) -> None:
        place, off = batch.place[rows], batch.off[rows]
        elsewhere = (asked >= 0) & (asked != place) & ~self._chosen(asked, place)
        bad = elsewhere | (off < 0)
        self._marks.suspect(place[bad])
        self._marks.suspect(asked[bad & (asked >= 0)])
        good = np.flatnonzero((off >= 0) & (place >= 0))
        place, off, rows, called = place[good], off[good], rows[good], called[good]
        called_ns = called_ns[good]
        if not len(rows):
            return
        self._marks.suspect(place[self._log.put(place, off, batch.value[rows], called_ns)])
        self._marks.count("acknowledged", place)
        self._in_order(batch, rows, place, off, called)

    def _in_order(self, batch: Coded, rows: Ints, place: Codes, off: Ints, called: Ints) -> None:
        process = batch.process[rows]
        steps = self._sequence.steps(process, place, off, batch.op_id[rows])
        process, place = process[steps.order], place[steps.order]
        self._marks.suspect(place[steps.known & (steps.step < 1)])
        self._first_ack = enlarged(self._first_ack, self._sequence.last.shape, _NEVER)
        first = ~steps.known
        self._first_ack[process[first], place[first]] = batch.idx[rows][steps.order][first]
        ordered = self._clients.ordered[process] > 0
        ended = self._first_ack[process, place] < called[steps.order]
        self._marks.count("sends_after", place[ended | (ordered & steps.known)])
        self._marks.count("ordered_after", place[ordered & steps.known])
        pairs = steps.known & steps.same
        self._marks.count("pairs", place[pairs])
        self._marks.count("pairs_apart", place[pairs & (steps.step > 1)])

    def _chosen(self, asked: Codes, place: Codes) -> Mask:
        """Where the client was to choose the partition and kept to the topic."""
        topic = np.array(self._coder.places.topic, dtype=np.int32)
        part = np.array(self._coder.places.part, dtype=np.int32)
        chosen: Mask = (part[asked] < 0) & (topic[asked] == topic[place])
        return chosen


def by_process(process: Codes, rows: Ints) -> Iterator[tuple[int, Ints]]:
    """Rows of each client, in order."""
    if not len(rows):
        return
    order = np.argsort(process[rows], kind="stable")
    rows = rows[order]
    cuts = np.flatnonzero(np.diff(process[rows])) + 1
    for mine in np.split(rows, cuts):
        yield int(process[mine[0]]), mine
