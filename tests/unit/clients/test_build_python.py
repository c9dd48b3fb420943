"""Environments of clients in Python: every failure explained."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kafkalab.clients import build_python, builds
from kafkalab.clients.builds import PYTHON, Order
from kafkalab.clients.command import BuildLog
from kafkalab.clients.sources import Source
from kafkalab.model.errors import BuildError, InfrastructureError, UsageError
from kafkalab.model.subject import Subject


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """uv and pip replaced by a script of answers; what was run is recorded."""
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path))
    state = {"ran": [], "install": (0, ""), "versions": "Available versions: 2.1.0, 2.0.2, 1.9.0"}

    def run(log, command, **_where):
        command = [str(word) for word in command]
        state["ran"].append(command)
        if "venv" in command:
            folder = Path(command[-1])
            (folder / "bin").mkdir()
            (folder / "bin/python").touch()
        code, words = state["install"] if "install" in command else (0, "")
        log.add(words)
        return subprocess.CompletedProcess(command, code, state["versions"], words)

    monkeypatch.setattr(build_python, "run", run)
    return state


def _order(version: str, tmp_path, **changes) -> Order:
    (tmp_path / "driver").mkdir(exist_ok=True)
    source = Source(version)
    parts = {"needs": ("other==2",), **changes}
    return Order(Subject("client", version), "client", source, tmp_path / "driver", "1", **parts)


def _make(version: str, tmp_path, **changes):
    order = _order(version, tmp_path, **changes)
    (tmp_path / "build").mkdir(exist_ok=True)
    return build_python.make(order, tmp_path / "build", BuildLog())


def test_an_environment_is_made_once_with_the_client_and_what_it_needs(tools, tmp_path):
    made = _make("2.0.2", tmp_path)
    assert made.argv[1] == f"{builds.FOLDER}/driver.py"
    assert made.outside == (made.argv[0],)
    assert tools["ran"][-1][-4:] == ["--only-binary", "client", "client==2.0.2", "other==2"]
    ran = len(tools["ran"])
    assert _make("2.0.2", tmp_path) == made
    assert len(tools["ran"]) == ran
    assert _make("2.1.0", tmp_path).argv[0] != made.argv[0]


def test_what_the_lab_has_needs_no_environment(tools, tmp_path, monkeypatch):
    has = {"client": "2.0.2", "other": "2"}
    monkeypatch.setattr(build_python.metadata, "version", has.__getitem__)
    assert _make("2.0.2", tmp_path).argv[0] == PYTHON
    assert tools["ran"] == []
    has["other"] = "3"
    assert _make("2.0.2", tmp_path).argv[0] != PYTHON


def test_one_that_did_not_finish_is_never_used(tools, tmp_path):
    tools["install"] = (1, "No matching distribution")
    with pytest.raises(BuildError, match="No matching distribution"):
        _make("2.0.2", tmp_path)
    assert [path for path in (tmp_path / "python").iterdir() if path.is_dir()] == []
    tools["install"] = (0, "")
    assert Path(_make("2.0.2", tmp_path).argv[0]).exists()


def test_a_version_that_does_not_exist_names_its_neighbours(tools, tmp_path):
    tools["install"] = (1, "there is no version of client==2.0.5")
    with pytest.raises(UsageError, match=r"no version 2.0.5: the nearest are 1.9.0, 2.0.2, 2.1.0"):
        _make("2.0.5", tmp_path)


def test_no_network_is_no_usage_error(tools, tmp_path):
    tools["install"], tools["versions"] = (2, "error sending request"), ""
    with pytest.raises(InfrastructureError, match="registry to list its versions"):
        _make("1.9.9", tmp_path)


@pytest.mark.system
@pytest.mark.slow
def test_a_real_version_that_does_not_exist_names_real_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path))
    order = Order(
        Subject("confluent-kafka", "2.6.77"), "confluent-kafka", Source("2.6.77"), tmp_path, "1"
    )
    with pytest.raises(UsageError, match=r"no version 2.6.77: the nearest are .*2.6.1.*2.7.0"):
        builds.launch(order, build_python.BUILDER)
