"""What the screen must know of the clients: who reads for whom, who promises what, who moved when.

And what each did: `polls`, was `given` records, `sends` (was asked to, or did).

Told by the rows of `open` and `subscribe`, in order. The SQL of tables.py knows the whole history
before it judges; a pass does not. A client that reads before it subscribes is therefore `unclear`,
and left to the SQL.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from kafkalab.checkers.screen.arrays import arrow, text
from kafkalab.checkers.screen.coded import (
    INVOKE,
    OK,
    POLL,
    SEND,
    Coded,
    Coder,
    Codes,
    Ints,
    Names,
    enlarged,
)

MOVES = ("open", "subscribe", "unsubscribe", "assign", "seek", "assigned", "revoked", "lost")


class Clients:
    """Clients by process code."""

    def __init__(self, coder: Coder) -> None:
        self._coder = coder
        self._open, self._subscribe = coder.ops.code("open"), coder.ops.code("subscribe")
        self._groups: dict[int, str] = {}
        self._scopes = Names()
        self._scope_of = np.full(1, -1, dtype=np.int32)
        self._epochs = np.zeros(1, dtype=np.int64)
        self._promises = Names()
        self._promise_of = np.full(1, -1, dtype=np.int32)
        self.ordered = np.zeros(1, dtype=np.uint8)
        self.left_to_sql: set[int] = set()  # their sends: acks=0, or transactional
        self.unclear: set[int] = set()
        self._did = {name: np.zeros(1, dtype=np.uint8) for name in ("polls", "given", "sends")}

    def note(self, batch: Coded) -> None:
        """Note who polls, was given something, and sends."""
        poll, asked = batch.op == POLL, batch.type == INVOKE
        done = {
            "polls": poll,
            "given": poll & ~asked & (batch.place >= 0),
            "sends": (batch.op == SEND) & (asked | (batch.type == OK)),
        }
        for name, rows in done.items():
            self._did[name] = enlarged(self._did[name], (len(self._coder.processes),), 0)
            self._did[name][batch.process[rows]] = 1

    def table(self) -> pa.Table:
        """One row a client: `process`, and what it did."""
        names = self._coder.processes.names
        did = {name: enlarged(did, (len(names),), 0) for name, did in self._did.items()}
        columns = {name: arrow(marks[: len(names)] > 0) for name, marks in did.items()}
        return pa.table({"process": text(names), **columns})

    def tell(self, batch: Coded) -> None:
        """Look at what clients of one batch were opened with, and whether they subscribed."""
        self._room()
        told = (batch.type == INVOKE) & ((batch.op == self._open) | (batch.op == self._subscribe))
        at = np.flatnonzero(told)
        if not len(at):
            return
        details = batch.rows.column("detail").filter(arrow(told)).to_pylist()
        for process, op, detail in zip(batch.process[at], batch.op[at], details, strict=True):
            if op == self._open:
                self._opened(int(process), json.loads(detail or "{}").get("config") or {})
            else:
                self._subscribed(int(process))

    def scopes(self, process: Codes) -> Codes:
        """The reader that each client reads for, shape (rows,)."""
        self._room()
        for one in np.unique(process[self._scope_of[process] < 0]):
            self._scope_of[one] = self._scopes.code(f"client:{one}")
        return self._scope_of[process]

    def promises(self, process: Codes) -> Codes:
        """Which acks each client asks for, as codes, shape (rows,)."""
        self._room()
        return self._promise_of[process]

    def epochs(self, process: Codes, at: Ints, moved: Codes, moved_at: Ints) -> Ints:
        """How often all positions of a client had moved, shape (rows,).

        Args:
            process: clients, shape (rows,).
            at: positions in the batch, shape (rows,).
            moved: the clients that moved, shape (moves,).
            moved_at: where, in order, shape (moves,).
        """
        self._room()
        epochs = self._epochs[process]
        for one in np.unique(moved):
            mine = process == one
            epochs[mine] += np.searchsorted(moved_at[moved == one], at[mine])
            self._epochs[one] += int((moved == one).sum())
        return epochs

    def _opened(self, process: int, config: dict[str, Any]) -> None:
        self._groups[process] = config.get("group") or ""
        transactional = config.get("transactional_id") is not None
        idempotent = bool(config.get("idempotence"))
        self.ordered[process] = idempotent or transactional
        asked = f"{config.get('acks')} {idempotent} {transactional}"
        self._promise_of[process] = self._promises.code(asked)
        if transactional or str(config.get("acks")) == "0":
            self.left_to_sql.add(process)

    def _subscribed(self, process: int) -> None:
        scope = self._scopes.code(f"group:{self._groups.get(process, '')}")
        if self._scope_of[process] not in {-1, scope}:
            self.unclear.add(process)
        self._scope_of[process] = scope

    def _room(self) -> None:
        count = (len(self._coder.processes),)
        self._scope_of = enlarged(self._scope_of, count, -1)
        self._promise_of = enlarged(self._promise_of, count, -1)
        self._epochs = enlarged(self._epochs, count, 0)
        self.ordered = enlarged(self.ordered, count, 0)
