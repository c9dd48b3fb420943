"""JSON files that several processes share: replaced whole, by one writer at a time."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_LOCK_S = 30.0


def replace_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file under another name, to the disk, and rename it: readers never see half of it."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """The content of a file; `{}` when there is none or it is no JSON; raises other `OSError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """One writer at a time in a folder; the kernel lets go when a writer dies.

    Raises:
        TimeoutError: another process has held it for half a minute.
    """
    from filelock import FileLock  # it imports asyncio, and guards only read

    with FileLock(folder / ".lock", timeout=_LOCK_S):
        yield
