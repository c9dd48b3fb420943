"""The operator itself, on both engines, without a DAG run around it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import docker
import pytest

from kafkalab.model.errors import UsageError


class Instance:
    """What a step reads of its task instance."""

    def __init__(self) -> None:
        self.try_number = 2
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        plan = {"manifest": "s3://b/r/plan/attempt=1/manifest.json", "verdict": "pass"}
        return {"result": plan, "engine": self.xcoms.get("plan engine", "process")}[key]


def context(instance: Instance, **params: Any) -> dict[str, Any]:
    return {"ti": instance, "params": {"run_id": "r1", **params}, "run_id": "manual__1"}


def operator(monkeypatch: pytest.MonkeyPatch, code: str = "", **arguments: Any) -> Any:
    from kafkalab.orchestration import step, store

    monkeypatch.setattr(store, "step_environment", lambda: {"AWS_ACCESS_KEY_ID": "from connection"})
    if code:
        path = Path(os.environ["PYTEST_TMP"]) / "step.py"
        path.write_text(code, encoding="utf-8")
        monkeypatch.setenv("KAFKALAB_STEP_COMMAND", f"{sys.executable} {path}")
    return step.StepOperator(
        task_id="compat", **{"step": "compat", "role": "oldest", "cell": "A01", **arguments}
    )


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_TMP", str(tmp_path))
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path))


GOOD = """
import json, os, sys
print(json.dumps([sys.argv[1:], os.environ["KAFKALAB_RUN_ID"], os.environ["AWS_ACCESS_KEY_ID"]]))
print('{"manifest": "s3://m", "verdict": "pass"}')
"""


def test_a_process_gets_the_command_and_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instance = Instance()
    seen: list[str] = []
    made = operator(monkeypatch, GOOD)
    monkeypatch.setattr(made, "_log_line", lambda _s, line: seen.append(line))
    assert made._execute(context(instance)) == {"manifest": "s3://m", "verdict": "pass"}
    said = json.loads(seen[0])
    assert said == [
        ["compat", "--run", "s3://b/r", "--attempt", "2", "--role", "oldest", "--cell", "A01"],
        "r1",
        "from connection",
    ]
    assert instance.xcoms["result"] == {"manifest": "s3://m", "verdict": "pass", "exit_code": 0}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (f"{GOOD.replace('pass', 'fail')}sys.exit(1)", "Verdict fail"),
        ("import sys; sys.exit(3)", "unknown"),
        ("print('no result')", "without a result line"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    ],
)  # fmt: skip
def test_red_is_a_failure_that_is_not_retried(
    monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    instance = Instance()
    with pytest.raises(AirflowFailException, match=words):
        operator(monkeypatch, code)._execute(context(instance))
    assert instance.xcoms["result"]["exit_code"] != 0 or words == "without a result line"


def test_a_command_that_does_not_exist_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from kafkalab.model.errors import InfrastructureError

    made = operator(monkeypatch)
    monkeypatch.setenv("KAFKALAB_STEP_COMMAND", "/does/not/exist")
    with pytest.raises(InfrastructureError, match="/does/not/exist"):
        made._execute(context(Instance()))


def test_engine_auto_without_a_daemon_is_process(monkeypatch: pytest.MonkeyPatch) -> None:
    made = operator(monkeypatch, step="plan")
    made.docker_url = "unix:///does/not/exist.sock"
    instance = Instance()
    assert made._engine(context(instance, engine="auto")) == "process"
    assert instance.xcoms["engine"] == "process"


def test_a_daemon_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = operator(monkeypatch, step="plan")
    made.docker_url = "tcp://10.0.0.1:2375"
    with pytest.raises(UsageError, match="DOCKER_HOST"):
        made._in_container(["plan"], {"KAFKALAB_RUN_ID": "r1"})


_TOLD = """
import json, os
print(json.dumps({k: v for k, v in os.environ.items() if k.startswith("KAFKALAB_")}))
print('{"manifest": "s3://m", "verdict": "pass"}')
"""


def told(monkeypatch: pytest.MonkeyPatch, engine: str, step: str) -> tuple[dict[str, str], str]:
    """The lab's variables that a step is given, and all that is logged of its start."""
    instance, logged = Instance(), []
    instance.xcoms["plan engine"] = engine
    made = operator(monkeypatch, _TOLD, step=step)
    monkeypatch.setattr(made.log, "info", lambda text, *words: logged.append(text % words))
    monkeypatch.setattr(made, "_docker_lacks", lambda: None)
    given: list[dict[str, str]] = []

    def ended() -> tuple[int, list[str], list[str]]:
        given.append(dict(made._private_environment))
        assert not made.environment, "only the private environment is never rendered"
        return 0, ['{"manifest": "s3://m", "verdict": "pass"}'], []

    monkeypatch.setattr(made, "_ended", ended)
    shown: list[str] = []
    monkeypatch.setattr(made, "_log_line", lambda _s, line: shown.append(line))
    made._execute(context(instance))
    return (given or [json.loads(shown[0])])[0], "\n".join(logged)


