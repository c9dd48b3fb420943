"""What a person sees while a step runs: one line per event on stderr, and the same as data.

The lines end in the task's log in the Airflow UI; the file `progress.jsonl` of the run lets
`kafkalab run` show all tasks of a run live, whichever process they run in.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from kafkalab.runtime import paths


def progress_file(run_id: str) -> Path:
    """Where the progress of a run is appended, one JSON object a line."""
    return paths.home() / "runs" / run_id / "progress.jsonl"


class Progress:
    """Says what happens; safe to call from several threads, each line is written at once."""

    def __init__(self, run_id: str, step: str, cell: str = "", quiet: bool = False) -> None:
        self._file = progress_file(run_id)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._step = step
        self._cell = cell
        self._quiet = quiet

    def __call__(self, text: str) -> None:
        """One event for a person."""
        self.event("progress", text=text)

    def event(self, kind: str, **fields: object) -> None:
        """One event as data: kind `started`, `progress` or `ended`."""
        record = {
            "time": time.time(), "step": self._step, "cell": self._cell, "kind": kind, **fields
        }  # fmt: skip
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        if not self._quiet:
            now = datetime.now(UTC).strftime("%H:%M:%S")
            text = fields.get("text") or " ".join(f"{k}={v}" for k, v in fields.items())
            label = self._cell or self._step
            sys.stderr.write(f"{now} {label}: {text}\n")
            sys.stderr.flush()
