"""One step as one Airflow task: the same command in a container or as a process of this host.

On engine docker the command runs in the step image through `DockerOperator`; on engine process it
is a child in a process group of its own. Either way the task's log holds the command, the progress
that the step writes to stderr, and when it is red one sentence with verdict, evidence and the
command that repeats it. A red step is never retried by Airflow: a retry that turns green hides the
flake that this lab exists to find. Whoever clears the task gets the next attempt, beside the first.

The engine is decided once, by `plan`; every later step of the run follows it through XCom.
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from kafkalab.model.errors import ExitCode, InfrastructureError, LabError, UsageError
from kafkalab.orchestration import command, store
from kafkalab.orchestration.params import plan_request
from kafkalab.orchestration.pools import HOST
from kafkalab.orchestration.process import TAIL_LINES_MAX, Child, Stream
from kafkalab.runtime import paths, pins

TEARDOWN = "teardown"
PLAN = "plan"  # task id of the step that every other one of a DAG reads its run from
RESULT = "result"  # XCom key, pushed by red tasks too
ENGINE = "engine"  # XCom key, pushed by plan
KILL_GRACE_SECONDS = 3.0  # Airflow ends a task that is still there 5 s after SIGTERM
STOPPING = threading.Event()  # set by `stop`: this process runs nothing any more but teardown
_RUNNING: list[StepOperator] = []  # in this process: one, or none
_PASSED_ON = ("KAFKALAB_", "AWS_")
_OF_THIS_HOST_ONLY = ("KAFKALAB_ROOT", "KAFKALAB_CACHE", command.STEP_COMMAND)
# setting → the step that is given it: builds under test run with the environment of all others
_SECRETS = {"KAFKALAB_GITHUB_TOKEN": "publish", "KAFKALAB_WEBHOOK_SECRET": ""}


class StepOperator(DockerOperator):  # type: ignore[misc]
    """Run one step of the lab.

    Args:
        step: name of the step, the first argument of the command.
        role: broker role of the chain that the step belongs to; empty when it has none.
        cell: identifier of the cell, for steps that run one (mapped).
        arguments: the whole argument list, for commands that belong to no run; templated.
        skip_without: steps; the task is skipped when the run has no cell of any of them.
        skip_with: task id; the task is skipped when that one was, for want of cells.
    """

    template_fields: Sequence[str] = ("arguments",)
    ui_color = "#eef4fb"

    def __init__(
        self,
        *,
        step: str,
        role: str = "",
        cell: str = "",
        arguments: Sequence[str] = (),
        skip_without: Sequence[str] = (),
        skip_with: str = "",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("pool", HOST)
        kwargs.setdefault("execution_timeout", timedelta(hours=2))
        kwargs["retries"] = 0  # a mapped task gets the DAG's default here
        super().__init__(
            image=pins.load().images["step"],
            network_mode="host",
            mount_tmp_dir=False,
            auto_remove="never",  # removed in `_in_container`, after its exit code was read
            xcom_all=True,
            **kwargs,
        )
        self.step = step
        self.role = role
        self.cell = cell
        self.arguments = list(arguments)
        self.skip_without = tuple(skip_without)
        self.skip_with = skip_with
        self._child: Child | None = None

    def execute(self, context: Any) -> dict[str, str]:
        """Run the step; returns manifest and verdict, raises `AirflowFailException` when red."""
        if STOPPING.is_set() and self.step != TEARDOWN:
            context["ti"].xcom_push(key=RESULT, value={"skipped": True})
            raise AirflowSkipException("The run was interrupted; only teardown still runs.")
        _RUNNING.append(self)
        try:
            return self._execute(context)
        except LabError as error:
            raise AirflowFailException(f"{self.step}: {error}") from error
        finally:
            _RUNNING.remove(self)

    def _execute(self, context: Any) -> dict[str, str]:
        ti = context["ti"]
        run_id = context["params"].get("run_id") or command.lab_run_id(
            context["dag"].dag_id, context["run_id"]
        )
        self._skip_without_cells(ti)
        engine = self._engine(context)
        arguments = self._arguments(context, engine, run_id)
        self.log.info("Step %s, attempt %d, engine %s.", self.step, ti.try_number, engine)
        environment = {**store.step_environment(), "KAFKALAB_RUN_ID": run_id}
        if engine == "docker":
            exit_code, output, lines = self._in_container(arguments, environment)
        else:
            exit_code, output, lines = self._as_process(arguments, environment)
        result = command.last_result(output)
        said = {"manifest": result.manifest, "verdict": result.verdict} if result else {}
        ti.xcom_push(key=RESULT, value={**said, "exit_code": exit_code})
        silent = result is None and not self.arguments
        if exit_code != ExitCode.PASS or silent:
            raise AirflowFailException(command.red_message(self.step, exit_code, result, lines))
        return said

    def _skip_without_cells(self, ti: Any) -> None:
        no_cells = f"This run has no cell on the {self.role} Kafka."
        if self.skip_with and (ti.xcom_pull(task_ids=self.skip_with, key=RESULT) or {}).get(
            "skipped"
        ):
            ti.xcom_push(key=RESULT, value={"skipped": True})
            raise AirflowSkipException(no_cells)
        if not self.skip_without:
            return
        planned = store.read_run(planned_run(ti)).cells
        if not any(planned.get(f"{step}/{self.role}") for step in self.skip_without):
            ti.xcom_push(key=RESULT, value={"skipped": True})
            raise AirflowSkipException(no_cells)

    def _engine(self, context: Any) -> str:
        ti, engine = context["ti"], str(context["params"].get("engine", "auto"))
        if self.step != PLAN and not self.arguments:
            return str(ti.xcom_pull(task_ids=PLAN, key=ENGINE) or engine)
        if engine == "auto":
            lacks = self._docker_lacks()
            engine = "process" if lacks else "docker"
            why = lacks or f"a Docker daemon answers and has the image {self.image}"
            self.log.info("Engine auto means %s here: %s.", engine, why)
        if self.step == PLAN:
            ti.xcom_push(key=ENGINE, value=engine)
        return engine

    def _docker_lacks(self) -> str | None:
        """What is missing for engine docker on this host, or None."""
        socket = self._docker_socket()
        if not Path(socket).exists():
            return f"no Docker daemon: {socket} does not exist"
        try:
            found = self.cli.images(name=self.image)
        except Exception as error:  # noqa: BLE001 - the SDK, requests and the hook raise their own
            return f"no Docker daemon answers ({type(error).__name__})"
        return None if found else f"the Docker daemon has no image {self.image}"

    def _docker_socket(self) -> str:
        """Path of the daemon's socket; steps start brokers and drivers through it."""
        scheme, _, path = str(self.docker_url).partition("://")
        if scheme != "unix":
            raise UsageError(
                f"DOCKER_HOST: expected unix://PATH, found {self.docker_url}: a step needs the "
                "socket of the daemon on its own host."
            )
        return str(Path("/") / path)

    def _arguments(self, context: Any, engine: str, run_id: str) -> list[str]:
        if self.arguments:
            return list(self.arguments)
        ti, params = context["ti"], context["params"]
        if self.step == PLAN:
            request = {**plan_request(params), "engine": engine}
            return command.plan_arguments(context["dag"].dag_id, run_id, ti.try_number, request)
        return command.step_arguments(
            self.step, planned_run(ti), ti.try_number, self.role, self.cell
        )

    def _inherited(self) -> dict[str, str]:
        """Airflow's environment without the secrets of others."""
        return {k: v for k, v in os.environ.items() if _SECRETS.get(k, self.step) == self.step}

    def _as_process(
        self, arguments: list[str], environment: Mapping[str, str]
    ) -> tuple[int, Sequence[str], Sequence[str]]:
        argv = [*command.process_command(), *arguments]
        self.log.info("$ %s", shlex.join(argv))
        child = Child(argv, {**self._inherited(), **environment}, self._log_line)
        self._child = child
        try:
            child.start()
        except OSError as error:
            raise InfrastructureError(f"{argv[0]}: cannot be started: {error}") from error
        try:
            ended = child.wait()
        except BaseException:  # a timeout or an interrupt: nothing may go on without its task
            child.kill(KILL_GRACE_SECONDS)
            raise
        return ended.exit_code, ended.stdout, (*ended.stdout, *ended.stderr)

    def _log_line(self, _stream: Stream, line: str) -> None:
        self.log.info("%s", line)

    def _in_container(
        self, arguments: list[str], environment: Mapping[str, str]
    ) -> tuple[int, Sequence[str], Sequence[str]]:
        if (lacks := self._docker_lacks()) is not None:
            raise InfrastructureError(
                f"engine docker: {lacks}; start a daemon and build the images, or ask for engine "
                "process."
            )
        home = str(paths.home().resolve())
        self.command = [*command.IMAGE_COMMAND, *arguments]
        self._private_environment = {
            **{k: v for k, v in self._inherited().items() if k.startswith(_PASSED_ON)},
            **environment,
            "KAFKALAB_HOME": home,
        }
        for name in _OF_THIS_HOST_ONLY:
            self._private_environment.pop(name, None)
        socket = self._docker_socket()
        self._private_environment["DOCKER_HOST"] = f"unix://{socket}"
        self.mounts = [
            {"target": socket, "source": socket, "type": "bind"},
            {"target": home, "source": home, "type": "bind"},
        ]
        self.labels = {"kafkalab.run": environment["KAFKALAB_RUN_ID"]}
        self._normalize_mounts()
        self.log.info("$ docker run %s %s", self.image, shlex.join(self.command))
        try:
            return self._ended()
        finally:
            self._remove_container()

    def _ended(self) -> tuple[int, Sequence[str], Sequence[str]]:
        try:
            lines = list(self._run_image() or ())
        except DockerContainerFailedException as error:
            lines = list(error.logs or ())
        container = self.container["Id"]
        exit_code = int(self.cli.inspect_container(container)["State"]["ExitCode"])
        # Asked for again, because the stream that was followed mixes both in the middle of lines.
        stdout = self.cli.logs(container, stdout=True, stderr=False, tail=TAIL_LINES_MAX)
        return exit_code, stdout.decode("utf-8", errors="replace").splitlines(), lines

    def _remove_container(self) -> None:
        if self.container is not None:
            self.cli.remove_container(self.container["Id"], force=True)

    def on_kill(self) -> None:
        """End what the task started, in less time than Airflow grants."""
        if self._child is not None and self._child.kill(KILL_GRACE_SECONDS):
            self.log.warning("Ended the process group of step %s.", self.step)
        if self.container is not None:
            self.log.warning("Stopping the container of step %s.", self.step)
            self.cli.stop(self.container["Id"], timeout=KILL_GRACE_SECONDS)


def planned_run(ti: Any) -> str:
    """URI of the run that `plan` created; skips the task when there is none."""
    planned = ti.xcom_pull(task_ids=PLAN, key=RESULT) or {}
    if planned.get("verdict") != "pass":
        raise AirflowSkipException("There is no run: plan did not succeed, see its log.")
    return command.run_uri_of(planned["manifest"])


def stop() -> None:
    """End the step that this process runs, unless it is a teardown, and start no other one.

    For whoever runs a DAG in one process and is interrupted: the cluster is still taken down.
    """
    STOPPING.set()
    for operator in _RUNNING:
        if operator.step != TEARDOWN:
            operator.on_kill()
