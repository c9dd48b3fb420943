"""What judging one history may take: memory, threads, disk to spill to.

The engine keeps to it by itself: what does not fit in memory goes to disk, and what does not fit
there either ends as an error of its own (`out_of_budget` knows it), so that the claim is *unknown*
and says what was missing. Never a crash of the process, never a pass.

Each check spills into a folder of its own name: engines that share one take each other's files
for leftovers and remove them.
"""

from __future__ import annotations

import re
import tempfile
import uuid
from dataclasses import dataclass
from typing import Any

import duckdb

_UNITS = {
    "": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)
LEAST_BYTES = 32 * 2**20  # the engine's own buffers take about as much


@dataclass(frozen=True)
class Budget:
    """Limits of one check. Raises ValueError where a limit makes no sense."""

    memory_bytes: int = 2 * 10**9  # of the engine; beyond it, it spills
    threads: int = 2
    spill_folder: str = ""  # the host's folder for temporary files where empty
    spill_bytes: int | None = None  # most of it; None: nine tenths of what is free there

    def __post_init__(self) -> None:
        if self.memory_bytes < LEAST_BYTES:
            raise ValueError(
                f"expected at least {size_text(LEAST_BYTES)} of memory, "
                f"found {size_text(self.memory_bytes)}"
            )
        if self.threads < 1:
            raise ValueError(f"expected at least one thread, found {self.threads}")

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A new in-memory connection that keeps to it.

        The limit of the folder is set afterwards: given as the others are, DuckDB 2.0 shows it and
        spills without limit.
        """
        folder = self.spill_folder or tempfile.gettempdir()
        settings: dict[str, Any] = {
            "memory_limit": f"{self.memory_bytes}B",
            "threads": self.threads,
            "temp_directory": f"{folder}/kafkalab-check-{uuid.uuid4().hex}",
        }
        connection = duckdb.connect(":memory:", config=settings)
        connection.execute("SET enable_progress_bar = false")  # it writes to stdout
        if self.spill_bytes is not None:
            connection.execute(f"SET max_temp_directory_size = '{self.spill_bytes}B'")
        return connection

    def exceeded(self) -> str:
        """The sentence for who asked a question that did not fit."""
        disk = "" if self.spill_bytes is None else f"{size_text(self.spill_bytes)} of "
        place = self.spill_folder or "the folder for temporary files"
        return (
            f"out of budget: {size_text(self.memory_bytes)} of memory and {disk}disk in {place} "
            "did not suffice. Allow more memory (--memory 8GiB), spill to a larger disk "
            "(--spill DIR), or judge fewer claims at a time (--claims)"
        )


def out_of_budget(error: BaseException) -> bool:
    """Whether it was the budget that did not suffice, in memory or on disk."""
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
        return True
    return isinstance(error, duckdb.IOException | OSError) and "No space left" in str(error)


def size_bytes(text: str) -> int:
    """`2GiB`, `500 MB`, `1.5g` as a number of bytes; raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected a size such as 2GiB or 500MB, found '{text}'")
    return int(float(match[1]) * _UNITS[(match[2] or "").lower()])


def size_text(count: int) -> str:
    """A number of bytes for a person: `2.0 GiB`."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
