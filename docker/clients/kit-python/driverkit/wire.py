"""The driver's stdout: one JSON object a line, each written whole, with the time it happened.

A pipe that nobody reads blocks the thread that reports, and that client with it; nothing is
dropped. Whatever else prints (the client's C library, a stray print) goes to stderr: the real
stdout is moved away before the client is used.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Wire:
    """Writes events; any thread may use it."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._fd = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def emit(self, kind: str, /, **fields: object) -> None:
        """Write one event, stamped with CLOCK_MONOTONIC."""
        fields["type"] = kind
        fields["t"] = time.monotonic_ns()
        self._put(_encode(fields).encode() + b"\n")

    def _put(self, line: bytes) -> None:
        with self._lock:
            while line:
                line = line[os.write(self._fd, line) :]

    def close(self, _timeout_s: float) -> None:
        """Nothing waits here: what was emitted has been written."""
