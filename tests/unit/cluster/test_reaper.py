import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkalab.cluster import docker_api, reaper
from kafkalab.runtime.lease import Lease

NOWHERE = "unix:///nonexistent/docker.sock"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", NOWHERE)


def data_of(home: Path, run_id: str) -> Path:
    data = home / "runs" / run_id / "kafka-3.9.2" / "b1" / "data"
    data.mkdir(parents=True)
    (data.parent / "server.log").write_text("kept")
    return data


def test_a_clean_host_has_nothing_to_reap(home: Path, no_daemon: None) -> None:
    assert reaper.reap(dry_run=False) == []
    assert not reaper.residue("r1")


def test_data_of_dead_runs_goes_and_logs_stay(home: Path, no_daemon: None) -> None:
    Lease.create("kept", 60)
    kept, dead = data_of(home, "kept"), data_of(home, "dead")

    said = reaper.reap(dry_run=True)
    assert dead.exists()
    done = reaper.reap(dry_run=False)

    assert said == done
    assert [(each.kind, each.run_id) for each in done] == [("folder", "dead")]
    assert not dead.exists()
    assert (dead.parent / "server.log").exists()
    assert kept.exists()


@pytest.fixture
def networks() -> Iterator[list[str]]:
    """Names of networks to remove after a test, on a daemon that answers."""
    if not docker_api.reachable():
        pytest.skip(f"no Docker daemon answers at {docker_api.host()}")
    names: list[str] = []
    yield names
    client = docker_api.connect()
    for network in client.networks.list(names=names) if names else []:
        network.remove()
    client.close()


@pytest.mark.docker
def test_networks_of_dead_runs_go_and_others_stay(
    home: Path, tmp_path: Path, networks: list[str]
) -> None:
    suffix = uuid.uuid4().hex[:8]
    Lease.create(f"kept-{suffix}", 60)
    client = docker_api.connect()
    for run, folder in (("kept", home), ("dead", home), ("theirs", tmp_path / "other")):
        lease = folder / "leases" / f"{run}-{suffix}.json"
        labels = {
            docker_api.LABEL_RUN: f"{run}-{suffix}",
            docker_api.LABEL_LEASE: str(lease),
        }
        networks.append(f"kafkalab-{run}-{suffix}")
        client.networks.create(networks[-1], labels=labels, internal=True)

    said = reaper.reap(dry_run=True)
    assert reaper.residue(f"dead-{suffix}").networks == (f"kafkalab-dead-{suffix}",)
    done = reaper.reap(dry_run=False)

    assert said == done
    assert [(each.kind, each.what) for each in done] == [("network", f"kafkalab-dead-{suffix}")]
    left = {network.name for network in client.networks.list(names=networks)}
    assert left == {f"kafkalab-kept-{suffix}", f"kafkalab-theirs-{suffix}"}
    client.close()


def test_data_goes_after_the_processes_that_may_write_it(
    home: Path, no_daemon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, seen = data_of(home, "dead"), list[bool]()

    def end_processes(dry_run: bool) -> list[reaper.Reaped]:
        seen.append(dead.exists())
        return []

    monkeypatch.setattr(reaper.process_reaper, "reap", end_processes)
    reaper.reap(dry_run=False)

    assert seen == [True]
    assert not dead.exists()
