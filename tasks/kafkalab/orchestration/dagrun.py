"""A real DAG run of a real DAG file in one process, without a scheduler: what `kafkalab run` does.

A child process executes `DAG.test()`, as `airflow dags test` does, and writes JSON lines; this side
turns them into events. Seen with Airflow 3.3.2 on two shared cores: 9 s to the first task (imports,
and the execution API's app), then 0.06 to 0.12 s for each task, so forty tasks cost four seconds.

The state of such a run says too little: `airflow dags test` exits with 0 although a mapped task has
failed. The outcome is therefore the gate's, and without one it is unknown. A DAG that plans no run
(kafka_baseline) has no gate: it passes when each of its steps said so and ended with 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kafkalab.model.errors import ExitCode, InfrastructureError, UsageError
from kafkalab.model.verdict import Outcome, merge
from kafkalab.orchestration import command, database, home
from kafkalab.orchestration.process import Child, Stream

Kind = Literal["started", "line", "ended"]
TEARDOWN_SECONDS_MAX = 90.0  # what an interrupted run gets to take its cluster down


@dataclass(frozen=True)
class Event:
    """Something that happened in the run, as it happened."""

    kind: Kind
    task: str  # "pinned.correctness"
    cell: str = ""  # identifier of the cell, for mapped tasks
    state: str = ""  # of a task that ended: success, failed, skipped
    text: str = ""  # a line of the task's log; of a failed task, why it failed


@dataclass(frozen=True)
class TaskEnd:
    """How one task ended, also those that never ran."""

    task: str
    map_index: int  # −1 when the task is not mapped
    state: str  # success, failed, skipped, upstream_failed
    seconds: float
    manifest: str = ""  # URI, when the step got that far
    verdict: str = ""
    exit_code: int | None = None  # of the step's command


@dataclass(frozen=True)
class CompletedRun:
    """A DAG run that has come to its end."""

    dag_id: str
    run_id: str  # Airflow's
    state: str  # Airflow's: success or failed
    tasks: tuple[TaskEnd, ...]
    log: Path  # everything that was logged
    seconds: float

    def task(self, name: str) -> TaskEnd | None:
        """The task of that name that is not mapped."""
        return next((t for t in self.tasks if t.task == name), None)

    @property
    def plans(self) -> bool:
        """Whether the DAG plans a run at all; one that does not has no gate, cells or report."""
        return self.task("plan") is not None

    @property
    def run_uri(self) -> str:
        """Where the run is in the store; empty when it was not planned."""
        planned = self.task("plan")
        return command.run_uri_of(planned.manifest) if planned and planned.manifest else ""

    @property
    def outcome(self) -> Outcome:
        """The gate's verdict; unknown when it gave none, or a later task failed."""
        if not self.plans:
            return self._outcome_of_steps()
        gate = self.task("gate")
        if gate is None or gate.verdict not in set(Outcome):
            return Outcome.UNKNOWN
        outcome = Outcome(gate.verdict)
        if outcome is Outcome.PASS and (gate.exit_code != 0 or self.state != "success"):
            return Outcome.UNKNOWN
        return outcome

    @property
    def exit_code(self) -> ExitCode:
        """What a command that ran this DAG exits with."""
        first = self.tasks if not self.plans else filter(None, [self.task("plan")])
        if any(task.exit_code == ExitCode.USAGE for task in first):
            return ExitCode.USAGE
        return self.outcome.exit_code

    def _outcome_of_steps(self) -> Outcome:
        said = [
            Outcome(task.verdict)
            if task.verdict in set(Outcome) and task.exit_code is not None
            else Outcome.UNKNOWN
            for task in self.tasks
        ]
        outcome = merge(said)
        ended_well = self.state == "success" and not any(task.exit_code for task in self.tasks)
        return outcome if ended_well or outcome is not Outcome.PASS else Outcome.UNKNOWN


def dag_test(
    dag_id: str,
    conf: Mapping[str, Any],
    on_event: Callable[[Event], None],
    env: Mapping[str, str] | None = None,
    texts: Mapping[str, Sequence[str]] | None = None,
) -> CompletedRun:
    """Execute a DAG with these parameters and wait for its end.

    An interrupt (Ctrl-C) ends the step that runs, lets teardown run, and is then raised; a second
    one ends everything at once.

    Args:
        dag_id: name of a file in dags/.
        conf: parameters; unknown or invalid ones are refused before anything starts.
        on_event: called for each event, from this thread.
        env: variables for Airflow and the steps, beside those of this process.
        texts: more parameters, as a person wrote them, see `request.conf`.

    Raises:
        UsageError: no such DAG, or parameters that do not fit its schema.
        InfrastructureError: the run broke off without a result.
    """
    dag_file = home.dags_folder() / f"{dag_id}.py"
    if not dag_file.exists():
        known = ", ".join(sorted(path.stem for path in home.dags_folder().glob("*.py")))
        raise UsageError(f"no DAG '{dag_id}': expected one of {known}.")
    started = time.monotonic()
    folder = home.folder() / "runs" / f"{dag_id}-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
    database.create(folder / "airflow.db")
    settings = home.environment(folder / "airflow.db", given=env)
    listener = _Listener(on_event, folder / "run.log")
    child = Child(
        [
            sys.executable,
            "-m",
            "kafkalab.orchestration.dagtest",
            str(dag_file),
            json.dumps(conf),
            json.dumps(dict(texts or {})),
        ],
        {**settings, "AIRFLOW__LOGGING__JSON_LOGS": "True"},
        listener.line,
        orphan_signal=signal.SIGINT,  # it still takes its cluster down
    )
    with listener:
        child.start()
        ended = _wait(child)
    (folder / "airflow.db").unlink()
    if listener.refused:
        raise UsageError(f"{dag_id}: {listener.refused}")
    if not listener.result:
        raise InfrastructureError(
            f"{dag_id}: expected the run to end with a result, the process exited with "
            f"{ended.exit_code} without one; all that it logged is in {listener.path}."
        )
    return CompletedRun(
        dag_id=dag_id,
        run_id=listener.result["run_id"],
        state=listener.result["state"],
        tasks=tuple(TaskEnd(**task) for task in listener.result["tasks"]),
        log=listener.path,
        seconds=time.monotonic() - started,
    )


def _wait(child: Child) -> Any:
    try:
        return child.wait()
    except KeyboardInterrupt:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGINT)
        try:
            child.wait(TEARDOWN_SECONDS_MAX)
        finally:
            child.kill(1.0)
        raise
    except BaseException:
        child.kill(1.0)
        raise


class _Listener:
    """Turns lines of the child into events; keeps all of them in the log."""

    def __init__(self, on_event: Callable[[Event], None], path: Path) -> None:
        self.on_event = on_event
        self.path = path
        self.result: dict[str, Any] = {}
        self.refused = ""
        self._current = Event("started", "")
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> _Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def line(self, _stream: Stream, line: str) -> None:
        """One line of the child's output."""
        self._file.write(f"{line}\n")
        try:
            raw = json.loads(line) if line.startswith("{") else {}
        except ValueError:
            return
        if "kafkalab" in raw:
            self._own(raw)
        elif str(raw.get("logger", "")).endswith(".StepOperator"):
            now = self._current
            self.on_event(Event("line", now.task, now.cell, text=str(raw.get("event", ""))))

    def _own(self, raw: dict[str, Any]) -> None:
        kind = raw.pop("kafkalab")
        if kind == "result":
            self.result = raw
        elif kind == "refused":
            self.refused = raw["text"]
        else:
            self._current = Event(kind, **raw)
            self.on_event(self._current)
