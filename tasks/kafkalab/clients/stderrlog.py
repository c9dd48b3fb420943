"""What a driver writes to stderr: kept in a file of bounded size, its end kept for error messages.

A driver may flood stderr for hours. The head of it says how it started and is kept up to a limit;
what follows is drained, so that the driver never blocks on it, and only counted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

LOG_BYTES_MAX = 8 * 1024 * 1024
_TAIL_BYTES = 4096
_CHUNK_BYTES = 65536


class StderrLog:
    """Drains one stderr into one file; `drain` runs in a thread of its own."""

    def __init__(self, path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.dropped_bytes = 0
        self._bytes_max = bytes_max
        self._kept_bytes = 0
        self._tail = b""

    def drain(self, stream: IO[bytes]) -> None:
        """Read until the end of the stream; a broken pipe ends it too."""
        with self.path.open("ab") as log:
            while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
                self._keep(log, chunk)
            if self.dropped_bytes:
                log.write(f"\n[{self.dropped_bytes} bytes more were not kept]\n".encode())

    def _keep(self, log: IO[bytes], chunk: bytes) -> None:
        self._tail = (self._tail + chunk)[-_TAIL_BYTES:]
        kept = chunk[: max(self._bytes_max - self._kept_bytes, 0)]
        self._kept_bytes += len(kept)
        self.dropped_bytes += len(chunk) - len(kept)
        log.write(kept)
        log.flush()

    def last_lines(self, count: int = 5) -> str:
        """The last lines seen, for an error message; each cut to 300 characters."""
        lines = self._tail.decode("utf-8", "replace").splitlines()[-count:]
        return "\n".join(f"  {line[:300]}" for line in lines)
