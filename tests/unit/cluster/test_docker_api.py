"""Names and addresses of the docker engine; no daemon is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kafkalab.cluster import docker_api
from kafkalab.model.errors import InfrastructureError, UsageError

AIRFLOW_RUN = "manual__2026-01-01T00:00:00+00:00"


def test_a_plain_run_id_stays_readable() -> None:
    assert docker_api.cluster_name("r1", "3.9.2") == "kafkalab-r1-3.9.2"


@pytest.mark.parametrize("run_id", [AIRFLOW_RUN, "R1", "a_b", "x" * 200])
def test_a_name_is_one_that_the_daemon_accepts(run_id: str) -> None:
    name = docker_api.cluster_name(run_id, "3.9.2")
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name)
    assert len(name) < 100


def test_runs_that_differ_in_refused_characters_only_differ_in_name() -> None:
    ids = (AIRFLOW_RUN, AIRFLOW_RUN.replace(":", "-"), AIRFLOW_RUN.lower(), "x" * 80, "x" * 81)
    assert len({docker_api.cluster_name(run_id, "3.9.2") for run_id in ids}) == len(ids)


def test_labels_say_whose_a_thing_is_and_which_lease_it_lives_by(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path))
    assert docker_api.labels("r1", "kafkalab-r1-3.9.2", "broker") == {
        "kafkalab.run": "r1",
        "kafkalab.cluster": "kafkalab-r1-3.9.2",
        "kafkalab.role": "broker",
        "kafkalab.lease": str(tmp_path / "leases" / "r1.json"),
    }


def test_the_socket_is_the_one_that_docker_host_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert docker_api.socket_path() == "/var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "unix:///tmp/other.sock")
    assert docker_api.socket_path() == "/tmp/other.sock"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2375")
    with pytest.raises(UsageError, match="expected a local socket"):
        docker_api.socket_path()


def test_no_daemon_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert not docker_api.reachable()
    with pytest.raises(
        InfrastructureError, match=r"expected a Docker daemon at .*--engine process"
    ):
        docker_api.connect()
