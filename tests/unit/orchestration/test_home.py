from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kafkalab.orchestration import home
from kafkalab.orchestration.pools import PARALLELISM_MIN


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path))
    monkeypatch.delenv("KAFKALAB_S3_ENDPOINT", raising=False)
    monkeypatch.delenv("AIRFLOW_CONN_KAFKALAB_S3", raising=False)


def test_secrets_are_made_once_and_only_the_user_can_read_them() -> None:
    first = home.read_secrets()
    assert home.read_secrets() == first
    home.environment(home.database())
    for name in ("secrets.json", "passwords.json"):
        assert (home.folder() / name).stat().st_mode & 0o777 == 0o600
    assert json.loads((home.folder() / "passwords.json").read_text()) == {
        "admin": first["password"]
    }


def test_airflow_stays_on_loopback_and_tells_nobody() -> None:
    environ = home.environment(home.database(), 4711)
    assert environ["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environ["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert environ["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert environ["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:4711"


def test_tasks_at_once_are_what_the_host_has_but_enough_for_the_pools(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert home.parallelism() == PARALLELISM_MIN
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert home.parallelism() == 64


def test_the_store_of_the_environment_becomes_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "AIRFLOW_CONN_KAFKALAB_S3" not in home.environment(home.database())
    monkeypatch.setenv("KAFKALAB_S3_ENDPOINT", "http://127.0.0.1:1")
    made = json.loads(home.environment(home.database())["AIRFLOW_CONN_KAFKALAB_S3"])
    assert made["extra"]["endpoint_url"] == "http://127.0.0.1:1"


def test_a_connection_that_is_there_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKALAB_S3_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("AIRFLOW_CONN_KAFKALAB_S3", "{}")
    assert home.environment(home.database())["AIRFLOW_CONN_KAFKALAB_S3"] == "{}"


def test_the_labs_settings_win_over_what_is_given() -> None:
    given = {"AIRFLOW_HOME": "/elsewhere", "PYTHONDONTWRITEBYTECODE": "1", "MINE": "kept"}
    environ = home.environment(home.database(), given=given)
    assert environ["AIRFLOW_HOME"] == str(home.folder())
    assert environ["PYTHONDONTWRITEBYTECODE"] == ""
    assert environ["MINE"] == "kept"
