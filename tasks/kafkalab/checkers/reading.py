"""One pass over the rows of a history: is it well formed, and which partitions are suspect?

Decoding a file takes as long as looking at what it holds, so both looks are fed from one stream of
batches, each on a thread of its own: numpy works outside of the interpreter's lock.

What the look at partitions makes of a history that is not well formed, if it can look at it at all,
does not matter: no claim is judged then.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
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


@dataclass(frozen=True)
class Reading:
    """`problems`: why no claim can be judged; where there are none, what the look found."""

    problems: tuple[str, ...]
    screened: Screened | None = None


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
    looks: Looks | None = Looks(runs=runs, room=count_rows(source))
    trouble: Exception | None = None
    with ThreadPoolExecutor(1) as other:
        for batch in batches(source):
            feeding = other.submit(form.feed, batch)
            if looks is not None:
                try:
                    looks.look(batch)
                except Exception as error:  # noqa: BLE001 - raised below, unless rows are at fault
                    looks, trouble = None, error
            feeding.result()
            if form.nulls or not form.in_order:
                looks = None
                break
    problems = problems_of(source, form, budget)
    if problems:
        return Reading(problems)
    if trouble is not None:
        raise trouble
    if looks is None:
        looks = _in_order(source, budget, runs=runs)
    return Reading((), looks.result(worth_rows=worth_rows))


def _in_order(source: pa.Table | Path, budget: Budget, *, runs: bool) -> Looks:
    """The look at a history whose rows do not lie as `index` counts."""
    looks = Looks(runs=runs, room=count_rows(source))
    with budget.connect() as connection:
        for batch in sorted_batches(connection, source):
            looks.look(encoded(batch))
    return looks
