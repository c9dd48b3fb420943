"""The guard process: starts programs and sees to it that they end; see `guard` for its clients.

    python -m kafkalab.runtime.guard_process SPEC.json

Why a process of its own: a step that is killed with -9 cannot tidy up, and a program that it
started would live on. The guard has the programs as its children. It ends them (SIGTERM, a bounded
grace, SIGKILL) and itself as soon as the run's lease is gone or has expired, or when it is told
to. If the guard is killed with -9, the kernel kills its children (PR_SET_PDEATHSIG); that holds
only while the guard has one thread, since the kernel watches the thread that forked. What the
children started ends up as a child of the guard (PR_SET_CHILD_SUBREAPER) and is ended with them.

Commands come as one JSON line over a Unix socket in the guard's folder, and are answered by one:
`start` {program}, `signal` {name, signal}, `end` {}. State is in `status.json`, replaced by rename.

Imports are kept small (standard library, psutil): the guard lives as long as the run, and it may
not disturb what is measured beside it. For the same reason it never walks /proc while it waits.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from kafkalab.runtime import lease as leases
from kafkalab.runtime.guard import LIBC, RUN_VARIABLE, Program, die_with_parent, started_ticks

_CHECK_S = 0.5  # how often the lease is looked at
_PR_SET_CHILD_SUBREAPER = 36


class _Guard:
    """The loop of the guard process."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.folder = Path(spec["folder"])
        self.lease = Path(spec["lease"])
        self.run_id = str(spec["run_id"])
        self.grace_s = float(spec["grace_s"])
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self.status: dict[str, dict[str, Any]] = {}
        self.last = leases.read(self.lease)  # as it was when it could last be read
        self.ending = ""  # why the guard ends; empty while it does not
        self.programs = [Program.from_dict(raw) for raw in spec["programs"]]

    def run(self) -> None:
        """Start the programs, then serve until there is a reason to end."""
        LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        wake = self._wake_on_signals()
        server = self._listen()
        selector = selectors.DefaultSelector()
        selector.register(wake, selectors.EVENT_READ)
        selector.register(server, selectors.EVENT_READ)
        for program in self.programs:
            self._start(program)
        self._save()
        while not self.ending:
            for key, _ in selector.select(timeout=_CHECK_S):
                if key.fileobj is server:
                    self._serve(server)
                else:
                    wake.recv(4096)
            self._reap()
            self._look_at_lease()
        self._end_all()
        server.close()
        (self.folder / "guard.sock").unlink(missing_ok=True)

    def _wake_on_signals(self) -> socket.socket:
        wake, sender = socket.socketpair()
        sender.setblocking(False)
        self._sender = sender  # the descriptor must stay open
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self._end("SIGTERM"))
        return wake

    def _listen(self) -> socket.socket:
        os.chdir(self.folder)  # a socket's path has 107 bytes at most: bind by a relative one
        Path("guard.sock").unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind("guard.sock")
        Path("guard.sock").chmod(0o600)
        server.listen(16)
        return server

    def _look_at_lease(self) -> None:
        try:
            lease = leases.read(self.lease)
        except OSError as error:
            _log(f"{self.lease} cannot be read ({error}): what it last said holds")
            lease = self.last
        self.last = lease
        if lease is None:
            self._end("the lease is gone")
        elif lease.left_s() <= 0:
            self._end(f"the lease expired {-lease.left_s():.1f} s ago")

    def _end(self, reason: str) -> None:
        self.ending = self.ending or reason

    def _start(self, program: Program) -> str:
        """Start one program; what went wrong, or an empty string."""
        running = self.children.get(program.name)
        if running is not None and running.poll() is None:
            return f"{program.name} runs already, pid {running.pid}"
        entry: dict[str, Any] = {"pid": None, "ticks": None, "exit": None, "error": ""}
        self.status[program.name] = entry
        try:
            program.log.parent.mkdir(parents=True, exist_ok=True)
            with program.log.open("ab") as log:
                child = subprocess.Popen(
                    program.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=program.cwd,
                    env={**os.environ, **program.env, RUN_VARIABLE: self.run_id},
                    start_new_session=True,
                    preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
                )
        except (OSError, subprocess.SubprocessError) as error:
            entry["error"] = f"{error}"
            return str(entry["error"])
        self.children[program.name] = child
        entry["pid"] = child.pid
        entry["ticks"] = started_ticks(child.pid)
        return ""

    def _serve(self, server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(2.0)  # a client that says nothing may not stop the guard
            try:
                request = json.loads(connection.makefile("r", encoding="utf-8").readline())
                error = self._obey(request)
            except (OSError, ValueError, KeyError, TypeError) as problem:
                error = f"not a command: {problem!r}"
            self._reap()
            self._save()
            with suppress(OSError):  # the client may have gone; the state is in the file
                connection.sendall(json.dumps({"error": error}).encode() + b"\n")

    def _obey(self, request: Mapping[str, Any]) -> str:
        if request["op"] == "start":
            return self._start(Program.from_dict(request["program"]))
        if request["op"] == "signal":
            return self._signal(str(request["name"]), int(request["signal"]))
        if request["op"] == "end":
            self._end("asked to")
            return ""
        return f"unknown command {request['op']!r}"

    def _signal(self, name: str, number: int) -> str:
        child = self.children.get(name)
        if child is None or child.poll() is not None:
            return f"{name} does not run"
        child.send_signal(number)
        return ""

    def _reap(self) -> None:
        """Note exits of children, and take the exit of orphans that the guard inherited."""
        changed = False
        for name, child in self.children.items():
            if self.status[name]["exit"] is None and child.poll() is not None:
                self.status[name]["exit"] = child.returncode
                changed = True
        with suppress(ChildProcessError):  # no children at all
            own = {child.pid for child in self.children.values()}
            while peek := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if peek.si_pid in own:
                    break  # it ended since it was polled: the next turn sees it
                os.waitpid(peek.si_pid, 0)
        if changed:
            self._save()

    def _end_all(self) -> None:
        self._save()
        for ask, wait_s in ((signal.SIGTERM, self.grace_s), (signal.SIGKILL, 5.0)):
            deadline = time.monotonic() + wait_s
            left = psutil.Process().children(recursive=True)
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(ask)
                    process.send_signal(signal.SIGCONT)  # a paused one cannot obey
            while left and time.monotonic() < deadline:
                time.sleep(0.05)
                self._reap()  # not psutil's wait: it would take the exit statuses away
                left = [p for p in left if started_ticks(p.pid) is not None]
        self._reap()
        self._save(ended=True)

    def _save(self, *, ended: bool = False) -> None:
        content = {
            "guard": os.getpid(),
            "ticks": started_ticks(os.getpid()),
            "run_id": self.run_id,
            "programs": self.status,
            "ending": self.ending,
            "ended": ended,
        }
        scratch = self.folder / ".status.json"
        try:
            scratch.write_text(json.dumps(content), encoding="utf-8")
            scratch.replace(self.folder / "status.json")
        except OSError as error:  # a full disk is no reason to end what runs
            _log(f"status.json cannot be written: {error}")


def _log(text: str) -> None:
    with suppress(OSError):  # guard.log is on the same disk
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def main(argv: Sequence[str]) -> int:
    """Detach, then guard; the process that was started returns at once."""
    spec = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
    pid = os.fork()
    if pid != 0:
        (Path(spec["folder"]) / "guard.pid").write_text(str(pid), encoding="ascii")
        # Without interpreter shutdown. The guard is nobody's child now, so it leaves no zombie in a
        # step that lives for long.
        os._exit(0)
    os.setsid()
    _Guard(spec).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
