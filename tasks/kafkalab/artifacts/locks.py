"""One writer of a key at a time on the embedded server, which does not see to it alone.

S3Proxy 4.1.0 takes `If-None-Match: *` atomically, but looks at `If-Match` first and replaces the
object later: of 16 writers that started together, between 2 and 16 won in 29 of 40 rounds. All
writers of an embedded server share its folder, containers too, so a file lock makes up for it.

Elsewhere the server is trusted. AWS S3 documents both conditions as atomic; other servers have
had this race (https://github.com/versity/versitygw/pull/2288), so `check_conditions` asks one, for
`doctor`. What must be right on any server (baselines) rests on `If-None-Match: *` alone.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from kafkalab.artifacts.s3 import Conflict, StoreError

_WAIT_S = 60.0  # others may each need their bounded tries on a slow store
_POLL_S = 0.01
_WRITERS = 16
_ROUNDS = 5


class _Writer(Protocol):
    def put_if(self, key: str, data: bytes, etag: str | None) -> str:
        """As `Store.put_if`."""


def check_conditions(store: _Writer, prefix: str = "doctor/") -> None:
    """Let 16 writers race for one object, ten times; returns when one won each time.

    It leaves five small objects under `prefix`.

    Raises:
        StoreError: several writers won: replaced objects (the index, current baselines and reports)
            could lose a change on this server.
    """
    for _ in range(_ROUNDS):
        key, etag = f"{prefix}{uuid.uuid4().hex}", None
        for condition in ("If-None-Match", "If-Match"):
            winners = _race(store, key, etag)
            if len(winners) != 1:
                raise StoreError(
                    f"store: {_WRITERS} writers raced with {condition}: expected one to win, "
                    f"{len(winners)} did. This server checks conditions without a lock: update "
                    "it, use another, or let one run at a time write to it."
                )
            etag = winners[0]


def _race(store: _Writer, key: str, etag: str | None) -> list[str]:
    """ETags of the writers that won."""
    barrier = threading.Barrier(_WRITERS)

    def write(n: int) -> str | None:
        barrier.wait()
        try:
            return store.put_if(key, f"{etag} {n}".encode(), etag)
        except Conflict:
            return None

    with ThreadPoolExecutor(_WRITERS) as pool:
        return [won for won in pool.map(write, range(_WRITERS)) if won is not None]


@contextmanager
def alone(folder: Path, key: str) -> Iterator[None]:
    """Keep every other process of this host from replacing a key while the block runs.

    Raises:
        StoreError: others held it for a minute.
    """
    folder.mkdir(exist_ok=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    lock = FileLock(folder / name, timeout=_WAIT_S, poll_interval=_POLL_S)
    try:
        with lock:
            yield
    except Timeout as error:
        raise StoreError(
            f"store: could not replace {key}: others held {lock.lock_file} for {_WAIT_S:.0f} s. "
            "See who does (`fuser`), then try again."
        ) from error
