import pytest

from kafkalab.cluster import registry
from kafkalab.model.errors import UsageError

NOWHERE = "unix:///nonexistent/docker.sock"


def test_process_is_always_there() -> None:
    assert registry.select_engine("process").name == "process"


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match="unknown engine 'podman': expected auto, process or docker"
    ):
        registry.select_engine("podman")


def test_auto_takes_process_where_no_daemon_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)

    assert registry.select_engine("auto").name == "process"


def test_docker_without_a_daemon_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)

    with pytest.raises(UsageError, match="engine `process`") as caught:
        registry.select_engine("docker")
    assert "/nonexistent/docker.sock" in str(caught.value)
