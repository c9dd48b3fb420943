"""One command as a child in a process group of its own, its output passed on line by line.

Airflow's own `SubprocessHook` merges stderr into stdout and keeps one line; a step needs the two
apart (stdout ends with the result, stderr is for people) and a kill that is certain: the group gets
SIGTERM, a bounded time to close its clients, then SIGKILL.

Both pipes are read by threads into one bounded queue, so that a child that floods one of them is
slowed down by its reader and not buffered without limit, and neither pipe can block the other.
A grandchild that inherited the pipes cannot hold the caller up after the command itself has ended.

The kernel tells the command when its parent dies (`kill -9` of a scheduler or of an executor's
worker), so that no step works on for a task that nobody waits for.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Literal

import psutil

from kafkalab.runtime.guard import LIBC

Stream = Literal["stdout", "stderr"]
LINE_BYTES_MAX = 64 * 1024  # a longer line is passed on in pieces
QUEUED_LINES_MAX = 1_000
TAIL_LINES_MAX = 200  # what a caller can still look at when the command has ended
_PR_SET_PDEATHSIG = 1
DRAIN_SECONDS = 2.0  # how long pipes may stay open after the command itself has ended


@dataclass(frozen=True)
class Ended:
    """How a command ended and the last lines that it wrote."""

    exit_code: int  # negative: the number of the signal that ended it
    stdout: tuple[str, ...]
    stderr: tuple[str, ...]


@dataclass
class Child:
    """A running command; `start` once, then `wait`; `kill` from anywhere, any number of times."""

    argv: Sequence[str]
    env: Mapping[str, str]
    on_line: Callable[[Stream, str], None]
    orphan_signal: signal.Signals = signal.SIGTERM  # what it gets when its parent dies
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _lines: queue.Queue[tuple[Stream, str]] = field(
        default_factory=lambda: queue.Queue(QUEUED_LINES_MAX), init=False
    )
    _readers: list[threading.Thread] = field(default_factory=list, init=False)

    @property
    def pid(self) -> int | None:
        """Process id, which is also the id of the process group; None before the start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the command; raises `OSError` when it cannot be started."""
        self._process = subprocess.Popen(
            list(self.argv),
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=self._tell_orphan,  # noqa: PLW1509 - one system call, no lock is taken
        )
        pipes: tuple[tuple[Stream, IO[bytes] | None], ...] = (
            ("stdout", self._process.stdout),
            ("stderr", self._process.stderr),
        )
        for name, pipe in pipes:
            assert pipe is not None
            reader = threading.Thread(target=self._read, args=(name, pipe), daemon=True)
            reader.start()
            self._readers.append(reader)

    def _tell_orphan(self) -> None:
        LIBC.prctl(_PR_SET_PDEATHSIG, int(self.orphan_signal), 0, 0, 0)

    def _read(self, name: Stream, pipe: IO[bytes]) -> None:
        with pipe:
            while raw := pipe.readline(LINE_BYTES_MAX):
                self._lines.put((name, raw.decode("utf-8", errors="backslashreplace").rstrip()))

    def wait(self, seconds_max: float = math.inf) -> Ended:
        """Pass lines on until the command has ended and its pipes are drained.

        Raises:
            TimeoutError: it had not ended after `seconds_max`; it still runs.
        """
        process = self._process
        assert process is not None, "start() comes before wait()"
        tails: dict[Stream, deque[str]] = {
            "stdout": deque(maxlen=TAIL_LINES_MAX),
            "stderr": deque(maxlen=TAIL_LINES_MAX),
        }
        idle_after_end = 0.0
        deadline = time.monotonic() + seconds_max
        while True:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.argv[0]} had not ended after {seconds_max:.0f} s")
            try:
                name, line = self._lines.get(timeout=0.1)
            except queue.Empty:
                if process.poll() is None:
                    continue
                idle_after_end += 0.1
                if idle_after_end >= DRAIN_SECONDS or not self._reading():
                    break
                continue
            tails[name].append(line)
            self.on_line(name, line)
        return Ended(process.returncode, tuple(tails["stdout"]), tuple(tails["stderr"]))

    def _reading(self) -> bool:
        return any(r.is_alive() for r in self._readers) or not self._lines.empty()

    def kill(self, grace_seconds: float) -> bool:
        """End the whole group: SIGTERM, after the grace SIGKILL; True if anything was alive."""
        if self._process is None or not self._members():
            return False
        self._signal(signal.SIGTERM)
        self._await_end(grace_seconds)
        if self._members():
            self._signal(signal.SIGKILL)
            self._await_end(1.0)
        return True

    def _await_end(self, seconds: float) -> None:
        assert self._process is not None
        deadline = time.monotonic() + seconds
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Not by psutil, which would reap it and leave its exit code unknown here.
            self._process.wait(seconds)
        psutil.wait_procs(self._members(), timeout=max(0.0, deadline - time.monotonic()))

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return  # it ended in between, which is what was wanted

    def _members(self) -> list[psutil.Process]:
        assert self._process is not None
        self._process.poll()  # reap it, or it would be counted as a zombie
        group = self._process.pid
        return [p for p in psutil.process_iter() if p.pid != os.getpid() and _in_group(p, group)]


def _in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
