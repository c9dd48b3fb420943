from __future__ import annotations

import json
import sys

import pytest

from kafkalab.model.errors import UsageError
from kafkalab.orchestration import command


def test_a_step_is_one_command_line() -> None:
    assert command.step_arguments("correctness", "s3://b/r", 2, "pinned", "C01-x") == [
        "correctness", "--run", "s3://b/r", "--attempt", "2", "--role", "pinned", "--cell", "C01-x",
    ]  # fmt: skip
    assert command.step_arguments("gate", "s3://b/r", 1, "", "") == [
        "gate", "--run", "s3://b/r", "--attempt", "1",
    ]  # fmt: skip


def test_plan_gets_the_request_as_json() -> None:
    arguments = command.plan_arguments("kafka_smoke", "r1", 1, {"seed": 7, "engine": "process"})
    assert arguments[:5] == ["plan", "--workflow", "kafka_smoke", "--run-id", "r1"]
    assert json.loads(arguments[arguments.index("--params") + 1]) == {
        "seed": 7,
        "engine": "process",
    }


def test_the_command_is_this_interpreter_unless_the_setting_differs() -> None:
    assert command.process_command({}) == (sys.executable, "-m", "kafkalab")
    assert command.process_command({"KAFKALAB_STEP_COMMAND": "a 'b c'"}) == ("a", "b c")
    with pytest.raises(UsageError, match="KAFKALAB_STEP_COMMAND"):
        command.process_command({"KAFKALAB_STEP_COMMAND": "a 'b"})


@pytest.mark.parametrize(
    ("workflow", "airflow", "lab"),
    [
        ("kafka_smoke", "manual__2026-01-31T02:00:00.12+00:00", "smoke-manual-20260131T020000.12"),
        ("kafka_nightly", "scheduled__2026-01-31T02:00:00Z", "nightly-scheduled-20260131T020000"),
        ("kafka_merge", "webhook__72d3162e-cc78", "merge-webhook-72d3162e-cc78"),
        ("kafka_smoke", "a b/c:d", "smoke-a-b-c-d"),
    ],
)  # fmt: skip
def test_a_run_id_can_name_networks_folders_and_keys(workflow: str, airflow: str, lab: str) -> None:
    assert command.lab_run_id(workflow, airflow) == lab


def test_two_workflows_of_one_second_have_two_run_ids() -> None:
    same = "scheduled__2026-01-31T02:00:00+00:00"
    assert command.lab_run_id("kafka_nightly", same) != command.lab_run_id("kafka_compat", same)


def test_a_long_run_id_is_cut() -> None:
    assert len(command.lab_run_id("kafka_smoke", "x" * 250)) <= command.RUN_ID_MAX


def test_the_run_is_where_the_manifest_of_plan_lies() -> None:
    uri = "s3://kafkalab/runs/a/b/plan/attempt=3/manifest.json"
    assert command.run_uri_of(uri) == "s3://kafkalab/runs/a/b"
    with pytest.raises(UsageError, match="attempt"):
        command.run_uri_of("s3://kafkalab/runs/a/b/manifest.json")


def test_the_result_is_the_last_line_that_is_one() -> None:
    lines = [
        '{"manifest": "old", "verdict": "fail"}',
        '{"manifest": "m", "verdict": "pass"}',
        '{"other": 1}',
        "{not json",
        "a warning that came late",
    ]
    assert command.last_result(lines) == command.Result("m", "pass")
    assert command.last_result(["{}", "[]", ""]) is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "a claim is broken"),
        (2, "cannot be carried out"),
        (3, "unknown"),
        (130, "interrupted"),
        (-9, "signal 9"),
        (77, "exit code 77 is not one of"),
        (0, "without a result line"),
    ],
)
def test_red_says_why_in_words(code: int, words: str) -> None:
    assert words in command.red_message("gate", code, None, ["the end"])
    assert "the end" in command.red_message("gate", code, None, ["the end"])


def test_red_names_verdict_evidence_and_the_command_that_repeats_it() -> None:
    lines = ["x", "repeat it: kafkalab replay runs/1/C01-a --seed 7", "y"]
    message = command.red_message("correctness", 1, command.Result("s3://m", "fail"), lines)
    assert "Verdict fail" in message
    assert "s3://m" in message
    assert "kafkalab replay runs/1/C01-a --seed" in message
