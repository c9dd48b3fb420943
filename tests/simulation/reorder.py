"""The same history as another observer might have written it down.

Only what ran at the same time changes places: between two neighbouring rows of different clients,
an invoke may come before another invoke, and a completion before another completion. So every two
operations that followed each other still do, each client's rows keep their order, and what happened
without a command (assignments, kills) stays where it is. Rows move by at most SPAN_NS, and none
past a time that the coordinator tells.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .frame import EVENT, INVOKE, Frame

SPAN_NS = 20_000_000


def reordered(frame: Frame, random: np.random.Generator) -> Frame:
    """Concurrent rows in another order; times stay where they were."""
    ends, event = frame.type != INVOKE, frame.type == EVENT
    window = frame.time // SPAN_NS
    taken = np.searchsorted(np.sort(frame.took), frame.time)
    run = np.cumsum(_changes(ends, window, taken) | event | _after(event))
    unit = np.cumsum(_changes(run, frame.process, frame.op_id)) - 1
    first = np.flatnonzero(_changes(unit))
    runs, clients = run[first], frame.process[first]
    keys = random.random(len(first))
    numbers = np.arange(len(first))
    in_order = np.lexsort((numbers, clients, runs))
    sorted_keys = np.lexsort((keys, clients, runs))
    own = np.empty(len(first))
    own[in_order] = keys[sorted_keys]  # a client's keys rise as its rows do
    moved = np.lexsort((np.arange(len(frame)), own[unit], run))
    columns = {name: column[moved] for name, column in frame.columns.items()}
    start = np.flatnonzero(_changes(unit[moved]))
    columns["time"] = frame.time[start][np.cumsum(_changes(unit[moved])) - 1]
    return Frame(columns, frame.words)


def _changes(*columns: Any) -> Any:
    """Whether a row differs from the one before it in any of the columns."""
    changed = np.ones(len(columns[0]), bool)
    changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed


def _after(mask: Any) -> Any:
    return np.concatenate([[False], mask[:-1]])
