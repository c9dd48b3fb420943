"""The real DAG in a real Airflow on a real store; only the steps' command is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from kafkalab.model.errors import ExitCode, UsageError
from kafkalab.model.verdict import Outcome
from kafkalab.orchestration import service
from kafkalab.orchestration.dagrun import CompletedRun, Event, dag_test

pytestmark = pytest.mark.system

CELL = "-confluent-kafka-2.16.1-kafka-3.9.2"


class Lab:
    """A home of its own with a store, and steps that do as they are told."""

    def __init__(self, place: Any) -> None:
        self.calls_file: Path = place.folder / "calls"
        self.events: list[Event] = []
        self.env = {
            **place.endpoint.env(),
            "KAFKALAB_STEP_COMMAND": f"{sys.executable} {place.stub}",
            "STUB_CALLS": str(self.calls_file),
        }

    def run(self, conf: dict[str, object], red: dict[str, object] | None = None) -> CompletedRun:
        self.calls_file.unlink(missing_ok=True)
        self.events.clear()
        env = {**self.env, "STUB_RED": json.dumps(red or {})}
        return dag_test("kafka_smoke", {"engine": "process", **conf}, self.events.append, env)

    def calls(self) -> list[str]:
        """What was called: "provision.pinned", "correctness.pinned C01", "gate"."""
        return [_called(json.loads(line)[1:]) for line in self.calls_file.read_text().splitlines()]


def _called(arguments: list[str]) -> str:
    step, *rest = arguments
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    role = f".{options['--role']}" if "--role" in options else ""
    cell = f" {options['--cell'].split('-')[0]}" if "--cell" in options else ""
    return f"{step}{role}{cell}"


@pytest.fixture(scope="module")
def lab(place: Any) -> Lab:
    return Lab(place)


@pytest.fixture(scope="module")
def red_run(lab: Lab) -> tuple[CompletedRun, list[str], list[Event]]:
    """A whole smoke with one red cell; with what was called and what was told."""
    completed = lab.run({"seed": 7}, {f"correctness/C02{CELL}": 1, "gate": 1})
    return completed, lab.calls(), list(lab.events)


def test_a_red_cell_stops_nothing_and_the_gate_decides(
    red_run: tuple[CompletedRun, list[str], list[Event]],
) -> None:
    completed, calls, _ = red_run
    # Cells of one step may come in any order, steps may not.
    steps = list(dict.fromkeys(call.split()[0] for call in calls))
    assert steps == [
        "plan",
        "provision.pinned", "correctness.pinned", "backpressure.pinned", "memory.pinned",
        "benchmark.pinned", "compat.pinned", "teardown.pinned",
        "provision.oldest", "compat.oldest", "teardown.oldest",
        "provision.newest", "compat.newest", "teardown.newest",
        "gate", "publish",
    ]  # fmt: skip
    cells = {call for call in calls if call.startswith("correctness")}
    assert cells == {f"correctness.pinned {name}" for name in ("C01", "C02", "C03", "C13")}
    assert len(calls) == len(set(calls)), "nothing is tried twice"
    red = {(end.task, end.state) for end in completed.tasks if end.state != "success"}
    assert red == {("pinned.correctness", "failed"), ("gate", "failed"), ("verdict", "failed")}
    assert completed.outcome is Outcome.FAIL
    assert completed.exit_code is ExitCode.FAIL
    assert completed.run_uri == "s3://kafkalab/runs/stub"


def test_the_log_of_a_red_task_is_enough(
    red_run: tuple[CompletedRun, list[str], list[Event]],
) -> None:
    events = [event for event in red_run[2] if event.cell == f"C02{CELL}"]
    lines = [event.text for event in events if event.kind == "line"]
    command = (
        f"correctness --run s3://kafkalab/runs/stub --attempt 1 --role pinned --cell C02{CELL}"
    )
    assert command in "\n".join(lines)
    assert f"correctness/C02{CELL}: progress" in lines
    ended = events[-1]
    assert (ended.kind, ended.task, ended.state) == ("ended", "pinned.correctness", "failed")
    assert "Verdict fail" in ended.text
    assert "s3://kafkalab/runs/stub/correctness/attempt=1/manifest.json" in ended.text
    assert "kafkalab replay runs/stub" in ended.text


def test_a_task_costs_little_beside_its_step(
    red_run: tuple[CompletedRun, list[str], list[Event]],
) -> None:
    completed = red_run[0]
    # Against the time to the first task in the same run, since hosts differ: seen is a fifth.
    steps = sorted(end.seconds for end in completed.tasks if end.map_index >= 0)
    until_plan = completed.seconds - sum(e.seconds for e in completed.tasks if e.task != "plan")
    assert steps[len(steps) // 2] < until_plan / 4


def test_a_cluster_that_does_not_start_is_taken_down_and_judged(lab: Lab) -> None:
    completed = lab.run({"brokers": ["pinned"]}, {"pinned.provision": 3, "gate": 3})
    assert lab.calls() == ["plan", "provision.pinned", "teardown.pinned", "gate", "publish"]
    states = {end.task: end.state for end in completed.tasks}
    assert states["pinned.correctness"] == "upstream_failed"
    assert states["oldest.provision"] == states["oldest.teardown"] == "skipped"
    assert completed.exit_code is ExitCode.UNKNOWN


def test_a_cluster_that_is_not_taken_down_makes_a_green_run_unknown(lab: Lab) -> None:
    narrow = {"brokers": ["pinned"], "scenarios": ["C01"]}
    assert lab.run(narrow).exit_code is ExitCode.PASS, "chains without cells leave nothing to stop"
    completed = lab.run(narrow, {"pinned.teardown": 3})
    assert {end.task: end.state for end in completed.tasks}["gate"] == "success"
    assert completed.state == "failed"
    assert completed.exit_code is ExitCode.UNKNOWN


def test_a_request_that_plan_refuses_ends_as_usage(lab: Lab) -> None:
    completed = lab.run({}, {"plan": 2})
    assert lab.calls() == ["plan"]
    assert completed.state == "failed"
    assert completed.exit_code is ExitCode.USAGE


def test_parameters_are_refused_before_anything_starts(lab: Lab) -> None:
    with pytest.raises(UsageError, match="parameter sed: unknown; accepted are"):
        lab.run({"sed": 7})
    assert not lab.calls_file.exists()


def test_a_baseline_is_asked_for_with_parameters_of_its_own(lab: Lab) -> None:
    lab.calls_file.unlink(missing_ok=True)
    # It has no parameter for the engine: without a daemon it takes the process, as the stub needs.
    env = {**lab.env, "STUB_RED": "{}", "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    texts = {"run": ["r1"], "accepted_by": ["ann"], "why": ["a = b"]}
    completed = dag_test("kafka_baseline", {}, lab.events.append, env, texts)
    assert completed.exit_code is ExitCode.PASS
    assert json.loads(lab.calls_file.read_text())[1:] == [
        "baseline", "--run=r1", "--lane=", "--accepted-by=ann", "--why=a = b",
    ]  # fmt: skip
    refused = {**env, "STUB_RED": json.dumps({"baseline": 2})}
    completed = dag_test("kafka_baseline", {}, lab.events.append, refused, texts)
    assert completed.exit_code is ExitCode.USAGE
    with pytest.raises(UsageError, match=r"option --seed\): unknown; accepted are run, lane"):
        dag_test("kafka_baseline", {"seed": 7}, lab.events.append, env, texts)


def test_an_interrupt_takes_the_cluster_down_and_leaves_nothing(lab: Lab) -> None:
    lab.calls_file.unlink(missing_ok=True)
    code = (
        "from kafkalab.orchestration.dagrun import dag_test;"
        "dag_test('kafka_smoke', {'engine': 'process'}, lambda e: print(e, flush=True))"
    )
    red = json.dumps({f"correctness/C01{CELL}": "hang", f"correctness/C02{CELL}": "hang"})
    env = {**os.environ, **lab.env, "STUB_RED": red, "TEST_MARK": str(lab.calls_file)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            _until(lambda: lab.calls_file.exists() and "correctness" in lab.calls_file.read_text())
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert b"KeyboardInterrupt" in errors
    calls = lab.calls()
    assert calls[-1] == "teardown.pinned"
    assert not {
        call for call in calls if call.startswith(("backpressure", "gate", "provision.old"))
    }
    assert _marked(str(lab.calls_file)) == []


def test_up_refuses_a_port_that_is_taken(lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="in use"):
            service.up(taken.getsockname()[1])
    assert service.running() is None
    assert service.down() is False, "stopping what does not run is no error"


def _marked(mark: str) -> list[list[str]]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TEST_MARK") == mark:
                found.append(process.cmdline())
        except (psutil.Error, OSError):
            continue
    return found


def _until(condition: object, seconds: float = 90.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
