"""One driver process: JSON lines in and out, and no way for a bad driver to hang the lab.

The lab never trusts a driver. Four threads stand between them: one drains stderr, one writes
commands from a bounded queue (a driver that does not read its stdin blocks only that thread), one
parses events, one waits for the exit. Whatever goes wrong (a line that is no JSON or too long, an
answer to nothing, a closed stdout, an exit) breaks the driver: it is killed, and every pending
future fails with a `DriverError` that says what was seen, with the last lines of stderr.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import orjson

from kafkalab.clients.contract import COMPLETIONS, Command, Event, Reply, hello_problem
from kafkalab.clients.spawn import spawn
from kafkalab.clients.stderrlog import StderrLog
from kafkalab.model.errors import DriverError

LINE_BYTES_MAX = 64 * 1024 * 1024
QUEUED_BYTES_MAX = 256 * 1024 * 1024
_DRAIN_S = 5.0  # after the exit: how long what is still in its pipes may take to read

_log = logging.getLogger(__name__)


class Driver:
    """A running driver, made by `Driver.start`. Any thread may call any method."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        name: str,
        on_event: Callable[[Event], None],
        log: Path,
    ) -> None:
        self.name = name
        self.log = log
        self.pid = process.pid
        self._process = process
        self._on_event = on_event
        self._stderr = StderrLog(log)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()  # guards _pending, _broken, _queued_bytes
        self._pending: dict[int, Future[Reply]] = {}
        self._broken: DriverError | None = None
        self.exited_unasked: int | None = None  # exit code, when it ended by itself
        self._queued_bytes = 0
        self._commands: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._hello: Future[Event] = Future()
        self._dead = threading.Event()  # the process is gone
        self._exited = threading.Event()  # and what it left in its pipes was read
        self._threads = {
            what: threading.Thread(target=target, name=f"driver-{name}-{what}", daemon=True)
            for what, target in (
                ("stdin", self._write),
                ("stdout", self._read),
                ("stderr", self._drain),
                ("exit", self._watch),
            )
        }

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        name: str,
        on_event: Callable[[Event], None],
        log: Path,
        hello_timeout_s: float = 30.0,
    ) -> Driver:
        """Start a driver and wait for its `hello`.

        Args:
            argv: command; `env` is laid over the lab's own environment (KAFKALAB_RUN_ID included).
            env: extra environment variables.
            name: for messages and threads, unique in a run.
            on_event: gets every event in order of arrival, before its future resolves. It runs in
                the reader thread: it must be quick, and what it raises breaks the driver.
            log: file for stderr, bounded.
            hello_timeout_s: time limit for the first event.

        Raises:
            DriverError: it cannot be started, says nothing, or does not speak contract version 1.
        """
        try:
            process = spawn(argv, {**os.environ, **env})
        except (OSError, subprocess.SubprocessError) as error:
            raise DriverError(f"driver {name}: cannot start {' '.join(argv)}: {error}") from error
        driver = cls(process, name, on_event, log)
        for thread in driver._threads.values():
            thread.start()
        try:
            driver._hello.result(hello_timeout_s)
        except TimeoutError as error:
            driver._break(f"sent no hello within {hello_timeout_s:g} s")
            raise driver._failure() from error
        return driver

    @property
    def hello(self) -> Event:
        """The `hello` event."""
        return self._hello.result(0)

    def last_lines(self, count: int = 5) -> str:
        """The last lines of its stderr."""
        return self._stderr.last_lines(count)

    def alive(self) -> bool:
        """Whether the process runs and has kept to the contract so far."""
        return self._broken is None and not self._exited.is_set()

    def submit(self, op: str, client: str | None = None, **fields: Any) -> Command:
        """Send a command and return at once; a broken driver gives a future that has failed."""
        future = Command(next(self._ids))
        command: dict[str, Any] = {"id": future.op_id, "op": op, **fields}
        if client is not None:
            command["client"] = client
        line = orjson.dumps(command, option=orjson.OPT_APPEND_NEWLINE)
        with self._lock:
            if self._broken is None and self._queued_bytes + len(line) <= QUEUED_BYTES_MAX:
                self._pending[command["id"]] = future
                self._queued_bytes += len(line)
                self._commands.put(line)
                return future
        if self._broken is None:
            self._break(f"does not read its stdin: {self._queued_bytes} bytes of commands wait")
        future.set_exception(self._failure())
        return future

    def call(
        self, op: str, client: str | None = None, *, timeout_s: float = 30.0, **fields: Any
    ) -> Reply:
        """Send a command and wait for its completion.

        Raises:
            DriverError: no completion within `timeout_s` (the driver lives on, the caller decides),
                or the driver broke.
        """
        future = self.submit(op, client, **fields)
        try:
            return future.result(timeout_s)
        except TimeoutError as error:
            raise DriverError(
                f"driver {self.name}: {op} of {client or 'the driver'} was not answered within "
                f"{timeout_s:g} s. Its log: {self._stderr.path}\n{self._stderr.last_lines()}"
            ) from error

    def terminate(self, timeout_s: float = 20.0) -> int:
        """SIGTERM, and SIGKILL after `timeout_s`, which is logged; returns the exit code (−9)."""
        with self._lock:
            if self._broken is None:
                self._broken = DriverError(f"driver {self.name}: was terminated by the lab.")
        self._commands.put(None)
        self._signal(signal.SIGTERM)
        if not self._exited.wait(timeout_s):
            _log.warning(
                "driver %s did not exit within %g s of SIGTERM: it is killed", self.name, timeout_s
            )
            return self.kill()
        return self._process.returncode

    def kill(self) -> int:
        """SIGKILL to the driver and its children: a crash. Returns the exit code."""
        with self._lock:
            if self._broken is None:
                self._broken = DriverError(f"driver {self.name}: was killed by the lab.")
        self._signal(signal.SIGKILL)
        self._exited.wait(_DRAIN_S * 3)
        return self._process.returncode

    # The four threads.

    def _write(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        # A driver that died closes the pipe: the exit thread says why, so nothing is lost here.
        with contextlib.suppress(BrokenPipeError):
            while (line := self._commands.get()) is not None:
                stdin.write(line)
                stdin.flush()
                with self._lock:
                    self._queued_bytes -= len(line)
        with contextlib.suppress(BrokenPipeError):
            stdin.close()

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        while line := stdout.readline(LINE_BYTES_MAX + 1):
            if len(line) > LINE_BYTES_MAX:
                return self._break(f"wrote a line of more than {LINE_BYTES_MAX} bytes")
            if not line.endswith(b"\n"):
                break  # cut by the exit: the exit thread reports it
            if not self._handle(line):
                return None
        if not self._dead.wait(_DRAIN_S):
            self._break("closed its stdout but did not exit")
        return None

    def _drain(self) -> None:
        assert self._process.stderr is not None
        self._stderr.drain(self._process.stderr)

    def _watch(self) -> None:
        # WNOWAIT leaves the zombie, so that its process group cannot be someone else's yet.
        with contextlib.suppress(ChildProcessError):  # someone else in this process waited for it
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        self._signal(signal.SIGKILL)  # children that it left behind, which hold its pipes open
        code = self._process.wait()
        self._dead.set()
        self._commands.put(None)
        for what in ("stderr", "stdout"):
            self._threads[what].join(_DRAIN_S)
        with self._lock:
            if self._broken is None:
                self.exited_unasked = code
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        self._break(f"{how} without being asked to")
        self._exited.set()

    # Parsing and failing.

    def _handle(self, line: bytes) -> bool:
        try:
            event = _parsed(line)
            kind = event["type"]
            time_ns = event["t"]
        except (ValueError, KeyError, TypeError):
            self._break(f"wrote a line that is no event of the contract: {line[:200]!r}")
            return False
        if not self._hello.done() and (problem := hello_problem(event)):
            self._break(problem)
            return False
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 the observer's failure must end the run, not the thread
            self._break(f"its event could not be taken: {error!r}", error)
            return False
        if kind == "hello":
            self._hello.set_result(event)
        if kind in COMPLETIONS:
            reply = Reply(kind, event.get("id", -1), event, event.get("error"), time_ns)
            with self._lock:
                future = self._pending.pop(reply.id, None)
            if future is None:
                self._break(f"answered a command that is not open: {line[:200]!r}")
                return False
            future.set_result(reply)
        return True

    def _break(self, what: str, cause: BaseException | None = None) -> None:
        """Record the first reason, kill the process, fail everything that waits."""
        with self._lock:
            if self._broken is None:
                lines = self._stderr.last_lines()
                text = f"driver {self.name}: {what}. Its log: {self._stderr.path}"
                self._broken = DriverError(f"{text}\n{lines}" if lines else text)
                self._broken.__cause__ = cause
            pending, self._pending = list(self._pending.values()), {}
        self._signal(signal.SIGKILL)
        for future in pending:
            future.set_exception(self._failure())
        if not self._hello.done():
            self._hello.set_exception(self._failure())

    def _failure(self) -> DriverError:
        """A fresh error each time: one that is raised twice would collect both tracebacks."""
        broken = self._broken or DriverError(f"driver {self.name}: is not running.")
        failure = DriverError(*broken.args)
        failure.__cause__ = broken.__cause__
        return failure

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if not self._dead.is_set():
                os.killpg(self.pid, number)


def _parsed(line: bytes) -> Any:
    """One line of JSON; raises `ValueError`."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line)  # takes NaN and lone surrogates, which are no reason to give up
