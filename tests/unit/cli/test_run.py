"""How `kafkalab run` ends when there is no run: by what the steps said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kafkalab.artifacts.store import Store
from kafkalab.cli import run
from kafkalab.model.errors import ExitCode
from kafkalab.orchestration.dagrun import CompletedRun, TaskEnd

ENTRY = "s3://kafkalab/baselines/lane/history/1.json"


def completed(dag: str, task: TaskEnd) -> CompletedRun:
    return CompletedRun(dag, "manual__1", task.state, (task,), Path("run.log"), 1.0)


def end(monkeypatch: pytest.MonkeyPatch, done: CompletedRun, *, json_output: bool) -> ExitCode:
    monkeypatch.setenv("KAFKALAB_S3_ENDPOINT", "aws")  # nothing is asked of it
    monkeypatch.setattr(run, "commit", dict)
    monkeypatch.setattr(run, "dag_test", lambda *_: done)
    monkeypatch.setattr(Store, "from_env", lambda: None)
    return run.run(done.dag_id, {}, ["run=r1"], json_output)


def test_an_accepted_baseline_is_a_pass(monkeypatch, capsys):
    done = completed("kafka_baseline", TaskEnd("baseline", -1, "success", 1.0, ENTRY, "pass", 0))
    assert end(monkeypatch, done, json_output=True) is ExitCode.PASS
    said = capsys.readouterr()
    assert f"kafka_baseline: pass after 0 s; it wrote {ENTRY}" in said.err
    assert json.loads(said.out)["verdict"] == "pass"


def test_a_refused_baseline_is_a_usage_error(monkeypatch, capsys):
    done = completed("kafka_baseline", TaskEnd("baseline", -1, "failed", 1.0, exit_code=2))
    assert end(monkeypatch, done, json_output=False) is ExitCode.USAGE
    assert "it wrote nothing" in capsys.readouterr().err


def test_a_run_that_was_not_planned_is_never_a_pass(monkeypatch, capsys):
    done = completed("kafka_smoke", TaskEnd("plan", -1, "failed", 1.0))
    assert end(monkeypatch, done, json_output=False) is ExitCode.UNKNOWN
    assert "kafka_smoke was not planned" in capsys.readouterr().err
