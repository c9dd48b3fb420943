"""Recorded deliveries against Airflow's real API server, to a run that ends in a verdict."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from kafkalab.notify.webhook import BODY_BYTES_MAX, sign
from kafkalab.orchestration import home, service
from kafkalab.runtime.guard import GuardHandle

pytestmark = pytest.mark.system

HERE = Path(__file__).resolve().parent
SECRET = b"a secret for tests"
SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


@pytest.fixture(scope="module")
def airflow(place: Any) -> Iterator[httpx.Client]:
    """Airflow as `up` starts it, logged in; afterwards nothing of it may be left."""
    place.patch.setenv("KAFKALAB_STEP_COMMAND", f"{sys.executable} {place.stub}")
    place.patch.setenv("KAFKALAB_WEBHOOK_SECRET", SECRET.decode())
    place.patch.setenv("KAFKALAB_WEBHOOK_SUBJECTS", '{"octo-org/client": "confluent-kafka@pinned"}')
    place.patch.setenv("STUB_CALLS", str(place.folder / "calls"))
    up = _up_in_a_process_that_ends()
    try:
        yield _logged_in(up)
    finally:
        assert service.down()
        assert service.running() is None
        assert _airflows(str(home.folder())) == []


def _up_in_a_process_that_ends() -> service.Service:
    """`up` must outlive who called it, as it outlives a terminal."""
    code = "from kafkalab.orchestration import service; service.up()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=180, start_new_session=True)
    up = service.running()
    assert up is not None
    assert service.up() == up, "what is up is left as it is"
    _crash("dag-processor")
    assert (service.running(), service.lost()) == (None, ["dag-processor"])
    assert service.up() == up, "what crashed is started again, beside what still serves"
    assert (service.running(), service.lost()) == (up, [])
    return up


def _crash(program: str) -> None:
    guard = GuardHandle.load(home.folder() / f"guard-{service.NAME}")
    guard.kill(program)


def _logged_in(up: service.Service) -> httpx.Client:
    password = json.loads(Path(up.password_file).read_text())[up.user]
    client = httpx.Client(base_url=up.url, timeout=30)
    answer = client.post("/auth/token", json={"username": up.user, "password": password})
    client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
    return client


def _airflows(folder: str) -> list[list[str]]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("KAFKALAB_SERVICE") == folder and process.pid != os.getpid():
                found.append(process.cmdline())
        except (psutil.Error, OSError):
            continue
    return found


def deliver(airflow: httpx.Client, name: str, **changes: Any) -> httpx.Response:
    """Send a recorded delivery as GitHub does; `changes` replace headers or the secret."""
    recorded = json.loads((HERE / "deliveries" / f"{name}.json").read_text(encoding="utf-8"))
    body = changes.pop("body", None) or json.dumps(recorded["payload"]).encode()
    signature = sign(changes.pop("secret", SECRET), body)
    headers = {**recorded["headers"], "X-Hub-Signature-256": signature, **changes}
    return httpx.post(
        airflow.base_url.join("/kafkalab/webhook/github"), content=body, headers=headers, timeout=30
    )


def runs(airflow: httpx.Client) -> dict[str, dict[str, Any]]:
    answer = airflow.get("/api/v2/dags/kafka_merge/dagRuns").raise_for_status().json()
    return {run["dag_run_id"]: run for run in answer["dag_runs"]}


def test_a_push_starts_a_run_and_a_redelivery_none(airflow: httpx.Client) -> None:
    first = deliver(airflow, "push")
    assert first.status_code == 202, first.text
    run_id = first.json()["run_id"]
    again = deliver(airflow, "push")
    assert (again.status_code, again.headers["location"]) == (202, first.headers["location"])
    assert (first.json()["created"], again.json()["created"]) == (True, False)
    assert first.headers["location"].endswith(f"/dags/kafka_merge/runs/{run_id}")
    assert httpx.get(first.headers["location"], follow_redirects=True, timeout=30).is_success
    found = runs(airflow)
    assert list(found) == [run_id]
    assert found[run_id]["conf"] == {
        "subject": "confluent-kafka@pinned", "commit": SHA, "branch": "main",
        "repository": "octo-org/client", "delivery": run_id.removeprefix("webhook__"),
    }  # fmt: skip


def test_a_merged_pull_request_starts_a_run(airflow: httpx.Client) -> None:
    before = runs(airflow)
    answer = deliver(airflow, "pull_request_merged")
    assert answer.status_code == 202
    assert set(runs(airflow)) - set(before) == {answer.json()["run_id"]}


@pytest.mark.parametrize("name", ["pull_request_unmerged", "ping"])
def test_what_is_no_merge_starts_nothing(airflow: httpx.Client, name: str) -> None:
    before = runs(airflow)
    answer = deliver(airflow, name)
    assert answer.status_code == 202
    assert answer.json()["ignored"]
    assert set(runs(airflow)) == set(before)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"secret": b"a guess"}, 401),
        ({"X-Hub-Signature-256": ""}, 401),
        ({"body": b"not json"}, 400),
        ({"body": b" " * (BODY_BYTES_MAX + 1)}, 413),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_what_is_refused_starts_nothing(
    airflow: httpx.Client, changes: dict[str, Any], status: int
) -> None:
    before = runs(airflow)
    changed = {"X-GitHub-Delivery": "00000000-0000-0000-0000-000000000000", **changes}
    assert deliver(airflow, "push", **changed).status_code == status
    assert set(runs(airflow)) == set(before)


def test_parameters_that_do_not_fit_are_refused_by_the_ui_too(airflow: httpx.Client) -> None:
    asked = {"logical_date": None, "conf": {"engine": "podman"}}
    assert airflow.post("/api/v2/dags/kafka_smoke/dagRuns", json=asked).status_code == 400


def test_the_night_is_scheduled_and_did_not_start_by_itself(airflow: httpx.Client) -> None:
    dag = airflow.get("/api/v2/dags/kafka_nightly").raise_for_status().json()
    assert not dag["is_paused"]
    assert dag["next_dagrun_run_after"].endswith("T02:00:00Z")
    nights = airflow.get("/api/v2/dags/kafka_nightly/dagRuns").raise_for_status().json()
    assert nights["total_entries"] == 0


def test_the_run_ends_in_a_verdict_one_cell_after_another(airflow: httpx.Client) -> None:
    run_id = next(iter(runs(airflow)))
    deadline = time.monotonic() + 150
    while (state := runs(airflow)[run_id]["state"]) not in ("success", "failed"):
        assert time.monotonic() < deadline, state
        time.sleep(1)
    assert state == "success"
    answer = airflow.get(f"/api/v2/dags/kafka_merge/dagRuns/{run_id}/taskInstances?limit=100")
    tasks = answer.raise_for_status().json()["task_instances"]
    assert {task["state"] for task in tasks} == {"success"}
    assert "verdict" in {task["task_id"] for task in tasks}
    working = sorted(
        (t["start_date"], t["end_date"]) for t in tasks if t["pool"] == "kafkalab_host"
    )
    assert len(working) == 19
    for (_, end), (start, _) in itertools.pairwise(working):
        assert end <= start, "two steps worked the host at once"
