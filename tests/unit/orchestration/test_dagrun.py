from __future__ import annotations

from pathlib import Path

import pytest

from kafkalab.model.errors import ExitCode, UsageError
from kafkalab.model.verdict import Outcome
from kafkalab.orchestration.dagrun import CompletedRun, TaskEnd, dag_test


def run(state: str = "success", **ends: tuple[str, int | None]) -> CompletedRun:
    tasks = tuple(
        TaskEnd(name, -1, "success", 1.0, f"s3://b/r/{name}/attempt=1/manifest.json", *end)
        for name, end in ends.items()
    )
    return CompletedRun("kafka_smoke", "manual__1", state, tasks, Path("run.log"), 1.0)


@pytest.mark.parametrize(
    ("completed", "outcome"),
    [
        (run(plan=("pass", 0), gate=("pass", 0)), Outcome.PASS),
        (run("failed", plan=("pass", 0), gate=("fail", 1)), Outcome.FAIL),
        (run("failed", plan=("pass", 0), gate=("unknown", 3)), Outcome.UNKNOWN),
        (run("failed", plan=("pass", 0)), Outcome.UNKNOWN),
        (run("failed", plan=("pass", 0), gate=("", None)), Outcome.UNKNOWN),
        # green at the gate, and then the report could not be published:
        (run("failed", plan=("pass", 0), gate=("pass", 0)), Outcome.UNKNOWN),
        # Airflow calls a run a success whose gate was red:
        (run("success", plan=("pass", 0), gate=("fail", 1)), Outcome.FAIL),
    ],
)
def test_the_outcome_is_the_gates(completed: CompletedRun, outcome: Outcome) -> None:
    assert completed.outcome is outcome
    assert completed.exit_code is outcome.exit_code


def test_a_request_that_cannot_be_is_a_usage_error() -> None:
    assert run("failed", plan=("", 2)).exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    ("completed", "code"),
    [
        (run(baseline=("pass", 0)), ExitCode.PASS),
        (run("failed", baseline=("", 2)), ExitCode.USAGE),
        (run("failed", baseline=("", 3)), ExitCode.UNKNOWN),
        (run("failed", baseline=("", None)), ExitCode.UNKNOWN),
        (run("failed", baseline=("pass", 0)), ExitCode.UNKNOWN),
        (run("success", baseline=("pass", 1)), ExitCode.UNKNOWN),
        (run(), ExitCode.UNKNOWN),
    ],
)
def test_without_a_plan_the_steps_decide(completed: CompletedRun, code: ExitCode) -> None:
    assert not completed.plans
    assert completed.exit_code is code


def test_the_run_is_where_plan_wrote_it() -> None:
    assert run(plan=("pass", 0)).run_uri == "s3://b/r"
    assert run().run_uri == ""


def test_an_unknown_dag_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="kafka_smoke"):
        dag_test("kafka_nothing", {}, lambda _: None)
