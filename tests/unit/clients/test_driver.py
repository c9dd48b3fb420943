"""Drivers that break the contract in every way must cost a sentence, never a hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kafkalab.clients import driver as driver_module
from kafkalab.clients.driver import Driver
from kafkalab.model.errors import DriverError

PRELUDE = """
import json, os, signal, sys, time
def say(**event):
    sys.stdout.write(json.dumps({"t": time.monotonic_ns(), **event}) + "\\n"); sys.stdout.flush()
def hello(**changed):
    say(**{"type": "hello", "contract": 1, "driver": "fake", "client": {}, "runtime": {},
           "pid": os.getpid(), "wall_ns": 0, "capabilities": [], **changed})
def commands():
    for line in sys.stdin:
        yield json.loads(line)
def answer(command, kind="ok", **fields):
    base = {"id": command["id"], "op": command["op"], "client": command.get("client")}
    say(type="invoke", **base); say(type=kind, **base, **fields)
"""
GOOD = "hello()\nfor command in commands(): answer(command)\n"


@pytest.fixture
def start(tmp_path: Path):
    drivers = []

    def start_one(body: str, *, listen=None, timeout_s: float = 10, env=None) -> Driver:
        script = tmp_path / f"fake{len(drivers)}.py"
        script.write_text(PRELUDE + body)
        seen: list[dict] = []
        driver = Driver.start(
            [sys.executable, str(script)], env or {}, "fake", listen or seen.append,
            tmp_path / "fake.log", timeout_s,
        )  # fmt: skip
        drivers.append(driver)
        driver.seen = seen
        return driver

    yield start_one
    for driver in drivers:
        driver.kill()


def test_a_good_driver_answers_and_events_come_before_their_futures(start):
    order: list[str] = []
    driver = start(GOOD, listen=lambda event: order.append(event["type"]))
    future = driver.submit("open", "p0", role="producer")
    reply = future.result(5)
    assert order == ["hello", "invoke", "ok"]
    assert (reply.type, reply.id, reply.error) == ("ok", future.op_id, None)
    assert reply.raw["client"] == "p0"
    assert driver.hello["pid"] == driver.pid
    assert driver.alive()


def test_commands_carry_their_fields_and_unique_ids(start):
    driver = start("hello()\nfor c in commands(): answer(c, 'fail', error={'message': str(c)})")
    first, second = driver.submit("poll", "c0", max_records=5), driver.submit("clock")
    assert first.op_id != second.op_id
    assert "'max_records': 5" in first.result(5).error["message"]
    assert "client" not in second.result(5).error["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("hello(contract=2)\ntime.sleep(60)", "contract version 2"),
        ("say(type='ok', id=1)\ntime.sleep(60)", "expected hello"),
        ("say(type='hello', contract=1)\ntime.sleep(60)", "lacks driver, client"),
        ("print('Hello, world!', flush=True)\ntime.sleep(60)", "Hello, world!"),
        ("print('[1]', flush=True)\ntime.sleep(60)", "no event of the contract"),
        ("sys.exit(3)", "exited with 3"),
        ("raise RuntimeError('no such library')", "no such library"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
    ],
)
def test_a_driver_that_does_not_greet_is_refused(start, body, words):
    with pytest.raises(DriverError, match=words):
        start(body)


def test_a_silent_driver_is_given_up_and_killed(start, tmp_path):
    began = time.monotonic()
    pid_file = tmp_path / "pid"
    body = f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    with pytest.raises(DriverError, match="sent no hello within 1 s"):
        start(body, timeout_s=1)
    assert time.monotonic() - began < 10
    _wait(lambda: not Path(f"/proc/{pid_file.read_text()}").exists())


def test_a_missing_program_is_named(tmp_path):
    with pytest.raises(DriverError, match="/no/such/program"):
        Driver.start(["/no/such/program"], {}, "x", lambda event: None, tmp_path / "x.log")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("for c in commands(): print('Traceback', flush=True)", "Traceback"),
        ("for c in commands(): say(type='ok', id=999, op='x')", "not open"),
        ("for c in commands(): answer(c); answer(c)", "not open"),
        ("for c in commands(): sys.stderr.write('out of luck'); sys.exit(7)", "out of luck"),
        ("for c in commands(): os.close(1); time.sleep(60)", "closed its stdout"),
        ("for c in commands(): print('x' * 5_000_000, flush=True)", "more than 1000000 bytes"),
        ("for c in commands(): os.write(1, b'{\"half\": '); os._exit(0)", "exited with 0"),
    ],
)  # fmt: skip
def test_a_driver_that_breaks_later_fails_what_waits_for_it(start, monkeypatch, body, words):
    monkeypatch.setattr(driver_module, "LINE_BYTES_MAX", 1_000_000)
    monkeypatch.setattr(driver_module, "_DRAIN_S", 1.0)
    driver = start("hello()\n" + body)
    waiting = driver.submit("hang", "c")
    try:
        waiting.result(15)
        waiting = driver.submit("again", "c")  # this body breaks after its first answer
    except DriverError:
        pass
    with pytest.raises(DriverError, match=words):
        waiting.result(15)
    assert not driver.alive()
    with pytest.raises(DriverError, match=words):
        driver.call("later", "c", timeout_s=5)


def test_a_hang_is_a_timeout_of_the_call_and_the_driver_lives(start):
    driver = start("hello()\nsys.stderr.write('stuck in poll\\n')\nfor c in commands(): pass")
    _wait(lambda: "stuck" in driver._stderr.last_lines())
    with pytest.raises(DriverError, match=r"poll of c0 was not answered within 0.2 s(?s:.*)stuck"):
        driver.call("poll", "c0", timeout_s=0.2)
    assert driver.alive()


def test_a_driver_that_does_not_read_never_blocks_the_lab(start, monkeypatch):
    monkeypatch.setattr(driver_module, "QUEUED_BYTES_MAX", 1_000_000)
    driver = start("hello()\ntime.sleep(60)")
    began = time.monotonic()
    futures = [driver.submit("send", "p", text="x" * 100_000) for _ in range(20)]
    assert time.monotonic() - began < 5
    with pytest.raises(DriverError, match="does not read its stdin"):
        futures[-1].result(5)
    with pytest.raises(DriverError, match="does not read its stdin"):
        futures[0].result(5)


def test_a_flood_on_stderr_is_drained_and_bounded(start, monkeypatch, tmp_path):
    monkeypatch.setattr(driver_module.StderrLog.__init__, "__defaults__", (10_000,))
    driver = start(
        "hello()\nfor c in commands():\n"
        "    sys.stderr.write('noise ' * 500_000 + '\\nthe last word\\n'); sys.stderr.flush()\n"
        "    answer(c)\n"
    )
    assert driver.call("x", timeout_s=10).type == "ok"
    assert driver.terminate(5) == -signal.SIGTERM
    log = (tmp_path / "fake.log").read_text()
    assert len(log) < 11_000
    assert "bytes more were not kept" in log
    assert "the last word" in driver._stderr.last_lines()


def test_what_the_listener_raises_breaks_the_driver(start):
    def listen(event: dict) -> None:
        if event["type"] == "invoke":
            raise ValueError("disk full")

    driver = start(GOOD, listen=listen)
    with pytest.raises(DriverError, match="disk full"):
        driver.call("x", timeout_s=5)


def test_terminate_lets_the_driver_close_and_reads_its_last_words(start):
    driver = start(
        "def end(*_):\n    say(type='revoked', client='c', partitions=[]); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n" + GOOD
    )
    assert driver.terminate(10) == 0
    assert driver.seen[-1]["type"] == "revoked"
    with pytest.raises(DriverError, match="terminated by the lab"):
        driver.call("x", timeout_s=5)


def test_a_driver_that_ignores_sigterm_is_killed_and_the_log_says_so(start, caplog):
    driver = start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + GOOD + "time.sleep(60)\n")
    assert driver.terminate(0.5) == -signal.SIGKILL
    assert "did not exit within 0.5 s of SIGTERM" in caplog.text


def test_kill_fails_what_is_pending(start):
    driver = start("hello()\nfor c in commands(): pass")
    pending = driver.submit("poll", "c")
    assert driver.kill() == -signal.SIGKILL
    with pytest.raises(DriverError, match="killed by the lab"):
        pending.result(5)


def test_children_of_a_driver_do_not_outlive_it(start):
    driver = start(
        "import subprocess\nchild = subprocess.Popen(['sleep', '60'])\nhello(pid=child.pid)\n"
        "for c in commands(): os._exit(1)"
    )
    child = driver.hello["pid"]
    with pytest.raises(DriverError, match="exited with 1"):
        driver.call("x", timeout_s=10)
    _wait(lambda: not Path(f"/proc/{child}").exists() or _zombie(child))


def test_a_driver_outlives_the_thread_that_started_it(start):
    started: list[Driver] = []
    thread = threading.Thread(target=lambda: started.append(start(GOOD)))
    thread.start()
    thread.join()
    assert started[0].call("x", timeout_s=5).type == "ok"


def test_a_driver_dies_with_the_lab(tmp_path):
    (tmp_path / "fake.py").write_text(
        PRELUDE + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nhello()\ntime.sleep(60)"
    )
    lab = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib\nfrom kafkalab.clients.driver import Driver\n"
            f"d = Driver.start([sys.executable, {str(tmp_path / 'fake.py')!r}], {{}}, 'x', "
            f"lambda e: None, pathlib.Path({str(tmp_path / 'log')!r}))\n"
            "print(d.pid, flush=True)\ntime.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert lab.stdout is not None
    pid = int(lab.stdout.readline())
    os.kill(lab.pid, signal.SIGKILL)
    lab.wait(10)
    _wait(lambda: not Path(f"/proc/{pid}").exists() or _zombie(pid))


def test_the_environment_is_laid_over_the_labs_own(start, monkeypatch):
    monkeypatch.setenv("KAFKALAB_RUN_ID", "run-7")
    body = (
        "hello(driver=os.environ['KAFKALAB_RUN_ID'] + os.environ['EXTRA'])\nfor c in commands(): 0"
    )
    assert start(body, env={"EXTRA": "!"}).hello["driver"] == "run-7!"


def _zombie(pid: int) -> bool:
    return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()


def _wait(condition) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        threading.Event().wait(0.02)
