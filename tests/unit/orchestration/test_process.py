from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from kafkalab.orchestration.process import LINE_BYTES_MAX, Child, Ended, Stream


def run(code: str, **env: str) -> tuple[Ended, list[tuple[Stream, str]]]:
    seen: list[tuple[Stream, str]] = []
    child = Child(
        [sys.executable, "-c", code], {**os.environ, **env}, lambda s, line: seen.append((s, line))
    )
    child.start()
    return child.wait(60), seen


def test_streams_stay_apart_and_the_exit_code_is_kept() -> None:
    ended, seen = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (3, ("out",), ("err",))
    assert sorted(seen) == [("stderr", "err"), ("stdout", "out")]


def test_lines_come_while_the_command_runs() -> None:
    came: list[float] = []
    code = "import time; print('a', flush=True); time.sleep(1.5); print('b', flush=True)"
    child = Child(
        [sys.executable, "-c", code], os.environ, lambda *_: came.append(time.monotonic())
    )
    child.start()
    child.wait(60)
    assert came[1] - came[0] > 1.0


def test_a_flood_keeps_memory_bounded_and_loses_no_line() -> None:
    ended, seen = run("import sys\nfor i in range(50_000): print(i, file=sys.stderr)\nprint('end')")
    assert len(seen) == 50_001
    assert ended.stdout == ("end",)
    assert len(ended.stderr) < 1_000


def test_a_line_without_end_is_cut_and_garbage_is_shown() -> None:
    size = 3 * LINE_BYTES_MAX
    ended, seen = run(f"import sys; sys.stdout.buffer.write(b'\\xff' + b'x' * {size})")
    assert ended.exit_code == 0
    assert seen[0][1].startswith("\\xff")
    assert max(len(line) for _, line in seen) <= LINE_BYTES_MAX + 3


def test_a_grandchild_that_keeps_the_pipes_does_not_hold_the_caller_up() -> None:
    code = (
        "import subprocess, sys;"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True); print(p.pid)"
    )
    started = time.monotonic()
    ended, _ = run(code)
    try:
        assert time.monotonic() - started < 30
        assert psutil.pid_exists(int(ended.stdout[0])), "what a step leaves running is not ended"
    finally:
        os.kill(int(ended.stdout[0]), signal.SIGKILL)


@pytest.mark.parametrize("deaf", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN);"])
def test_kill_ends_the_whole_group(deaf: str) -> None:
    code = (
        f"import signal, subprocess, sys, time; {deaf}"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    pids: list[int] = []
    ready = threading.Event()

    def line(_: Stream, text: str) -> None:
        pids.append(int(text))
        ready.set()

    child = Child([sys.executable, "-c", code], os.environ, line)
    child.start()
    waiter: list[Ended] = []
    thread = threading.Thread(target=lambda: waiter.append(child.wait(60)))
    thread.start()
    assert ready.wait(30)
    assert child.kill(1.0)
    thread.join(30)
    assert waiter[0].exit_code == (-signal.SIGKILL if deaf else -signal.SIGTERM)
    assert not _runs(pids[0])
    assert not child.kill(1.0), "there is nothing left to end"


def test_kill_before_the_start_is_nothing() -> None:
    assert not Child(["x"], {}, lambda *_: None).kill(1.0)


def test_waiting_has_a_limit() -> None:
    child = Child(
        [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, lambda *_: None
    )
    child.start()
    with pytest.raises(TimeoutError):
        child.wait(0.3)
    assert child.kill(1.0)


def test_a_command_does_not_outlive_who_waits_for_it() -> None:
    code = (
        "import os, sys; from kafkalab.orchestration.process import Child;"
        "c = Child([sys.executable, '-c', 'import time; time.sleep(60)'], os.environ, print);"
        "c.start(); print(c.pid, flush=True); c.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _runs(pid)
        parent.kill()
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
