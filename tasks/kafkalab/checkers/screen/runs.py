"""Polls and sends in short: one row for what one command gave of one partition.

polls   rows of `poll` that carry no record: invocations, and polls that ended empty.
given   what one poll gave out of one partition in a row: `low` and `high`, the lowest and the
        highest offset, `last`, the latest, `n` records, rows `idx` to `idx_last`, and when the
        poll was invoked (`begin_idx`, `begin_ns`; null where that is not recorded).
placed  acknowledged records of one partition: `n` of them, from offset `low` on, without a gap.
        They were acknowledged within PLACED_NS, the last at `time_ns`, to producers that ask for
        the same acks, of which `process` is one. (One row a send would be one a record where
        producers spread each command over all partitions.)
first_sends  the first row of `send`, of type invoke and of type ok, after each `open` of a client;
        there may be more of them, never fewer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kafkalab.checkers.screen.arrays import arrow, text
from kafkalab.checkers.screen.clients import Clients
from kafkalab.checkers.screen.coded import (
    INVOKE,
    NULL,
    OK,
    POLL,
    SEND,
    Coded,
    Coder,
    Codes,
    Ints,
    enlarged,
)

PLACED_NS = 10_000_000


class Grown:
    """Columns that grow by pieces."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[npt.NDArray[Any]]] = {}

    def add(self, **columns: npt.NDArray[Any]) -> None:
        """Append one piece of each column."""
        for name, values in columns.items():
            self._pieces.setdefault(name, []).append(values)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        pieces = self._pieces.get(name, [])
        return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)