@pytest.mark.parametrize("engine", ["process", "docker"])
def test_a_secret_is_given_to_its_step_alone_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    from kafkalab.notify import airflow_app, status

    monkeypatch.setenv(status.TOKEN, "a token")
    monkeypatch.setenv(airflow_app.SECRET, "a secret")
    monkeypatch.setenv(status.API, "http://127.0.0.1:1")
    monkeypatch.setenv(status.REPORTS, "https://reports.example")
    publish, logged = told(monkeypatch, engine, "publish")
    assert publish[status.TOKEN] == "a token"
    assert "a token" not in logged
    assert "publish --run" in logged
    compat, _ = told(monkeypatch, engine, "compat")
    assert status.TOKEN not in compat
    for given in (publish, compat):
        assert airflow_app.SECRET not in given
        assert given[status.API] == "http://127.0.0.1:1"
        assert given[status.REPORTS] == "https://reports.example"


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> str:
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker daemon: {error}")
    wanted = "kafkalab/step:local"
    if not client.images.list(wanted):
        pytest.skip(f"the Docker daemon has no image {wanted}")
    monkeypatch.setattr(
        "kafkalab.orchestration.command.IMAGE_COMMAND", ("python3", "-c", _IN_CONTAINER)
    )
    return wanted


_IN_CONTAINER = """
import json, os, pathlib, sys
home = pathlib.Path(os.environ["KAFKALAB_HOME"])
pathlib.Path(home, "seen").write_text(json.dumps([
    sys.argv[1:], os.environ["KAFKALAB_RUN_ID"], os.environ["AWS_ACCESS_KEY_ID"],
    os.environ.get("KAFKALAB_STEP_COMMAND"),
    os.path.exists(os.environ["DOCKER_HOST"].removeprefix("unix://"))]))
print("progress", file=sys.stderr, flush=True)
code = int(os.environ.get("KAFKALAB_TEST_EXIT", "0"))
print(json.dumps({"manifest": "s3://m", "verdict": {0: "pass", 1: "fail"}.get(code, "unknown")}))
sys.exit(code)
"""


@pytest.mark.docker
@pytest.mark.parametrize(("code", "verdict"), [(0, "pass"), (1, "fail"), (3, "unknown")])
def test_a_container_runs_the_same_command(
    monkeypatch: pytest.MonkeyPatch, image: str, tmp_path: Path, code: int, verdict: str
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    monkeypatch.setenv("KAFKALAB_TEST_EXIT", str(code))
    monkeypatch.setenv("KAFKALAB_STEP_COMMAND", "of this host only")
    run_id = f"t-{uuid.uuid4().hex[:8]}"
    instance = Instance()
    instance.xcoms["plan engine"] = "docker"
    made = operator(monkeypatch)
    red = pytest.raises(AirflowFailException, match=f"Verdict {verdict}")
    with red if code else contextlib.nullcontext():
        made._execute(context(instance, run_id=run_id))
    assert instance.xcoms["result"] == {
        "manifest": "s3://m", "verdict": verdict, "exit_code": code,
    }  # fmt: skip
    arguments, seen_run, key, command, socket = json.loads((tmp_path / "seen").read_text())
    assert arguments[:3] == ["compat", "--run", "s3://b/r"]
    assert (seen_run, key, command, socket) == (run_id, "from connection", None, True)
    left = docker.from_env().containers.list(all=True, filters={"label": f"kafkalab.run={run_id}"})
    assert left == []
