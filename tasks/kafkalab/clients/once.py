"""Making a folder of the cache once, whole or not at all, whoever else wants it at the same time.

It is made in a scratch folder beside its place, under a lock of its own, and renamed when it is
complete: a half-finished one is never seen, let alone used.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from kafkalab.model.errors import InfrastructureError

WAIT_S = 600.0  # how long another process may take over the same folder


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder; `make` fills it where it is not there yet.

    Raises:
        InfrastructureError: another process has been making it for too long.
        Whatever `make` raises; then nothing is left of it.
    """
    if folder.is_dir():
        return folder
    from filelock import FileLock, Timeout  # what is there needs no lock

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock", timeout=WAIT_S)
    try:
        with lock:
            if not folder.is_dir():
                _make(folder, make)
    except Timeout as error:
        raise InfrastructureError(
            f"{lock.lock_file}: expected another process to finish {folder.name} within "
            f"{WAIT_S:g} s, it did not. End that process and try again."
        ) from error
    return folder


def _make(folder: Path, make: Callable[[Path], None]) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        make(scratch)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
