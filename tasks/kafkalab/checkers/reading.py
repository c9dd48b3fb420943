"""One pass over the rows of a history: is it well formed, and which partitions are suspect?

Decoding a file takes as long as looking at what it holds, so both looks are fed from one stream of
batches, each on a thread of its own: numpy works outside of the interpreter's lock.

What the look at partitions makes of a history that is not well formed, if it can look at it at all,
does not matter: no verdict on a claim stands then.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from kafkalab.checkers.budget import Budget
from kafkalab.checkers.history import (
    count_rows,
    new_screen,
    problems_of,
    shape_problems,
    sorted_batches,
)
from kafkalab.checkers.screen.coded import batches, encoded
from kafkalab.checkers.screen.onepass import Looks, Screened
from kafkalab.checkers.wellformed import Screen

BEHIND = 2  # batches that one look may be behind the other


@dataclass(frozen=True)
class Reading:
    """What one pass over a history came to.

    Attributes:
        problems: why no claim can be judged.
        screened: where there is none, what the look at partitions found.
        asking: what is still asked of a few commands: more problems, mostly none.
    """

    problems: tuple[str, ...]
    screened: Screened | None = None
    asking: Future[tuple[str, ...]] | None = None


def read(source: pa.Table | Path, budget: Budget, *, worth_rows: int, runs: bool) -> Reading:
    """Read a history once.

    Args:
        source: a table, or a Parquet file.
        budget: memory, threads and disk.
        worth_rows: in a history with fewer rows all partitions are suspect.
        runs: whether to make the tables of screen/runs.py.

    Raises:
        duckdb.OutOfMemoryException: the budget did not suffice.
        pyarrow.ArrowInvalid, OSError: the file is no Parquet file, or is damaged.
    """
    problems = shape_problems(source)
    if problems:
        return Reading(problems)
    form = new_screen(source, budget)
    looks = Looks(runs=runs, room=count_rows(source))
    other = ThreadPoolExecutor(1)
    try:
        trouble = _pass(source, form, looks, other)
        whole = form.in_order and not form.nulls
        if trouble is None and whole and form.values.clean():
            asking = other.submit(problems_of, source, form, budget)
            return Reading((), looks.result(worth_rows=worth_rows), asking)
    finally:
        other.shutdown(wait=False)  # what was asked goes on while claims are judged
    problems = problems_of(source, form, budget)
    if problems:
        return Reading(problems)
    if not whole:
        looks = _in_order(source, budget, runs=runs)
    elif trouble is not None:
        raise trouble
    return Reading((), looks.result(worth_rows=worth_rows))


def _pass(
    source: pa.Table | Path, form: Screen, looks: Looks, other: ThreadPoolExecutor
) -> Exception | None:
    """Show both all batches, or those before rows are found out of order; what one crashed of."""
    trouble: Exception | None = None
    fed: deque[Future[None]] = deque()
    for batch in batches(source):
        fed.append(other.submit(form.feed, batch))
        if trouble is None:
            try:
                looks.look(batch)
            except Exception as error:  # noqa: BLE001 - raised later, unless rows are at fault
                trouble = error
        while len(fed) > BEHIND:
            fed.popleft().result()
        if form.nulls or not form.in_order:
            break
    for feeding in fed:
        feeding.result()
    return trouble


def _in_order(source: pa.Table | Path, budget: Budget, *, runs: bool) -> Looks:
    """The look at a history whose rows do not lie as `index` counts."""
    looks = Looks(runs=runs, room=count_rows(source))
    with budget.connect() as connection:
        for batch in sorted_batches(connection, source):
            looks.look(encoded(batch))
    return looks
