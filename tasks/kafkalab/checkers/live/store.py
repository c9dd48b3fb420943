"""The tables of one live judge (judge.py): a DuckDB connection of its own, for all of its parts."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

MEMORY_LIMIT = "160MB"  # beyond it DuckDB writes tables to disk
THREADS = 2

OutOfMemory = duckdb.OutOfMemoryException


class Store:
    """A connection whose results are always read to their end."""

    def __init__(self) -> None:
        settings = {
            "memory_limit": MEMORY_LIMIT,
            "threads": THREADS,
            "temp_directory": tempfile.gettempdir(),
            "preserve_insertion_order": False,
        }
        self._connection = duckdb.connect(":memory:", config=settings)

    def close(self) -> None:
        """Let all tables go."""
        self._connection.close()

    def given(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table known under a name, until another takes its place."""
        self._connection.register(name, table)

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
