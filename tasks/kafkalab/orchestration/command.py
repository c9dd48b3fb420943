"""A step's command line and what its output means: all that Airflow and a step agree on.

Pure. A step is started as `python -m kafkalab STEP --run RUN_URI --attempt N [--role R]
[--cell C]`; its exit code is one of `ExitCode`, and its last line of stdout is one JSON object with
the URI of its manifest and its verdict. `plan`, which creates the run, gets the request instead.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafkalab.model.errors import ExitCode, UsageError

STEP_COMMAND = "KAFKALAB_STEP_COMMAND"  # replaces `python -m kafkalab` on engine process
IMAGE_COMMAND = ("python", "-m", "kafkalab")
RUN_ID_MAX = 80

_REPLAY = re.compile(r"\bkafkalab replay \S+(?: --\S+)*")
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(?:[+]00:00|Z)")
_NOT_SAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_MEANING = {
    ExitCode.FAIL: "a claim is broken or a metric is outside its envelope",
    ExitCode.USAGE: "the request cannot be carried out as it is written",
    ExitCode.UNKNOWN: "unknown: not enough evidence, or the host's or the lab's fault",
    ExitCode.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True)
class Result:
    """What a step said about itself in its last line."""

    manifest: str  # URI
    verdict: str  # pass | fail | unknown


def process_command(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """How a step is started on engine process: this interpreter, unless the setting differs."""
    text = environ.get(STEP_COMMAND, "")
    try:
        return tuple(shlex.split(text)) or (sys.executable, "-m", "kafkalab")
    except ValueError as error:
        raise UsageError(
            f"{STEP_COMMAND}: expected a command line, found {text!r}: {error}."
        ) from (error)


def step_arguments(step: str, run_uri: str, attempt: int, role: str, cell: str) -> list[str]:
    """Arguments of every step of a run but `plan`."""
    arguments = [step, "--run", run_uri, "--attempt", str(attempt)]
    if role:
        arguments += ["--role", role]
    if cell:
        arguments += ["--cell", cell]
    return arguments


def plan_arguments(
    workflow: str, run_id: str, attempt: int, request: Mapping[str, Any]
) -> list[str]:
    """Arguments of `plan`; the request is what `scenarios.planner.Params` reads."""
    text = json.dumps(request, sort_keys=True)
    named = ["--workflow", workflow, "--run-id", run_id, "--params", text]
    return ["plan", *named, "--attempt", str(attempt)]


def lab_run_id(workflow: str, airflow_run_id: str) -> str:
    """A run's identifier that can name a container network, a folder and a part of an object key.

    `kafka_smoke`, `manual__2026-01-31T02:00:00.12+00:00` → `smoke-manual-20260131T020000.12`.
    It names the workflow, because two workflows may be scheduled for the same second.
    """
    stamp = _STAMP.sub(r"\1\2\3T\4\5\6\7", airflow_run_id).replace("__", "-")
    return _NOT_SAFE.sub("-", f"{workflow.removeprefix('kafka_')}-{stamp}")[:RUN_ID_MAX].strip("-.")


def run_uri_of(manifest_uri: str) -> str:
    """URI of the run that the manifest of its `plan` step lies in."""
    prefix, found, _ = manifest_uri.partition("/plan/attempt=")
    if not found:
        raise UsageError(
            "plan's manifest: expected <run>/plan/attempt=<n>/manifest.json, found "
            f"{manifest_uri!r}."
        )
    return prefix


def last_result(lines: Sequence[str]) -> Result | None:
    """The result among the last lines of output; None when the step did not get that far."""
    for line in reversed(lines):
        if not line.startswith("{"):
            continue
        try:
            raw = json.loads(line)
        except ValueError:
            continue
        if isinstance(raw, dict) and "verdict" in raw and "manifest" in raw:
            return Result(str(raw["manifest"]), str(raw["verdict"]))
    return None


def replay_line(lines: Iterable[str]) -> str:
    """The last `kafkalab replay ...` command that the output names; empty when it names none."""
    found = [match[0] for line in lines for match in _REPLAY.finditer(line)]
    return found[-1] if found else ""


def red_message(step: str, exit_code: int, result: Result | None, lines: Sequence[str]) -> str:
    """Why a task is red, for the person who reads its log: verdict, evidence, what repeats it."""
    if exit_code < 0:
        how = f"was ended by signal {-exit_code}"
    elif exit_code == ExitCode.PASS:
        how = "ended with exit code 0 but without a result line: unknown, since nothing was said"
    elif exit_code in _MEANING:
        how = f"{_MEANING[ExitCode(exit_code)]} (exit code {exit_code})"
    else:
        how = f"unknown: exit code {exit_code} is not one of 0, 1, 2, 3, 130"
    parts = [f"{step}: {how}."]
    if result:
        parts.append(f"Verdict {result.verdict}, evidence in {result.manifest}.")
    elif lines:
        parts.append(f"Its last line: {lines[-1][:500]}")
    if replay := replay_line(lines):
        parts.append(f"Repeat it with: {replay}")
    return " ".join(parts)
