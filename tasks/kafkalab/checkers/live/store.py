"""The tables of one live judge (judge.py): a DuckDB connection of its own, for all of its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from kafkalab.checkers.budget import Budget, out_of_budget
from kafkalab.checkers.live.rows import RECS


class OutOfBudgetError(Exception):
    """What a judge was allowed of memory and disk did not suffice."""


@contextmanager
def budgeted() -> Iterator[None]:
    """Raises `OutOfBudgetError` in place of whatever says so; all else as it is."""
    try:
        yield
    except (duckdb.Error, MemoryError, OSError) as error:
        if out_of_budget(error):
            raise OutOfBudgetError(str(error)) from error
        raise


class Store:
    """A connection whose results are always read to their end.

    Args:
        budget: of its memory; beyond it, tables are written to disk.
    """

    def __init__(self, budget: Budget) -> None:
        self._connection = budget.connect()
        self._connection.execute("SET preserve_insertion_order = false")
        self.recs = RECS.empty_table()

    def close(self) -> None:
        """Let all tables go."""
        self._connection.close()

    @property
    def recs(self) -> pa.Table:
        """The sends and polls that are held: holding.py."""
        return self._recs

    @recs.setter
    def recs(self, table: pa.Table) -> None:
        self._recs = table.cast(RECS)
        self.given("recs", self._recs)

    def given(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table known under a name, until another takes its place."""
        self._connection.register(name, table)

    def forget(self, name: str) -> None:
        """Let go of an Arrow table that was made known."""
        self._connection.unregister(name)

    def run(self, sql: str, values: Sequence[Any] | dict[str, Any] | None = None) -> None:
        """Execute one statement."""
        self._connection.execute(sql, values).fetchall()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a small result."""
        found: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return found

    def number(self, sql: str, values: dict[str, Any] | None = None) -> int:
        """The single number that a query returns; NULL is 0."""
        return int(self._connection.execute(sql, values).fetchall()[0][0] or 0)

    def table(self, sql: str) -> pa.Table:
        """A result as columns."""
        return self._connection.sql(sql).to_arrow_table()
