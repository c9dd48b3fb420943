"""Everything that dead runs left on this host: processes, containers and networks, data.

Composes `runtime.reaper` (processes and leases) with the Docker daemon's part, where one answers.
A container or network is dead wood when its label names a lease of this home that is not valid.
Those of another home are left to their own guard.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kafkalab.cluster.engine import Residue
from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import lease, paths
from kafkalab.runtime import reaper as process_reaper
from kafkalab.runtime.reaper import Reaped

if TYPE_CHECKING:
    import docker


def reap(dry_run: bool) -> list[Reaped]:
    """End and remove what runs without a valid lease left; what was found, in order.

    Args:
        dry_run: only say what would be done.

    Raises:
        InfrastructureError: the Docker daemon answers and then fails.
    """
    data = _data()
    reaped = [*_docker(dry_run), *process_reaper.reap(dry_run)]
    # Data after the brokers that may still write it: it cannot be removed under their hands. A
    # reaper that is stopped in between finds the rest again, since no lease is a void lease.
    for folder, found in data.items():
        if not dry_run and process_reaper.why_dead(found.run_id):
            shutil.rmtree(folder)
    return [*reaped, *data.values()]


def residue(run_id: str) -> Residue:
    """What still runs of a run, on every engine that this host has."""
    found = tuple(str(each) for each in process_reaper.residue(run_id))
    with _daemon() as client:
        if client is None:
            return Residue(found)
        from kafkalab.cluster import docker_guard

        there = docker_guard.residue(client, run_id)
    return Residue((*found, *there.processes), there.containers, there.networks)


def _docker(dry_run: bool) -> list[Reaped]:
    with _daemon() as client:
        if client is None:
            return []
        from kafkalab.cluster import docker_guard

        reaped = []
        for run_id, why in _dead_runs(client):
            left = docker_guard.residue(client, run_id)
            reaped += [Reaped(run_id, "container", name, why) for name in left.containers]
            reaped += [Reaped(run_id, "network", name, why) for name in left.networks]
            if not dry_run:
                docker_guard.remove_run(client, run_id)
        return reaped


def _dead_runs(client: docker.DockerClient) -> list[tuple[str, str]]:
    """Runs of this home that the daemon has something of and nobody keeps, each with the reason."""
    from kafkalab.cluster.docker_api import LABEL_LEASE, LABEL_RUN

    wanted = {"label": [LABEL_RUN, LABEL_LEASE]}
    found = [*client.api.containers(all=True, filters=wanted), *client.api.networks(filters=wanted)]
    labels = [each["Labels"] for each in found]
    ours = {each[LABEL_RUN] for each in labels if Path(each[LABEL_LEASE]).parent == lease.folder()}
    return [(run, why) for run in sorted(ours) if (why := process_reaper.why_dead(run))]


def _data() -> dict[Path, Reaped]:
    """Broker data of dead runs: big, and of no use without its brokers. Logs stay."""
    found = {}
    for folder in sorted((paths.home() / "runs").glob("*/*/b*/data")):
        run_id = folder.parents[2].name
        why = process_reaper.why_dead(run_id)
        if why:
            found[folder] = Reaped(run_id, "folder", str(folder), why)
    return found


@contextmanager
def _daemon() -> Iterator[docker.DockerClient | None]:
    """A client of the Docker daemon; None where none answers or the SDK is not installed."""
    try:
        from kafkalab.cluster import docker_api

        client = docker_api.connect()
    except (ImportError, InfrastructureError):
        client = None
    try:
        yield client
    finally:
        if client is not None:
            client.close()