class Runs:
    """Collects all three, batch by batch."""

    def __init__(self, coder: Coder, clients: Clients) -> None:
        self._coder, self._clients = coder, clients
        self._polls, self._given, self._placed, self._firsts = Grown(), Grown(), Grown(), Grown()
        self._open = coder.ops.code("open")
        # id, row and time of the last poll that each process invoked
        self._called = np.full((3, 1), NULL, dtype=np.int64)

    def look(self, batch: Coded) -> None:
        """Take what one batch holds."""
        poll = batch.op == POLL
        bare = np.flatnonzero(poll & ((batch.type == INVOKE) | (batch.place < 0)))
        self._polls.add(
            process=batch.process[bare], op_id=batch.op_id[bare], type=batch.type[bare],
            idx=batch.idx[bare], time_ns=batch.time_ns[bare],
        )  # fmt: skip
        given = np.flatnonzero(poll & (batch.type != INVOKE) & (batch.place >= 0))
        cuts = _cuts(batch, given)
        starts = given[cuts]
        called = self._calls(batch, bare[batch.type[bare] == INVOKE], starts)
        if len(given):
            off, last = batch.off[given], np.append(cuts[1:], len(given)) - 1
            self._given.add(
                **_which(batch, starts), low=np.minimum.reduceat(off, cuts),
                high=np.maximum.reduceat(off, cuts), last=off[last],
                n=np.diff(np.append(cuts, len(given))), idx_last=batch.idx[given[last]],
                begin_idx=called[0], begin_ns=called[1],
            )  # fmt: skip
        self._place(batch)
        for kind in (INVOKE, OK):
            self._first_sends(batch, np.flatnonzero((batch.op == SEND) & (batch.type == kind)))

    def tables(self) -> dict[str, pa.Table]:
        """Arrow tables by relation name."""
        return {
            "polls": self._table(self._polls, ("type", "op_id", "idx", "time_ns")),
            "given": self._table(self._given, (
                "place", "op_id", "low", "high", "last", "n", "idx", "idx_last", "time_ns",
                "begin_idx", "begin_ns")),
            "first_sends": self._table(self._firsts, ("type", "idx", "time_ns")),
            "placed": self._table(self._placed, ("place", "low", "n", "time_ns")),
        }  # fmt: skip

    def _place(self, batch: Coded) -> None:
        rows = np.flatnonzero(
            (batch.op == SEND) & (batch.type == OK) & (batch.place >= 0) & (batch.off >= 0)
        )
        if not len(rows):
            return
        rows = rows[_by_place(batch.place[rows], batch.off[rows])]
        off, time_ns = batch.off[rows], batch.time_ns[rows]
        told = (
            batch.place[rows],
            time_ns // PLACED_NS,
            self._clients.promises(batch.process[rows]),
        )
        new = np.ones(len(rows), dtype=bool)
        new[1:] = np.diff(off) != 1
        for column in told:
            new[1:] |= column[1:] != column[:-1]
        cuts = np.flatnonzero(new)
        self._placed.add(
            process=batch.process[rows[cuts]], place=batch.place[rows[cuts]], low=off[cuts],
            n=np.diff(np.append(cuts, len(rows))), time_ns=np.maximum.reduceat(time_ns, cuts),
        )  # fmt: skip

    def _first_sends(self, batch: Coded, rows: Ints) -> None:
        """Of each client the first in the batch, and the first after each `open` in it."""
        if not len(rows):
            return
        first = np.full(len(self._coder.processes), NULL, dtype=np.int64)
        first[batch.process[rows][::-1]] = rows[::-1]  # the last that is written stays
        found = [first[first >= 0]]
        opened = np.flatnonzero(batch.op == self._open)
        if len(opened):
            order = np.lexsort((rows, batch.process[rows]))
            key = (batch.process[rows].astype(np.int64) << 32) + rows
            at = np.searchsorted(
                key[order], (batch.process[opened].astype(np.int64) << 32) + opened
            )
            next_one = rows[order[np.minimum(at, len(rows) - 1)]]
            found.append(next_one[(at < len(rows))])
        rows = np.concatenate(found)
        columns = _which(batch, rows)
        self._firsts.add(**columns, type=batch.type[rows])

    def _calls(self, batch: Coded, invoked: Ints, starts: Ints) -> tuple[Ints, Ints]:
        """Row and time of the poll of each run's command; NULL where that was not recorded.

        Polls of one client follow each other, so it is the last one that the client invoked, if
        that has the run's id.
        """
        self._called = enlarged(self._called, (3, len(self._coder.processes)), NULL)
        is_call = np.zeros(len(batch.idx), dtype=bool)
        is_call[invoked] = True
        chosen = is_call.copy()
        chosen[starts] = True
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(_small(batch.process[rows]), kind="stable")]
        process, calls, here = batch.process[rows], is_call[rows], np.arange(len(rows))
        first = np.maximum.accumulate(np.where(np.diff(process, prepend=NULL) != 0, here, 0))
        at = np.flatnonzero(~calls)
        call = np.maximum.accumulate(np.where(calls, here, NULL))[at]
        known, source = call >= first[at], rows[call]
        told = (batch.op_id, batch.idx, batch.time_ns)
        before = self._called[:, process[at]]
        op_id, idx, time_ns = (
            np.where(known, new[source], old) for new, old in zip(told, before, strict=True)
        )
        other = op_id != batch.op_id[rows[at]]
        out = np.full((2, len(batch.idx)), NULL, dtype=np.int64)
        out[:, rows[at]] = np.where(other, NULL, (idx, time_ns))
        for column, values in zip(self._called, told, strict=True):
            column[process[calls]] = values[rows[calls]]  # of several the last stays
        return out[0, starts], out[1, starts]

    def _table(self, grown: Grown, columns: tuple[str, ...]) -> pa.Table:
        coder = self._coder
        made: dict[str, Any] = {"process": _names(grown["process"], coder.processes.names)}
        for name in columns:
            if name == "place":
                place = grown["place"].astype(np.int64)
                topics = np.array([*coder.places.topic, NULL])[place]
                made["topic"] = _names(topics, coder.topics.names)
                parts = np.array([*coder.places.part, NULL], dtype=np.int32)
                made["part"] = arrow(parts[place])
            elif name == "type":
                made["type"] = _names(grown["type"], coder.types.names)
            else:
                values = grown[name].astype(np.int64, copy=False)
                made[name] = arrow(values, NULL if "begin" in name else None)
        return pa.table(made)


def _cuts(batch: Coded, rows: Ints) -> Ints:
    """Where a new run of (client, command, place) begins, as positions in `rows`."""
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    new = np.ones(len(rows), dtype=bool)
    new[1:] = np.diff(batch.op_id[rows]) != 0
    new[1:] |= (np.diff(batch.process[rows]) != 0) | (np.diff(batch.place[rows]) != 0)
    return np.flatnonzero(new)


def _by_place(place: Codes, off: Ints) -> Ints:
    """The order by place, then offset; by one number where that holds both, which is faster."""
    width = int(off.max()) + 1
    if width * (int(place.max()) + 1) >= 1 << 62:
        return np.lexsort((off, place))
    return np.argsort(place * np.int64(width) + off)


def _small(process: Codes) -> npt.NDArray[Any]:
    """Codes in 16 bits where they fit: a stable sort of them is linear."""
    return process.astype(np.uint16) if process.max(initial=0) < 1 << 16 else process


def _which(batch: Coded, rows: Ints) -> dict[str, npt.NDArray[Any]]:
    names = ("process", "op_id", "place", "idx", "time_ns")
    return {name: getattr(batch, name)[rows] for name in names}


def _names(codes: npt.NDArray[Any], names: list[str]) -> pa.DictionaryArray:
    codes = codes.astype(np.int32)
    return pa.DictionaryArray.from_arrays(arrow(codes, NULL), text(names))
