"""Environments: built once, whole or not at all, and every failure explained."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kafkalab.clients import venv
from kafkalab.model.errors import InfrastructureError, UsageError


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """uv and pip replaced by a script of answers; what was run is recorded."""
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path))
    state = {"ran": [], "install": (0, ""), "versions": "Available versions: 2.1.0, 2.0.2, 1.9.0"}

    def run(command, *, check=True):
        state["ran"].append(list(command))
        if "venv" in command:
            folder = Path(command[-1])
            (folder / "bin").mkdir()
            (folder / "bin/python").touch()
        if "install" in command:
            code, words = state["install"]
            return subprocess.CompletedProcess(command, code, "", words)
        return subprocess.CompletedProcess(command, 0, state["versions"], "")

    monkeypatch.setattr(venv, "_run", run)
    monkeypatch.setattr(venv, "_uv", lambda: ["uv"])
    return state


def test_it_is_built_once_and_found_again(tools):
    first = venv.python_with("client==1.0", ["other==2"])
    built = len(tools["ran"])
    assert first.exists()
    assert tools["ran"][-1][-2:] == ["client==1.0", "other==2"]
    assert venv.python_with("client==1.0", ["other==2"]) == first
    assert len(tools["ran"]) == built


def test_other_content_is_another_environment(tools):
    assert venv.python_with("client==1.0") != venv.python_with("client==1.1")
    assert venv.python_with("client==1.0") != venv.python_with("client==1.0", ["other==2"])


def test_one_that_did_not_finish_is_never_used(tools, tmp_path):
    tools["install"] = (1, "No matching distribution")
    with pytest.raises(UsageError):
        venv.python_with("client==2.0.2")
    left = [path.name for path in (tmp_path / "clients").iterdir() if path.is_dir()]
    assert left == []
    tools["install"] = (0, "")
    assert venv.python_with("client==2.0.2").exists()


def test_a_version_that_does_not_exist_names_its_neighbours(tools):
    tools["install"] = (1, "there is no version of client==2.0.5")
    with pytest.raises(UsageError, match=r"no version 2.0.5: the nearest are 1.9.0, 2.0.2, 2.1.0"):
        venv.python_with("client==2.0.5")


def test_a_version_that_does_not_install_says_why(tools):
    tools["install"] = (1, "has no usable wheels")
    with pytest.raises(UsageError, match="no usable wheels"):
        venv.python_with("client==1.9.0")


def test_no_network_is_no_usage_error(tools):
    tools["install"] = (2, "error sending request for url: Connection refused")
    with pytest.raises(InfrastructureError, match="registry"):
        venv.python_with("client==1.0")


@pytest.mark.parametrize(
    ("version", "near"),
    [("0.1", ["1.0", "1.1", "1.2", "2.0", "3.0"]), ("1.15", ["1.1", "1.2", "2.0", "3.0", "4.0"]),
     ("9", ["1.2", "2.0", "3.0", "4.0", "5.0"]), ("text", ["1.2", "2.0", "3.0", "4.0", "5.0"])],
)  # fmt: skip
def test_nearest_versions(version, near):
    known = ["5.0", "4.0", "3.0", "2.0", "1.2", "1.1", "1.0"]
    assert venv._near(version, known) == near


@pytest.mark.system
def test_a_real_version_is_installed_and_loads(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path))
    python = venv.python_with("confluent-kafka==2.6.1")
    code = "import confluent_kafka; print(confluent_kafka.__version__)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2.6.1"


@pytest.mark.system
@pytest.mark.slow
def test_a_real_version_that_does_not_exist_names_real_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"no version 2.6.77: the nearest are .*2.6.1.*2.7.0"):
        venv.python_with("confluent-kafka==2.6.77")
