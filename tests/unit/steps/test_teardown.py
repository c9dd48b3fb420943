"""Teardown gives the host back whatever happens, and is green only when it looked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kafkalab.artifacts.store import StoreError
from kafkalab.model.errors import InfrastructureError
from kafkalab.model.verdict import Outcome
from kafkalab.runtime.lease import Lease
from kafkalab.steps import teardown
from kafkalab.steps.clusters import NoClusterError


class _Engine:
    def __init__(self, *, silent: bool = False, residue: str = "") -> None:
        self.stopped = False
        self._silent = silent
        self._residue = residue

    def logs(self, _cluster, node: str) -> str:
        if self._silent:
            raise InfrastructureError(f"expected the container of {node}, found none.")
        return f"log of {node}"

    def stop(self, _cluster) -> str:
        self.stopped = True
        return self._residue


@pytest.fixture
def context(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path / "home"))
    Lease.create("r1", 60.0)
    run, request = SimpleNamespace(run_id="r1"), SimpleNamespace(role="pinned")
    return SimpleNamespace(store=None, run=run, request=request, progress=lambda _text: None)


def _found(monkeypatch, tmp_path, engine: _Engine) -> None:
    nodes = (SimpleNamespace(name="b1"), SimpleNamespace(name="b2"))
    cluster = SimpleNamespace(nodes=nodes, workdir=str(tmp_path / "c"), spec="kafka")
    monkeypatch.setattr(teardown, "cluster_of", lambda *_: (engine, cluster))


def _raising(monkeypatch, error: Exception) -> None:
    def cluster_of(*_: object) -> None:
        raise error

    monkeypatch.setattr(teardown, "cluster_of", cluster_of)


def test_what_was_started_is_stopped_and_the_host_is_free(context, monkeypatch, tmp_path):
    engine = _Engine()
    _found(monkeypatch, tmp_path, engine)
    result = teardown.run(context)
    assert (result.outcome, engine.stopped) == (Outcome.PASS, True)
    assert result.files == {"logs/b1.log": b"log of b1", "logs/b2.log": b"log of b2"}
    assert Lease.load("r1") is None


def test_a_log_that_cannot_be_read_stops_nothing_and_is_red(context, monkeypatch, tmp_path):
    engine = _Engine(silent=True)
    _found(monkeypatch, tmp_path, engine)
    result = teardown.run(context)
    assert (result.outcome, engine.stopped) == (Outcome.UNKNOWN, True)
    assert "the log of b2 could not be read: expected the container" in result.reason
    assert Lease.load("r1") is None


def test_residue_is_red(context, monkeypatch, tmp_path):
    _found(monkeypatch, tmp_path, _Engine(residue="java 4711"))
    result = teardown.run(context)
    assert result.outcome is Outcome.UNKNOWN
    assert "found java 4711" in result.reason


def test_a_run_without_a_cluster_has_nothing_to_stop(context, monkeypatch):
    _raising(monkeypatch, NoClusterError("none was provisioned"))
    assert teardown.run(context).outcome is Outcome.PASS
    assert Lease.load("r1") is None


def test_a_silent_store_is_not_taken_for_a_run_without_a_cluster(context, monkeypatch):
    _raising(monkeypatch, StoreError("store: cannot be reached"))
    with pytest.raises(StoreError):
        teardown.run(context)
    assert Lease.load("r1") is None, "the guards end what runs, and the next run need not wait"
