"""The Docker daemon: one way to reach it, and the labels that find everything of a run again.

The daemon is the one that the Docker CLI would use: DOCKER_HOST, else /var/run/docker.sock. What a
run starts carries `kafkalab.run=<run id>`; nothing here or in the modules that use this one ever
touches a container or network without that label.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import lease

if TYPE_CHECKING:
    import docker

LABEL_RUN = "kafkalab.run"  # run id
LABEL_CLUSTER = "kafkalab.cluster"  # name of the cluster's network
LABEL_ROLE = "kafkalab.role"  # broker | driver | guard | network
LABEL_NODE = "kafkalab.node"  # name of a broker: b1, b2, ...
LABEL_LEASE = "kafkalab.lease"  # path of the lease file on the host

GUARD = "guard"  # role

_DEFAULT_HOST = "unix:///var/run/docker.sock"
_TIMEOUT_S = 60


def host() -> str:
    """Address of the daemon, as DOCKER_HOST has it."""
    return os.environ.get("DOCKER_HOST") or _DEFAULT_HOST


def socket_path() -> str:
    """The daemon's socket on this host, for containers that need it mounted.

    Raises:
        UsageError: the daemon is reached by something else than a local socket.
    """
    scheme, _, path = host().partition("://")
    if scheme != "unix":
        raise UsageError(
            f"DOCKER_HOST={host()}: expected a local socket (unix:///path), because the guard "
            "that removes "
            "a dead run's containers must reach the same daemon. Unset DOCKER_HOST or name a "
            "socket."
        )
    return path


def connect(timeout_s: int | None = _TIMEOUT_S) -> docker.DockerClient:
    """A client of a daemon that was seen to answer.

    Args:
        timeout_s: how long one request may stay without an answer; None: for ever.

    Raises:
        InfrastructureError: no daemon answers there, or it may not be used by this user.
    """
    import docker
    from docker.errors import DockerException

    try:
        client = docker.DockerClient(base_url=host(), version="auto", timeout=timeout_s)  # type: ignore[arg-type]
        client.ping()
    except DockerException as error:
        raise InfrastructureError(
            f"expected a Docker daemon at {host()}, found none that answers ({error}). Start it, "
            "add this "
            "user to its group, name another in DOCKER_HOST, or use the engine that needs none: "
            "`--engine process`."
        ) from error
    return client


def reachable() -> bool:
    """Whether a daemon answers within two seconds; what `engine: auto` asks."""
    try:
        connect(timeout_s=2).close()
    except InfrastructureError:
        return False
    return True


def labels(run_id: str, cluster: str, role: str) -> dict[str, str]:
    """Labels of one thing of a cluster: whose it is, what it is, which lease it lives by."""
    return {
        LABEL_RUN: run_id,
        LABEL_CLUSTER: cluster,
        LABEL_ROLE: role,
        LABEL_LEASE: str(lease.path_of(run_id)),
    }


def cluster_name(run_id: str, version: str) -> str:
    """Name of a cluster's network, and prefix of its containers' names: `kafkalab-<run id>-3.9.2`.

    Run ids hold characters that the daemon refuses (`manual__2026-01-01T00:00:00+00:00`). They
    become dashes, and a hash keeps two ids apart that differ in nothing else.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", run_id.lower()).strip("-")[:60]
    if plain != run_id:
        plain = f"{plain}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
    return f"kafkalab-{plain}-{version}"


@contextlib.contextmanager
def daemon_errors() -> Iterator[None]:
    """Turn what the SDK raises in this block into an `InfrastructureError`."""
    import requests
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, requests.RequestException) as error:
        raise InfrastructureError(
            f"the Docker daemon at {host()} did not do what was asked: {error}. See its log, and "
            f"`docker ps -a --filter label={LABEL_RUN}`."
        ) from error
