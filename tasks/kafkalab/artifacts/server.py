"""The embedded S3 server: what makes the lab work with nothing else installed.

S3Proxy on the lab's own JRE, on loopback, storing plain files. One server serves every process of
this `home()`: who asks first starts it (under a file lock), later callers find it healthy and
reuse it. Each holder says for how long it needs the server. The server runs under a guard whose
lease lasts as long as the longest holder's, so it ends by itself when the last holder is
released, or has died without a word. A process in a container does not come here: it is given the
server's address in its environment (`StoreEndpoint.env`).

    home()/store/endpoint.json         port and keys, made once, readable by their owner only
    home()/store/holders.json          holder → until when
    home()/store/data/<bucket>/<key>   the objects, also readable as files
    home()/store/server.log
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from kafkalab.artifacts import address, holders, s3
from kafkalab.artifacts.address import StoreEndpoint
from kafkalab.artifacts.bucket import Bucket
from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import guard, java, lease, maven, pins

__all__ = [
    "StoreEndpoint",
    "default_holder",
    "ensure_server",
    "ensure_until_exit",
    "release_server",
    "serving",
]

HEAP_MB = 256
_START_S = 60.0
_LOCK_S = 120.0
_LINGER_S = 5.0  # a process that was killed can look alive while the kernel clears its memory
_STARTING = "starting"  # holder until the server is ready, however short its first holder's time
_NAME = "s3proxy"
_PROCESS = "pid-"
_MAIN = "org.gaul.s3proxy.Main"


def ensure_server(holder: str | None = None, seconds: float = lease.SECONDS) -> StoreEndpoint:
    """The embedded server, started when it does not run, and kept for this holder.

    Args:
        holder: who needs it, such as a run id; None: `default_holder()`.
        seconds: for how long from now; asking again extends it.

    Raises:
        UsageError: KAFKALAB_S3_PORT is not a port, or another program has it.
        InfrastructureError: the server does not start (the end of its log is in the message), or
            it runs and does not answer.
    """
    holder = holder or default_holder()
    with _exclusive():
        found = address.existing()
        if found is not None and _is_kept():
            _check_port(found)
            holders.hold(address.folder(), holder, seconds)
            if _answers(found):
                return found
        found = _start(found)
        holders.hold(address.folder(), holder, seconds)
        holders.release(address.folder(), _STARTING)
        return found


def release_server(holder: str | None = None) -> None:
    """Say that a holder needs the server no more; with the last one it ends before this returns."""
    if not address.folder().is_dir():
        return
    with _exclusive():
        if not holders.release(address.folder(), holder or default_holder()):
            _end()


@contextmanager
def serving(holder: str | None = None, seconds: float = lease.SECONDS) -> Iterator[StoreEndpoint]:
    """The server for as long as the block runs, however long: the lease is renewed meanwhile.

    Raises:
        InfrastructureError: as `ensure_server`; at the end of the block when a renewal failed.
    """
    holder = holder or default_holder()
    endpoint = ensure_server(holder, seconds)
    try:
        with holders.renewing(lambda: ensure_server(holder, seconds), seconds / 3):
            yield endpoint
    finally:
        release_server(holder)


@functools.cache
def ensure_until_exit() -> StoreEndpoint:
    """The server for as long as this process lives, under `default_holder()`.

    A thread renews the lease. A holder that stands for this process alone is released when it
    exits; a run's stays for a while, so that its next step finds the server warm.
    """
    holder = default_holder()
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    if holder.startswith(_PROCESS):
        return stack.enter_context(serving(holder))
    endpoint = ensure_server(holder)
    stack.enter_context(holders.renewing(lambda: ensure_server(holder), lease.SECONDS / 3))
    return endpoint


def default_holder() -> str:
    """The run that started this process, or the process itself."""
    return os.environ.get(guard.RUN_VARIABLE) or f"{_PROCESS}{os.getpid()}"


@contextmanager
def _exclusive() -> Iterator[None]:
    address.folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(address.folder() / ".lock", timeout=_LOCK_S)
    try:
        with lock:
            yield
    except Timeout as error:
        raise InfrastructureError(
            f"{lock.lock_file}: expected another process to finish starting the embedded store "
            f"within {_LOCK_S:.0f} s, it did not. See which process holds the file (`fuser`), end "
            "it, and try again."
        ) from error


def _guard() -> guard.GuardHandle | None:
    """The guard that was started last, running or not; None before the first."""
    folder = address.folder() / f"guard-{_NAME}"
    if not (folder / "status.json").exists():
        return None
    return guard.GuardHandle.load(folder)


def _is_kept() -> bool:
    """Whether the server runs and will go on: its lease is valid, so its guard is not ending it."""
    handle, current = _guard(), lease.Lease.load(holders.LEASE)
    if handle is None or current is None or current.expired():
        return False
    return handle.alive() and _NAME in handle.pids and not handle.ending()


def _end() -> None:
    handle = _guard()
    if handle is not None:
        handle.end()


def _check_port(found: StoreEndpoint) -> None:
    if address.wanted_port() not in (0, found.port):
        raise UsageError(
            f"{address.PORT_VARIABLE}={address.wanted_port()}: the embedded store runs already, on "
            f"port {found.port}, for {', '.join(holders.names(address.folder())) or 'nobody'}. "
            f"Wait until they have ended, or unset {address.PORT_VARIABLE}."
        )


def _bucket(found: StoreEndpoint) -> Bucket:
    place = s3.Place(found.endpoint, found.bucket, found.data_dir)
    client = s3.connect(found.endpoint, found.access_key, found.secret_key, tries=1)
    return Bucket(client, place)


def _answers(found: StoreEndpoint) -> bool:
    """Whether the bucket is there; False when the server turns out to be dead or dying."""
    bucket = _bucket(found)
    for attempt in _while_unavailable(_LINGER_S):
        with attempt:
            if not _is_kept():
                return False
            bucket.create()
    return True


def _start(before: StoreEndpoint | None) -> StoreEndpoint:
    _end()  # a guard whose server was killed, or whose lease has just passed
    found = address.prepare(before)
    log = address.folder() / "server.log"
    program = guard.Program(_NAME, tuple(_command()), log)
    current = holders.hold(address.folder(), _STARTING, _START_S)
    handle = guard.start_guarded(_NAME, current, [program], address.folder())
    try:
        _await_ready(found, handle, log)
    except BaseException:
        handle.end()
        raise
    return found


def _command() -> list[str]:
    jars = maven.resolve([pins.load().artifacts[_NAME]])
    properties = str(address.folder() / "s3proxy.properties")
    # A store is idle most of the time: the small compiler and collector halve its memory.
    jvm = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return java.java_command(jars, _MAIN, "--properties", properties, heap_mb=HEAP_MB, jvm=jvm)


def _await_ready(found: StoreEndpoint, handle: guard.GuardHandle, log: Path) -> None:
    bucket = _bucket(found)

    def poll() -> None:
        if _NAME not in handle.pids:
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise InfrastructureError(
                f"expected the embedded store to start, it ended with code "
                f"{handle.stop(_NAME)}. The end of {log}:\n{tail}"
            )
        bucket.create()

    _while_unavailable(_START_S)(poll)


def _while_unavailable(seconds: float) -> Retrying:
    return Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, s3.StoreError) and e.unavailable),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.1),
        reraise=True,
    )
