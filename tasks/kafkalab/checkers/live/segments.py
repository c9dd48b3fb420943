"""Settled rows in files: an Arrow table in parts, the last in memory until it is full."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from kafkalab.checkers.budget import Budget
from kafkalab.checkers.live.store import OutOfBudgetError

SEGMENT_ROWS = 250_000
OPEN = -1  # the number of the one in memory


class Segments:
    """A table in parts that is added to at one end and dropped at the other.

    Args:
        budget: where the files go, and how much they may take.
        rows_max: the oldest segments are dropped beyond that.
    """

    def __init__(self, budget: Budget, rows_max: int) -> None:
        self._budget, self._rows_max = budget, rows_max
        self._folder = tempfile.TemporaryDirectory(
            prefix="kafkalab-settled-", dir=budget.spill_folder or None
        )
        self._rows: dict[int, int] = {}  # of each that is full, oldest first
        self._bytes: dict[int, int] = {}
        self._open: list[pa.Table] = []
        self._made = 0

    def __iter__(self) -> Iterator[int]:
        """Their numbers, oldest first."""
        yield from self._rows
        if self._open:
            yield OPEN

    def add(self, rows: pa.Table) -> int | None:
        """Add rows; returns the number of the segment that this filled."""
        self._open.append(rows)
        if sum(map(len, self._open)) < SEGMENT_ROWS:
            return None
        self._made += 1
        full, self._open = pa.concat_tables(self._open), []
        self._write(self._made, full)
        return self._made

    def drop(self) -> list[int]:
        """Let go of the oldest that are too many; returns their numbers."""
        dropped = []
        while len(self._rows) > 1 and sum(self._rows.values()) > self._rows_max:
            number = next(iter(self._rows))
            del self._rows[number], self._bytes[number]
            self._path(number).unlink()
            dropped.append(number)
        return dropped

    def read(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of a segment."""
        if number == OPEN:
            table = pa.concat_tables(self._open)
            return table if columns is None else table.select(columns)
        with pa.OSFile(str(self._path(number))) as file:
            options = pa.ipc.IpcReadOptions()
            if columns is not None:
                schema = pa.ipc.open_file(file).schema
                options.included_fields = sorted(map(schema.get_field_index, columns))
            return pa.ipc.open_file(file, options=options).read_all()

    def replace(self, number: int, rows: pa.Table) -> None:
        """Put others in place of the rows of a segment."""
        if number == OPEN:
            self._open = [rows] if len(rows) else []
        else:
            self._write(number, rows)

    def clear(self) -> None:
        """Remove all files."""
        self._rows, self._bytes, self._open = {}, {}, []
        self._folder.cleanup()

    def _path(self, number: int) -> Path:
        return Path(self._folder.name) / f"{number}.arrow"

    def _write(self, number: int, rows: pa.Table) -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        path = self._path(number)
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, rows.schema, options=options) as out,
        ):
            out.write_table(rows)
        self._rows[number], self._bytes[number] = len(rows), path.stat().st_size
        most = self._budget.spill_bytes
        if most is not None and sum(self._bytes.values()) > most:
            raise OutOfBudgetError(self._budget.exceeded())
