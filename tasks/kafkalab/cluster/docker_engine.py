"""The docker engine: brokers and drivers as containers on a network of the run's own.

The network is internal: what runs on it reaches the run's brokers and nothing else, so load and
faults cannot leave the host. Brokers are `b1`, `b2`, ... there, and each run has its own `b1`.
Everything carries the run's labels and the path of the lease that it lives by; a guard container
removes it all when that lease ends (`docker_guard`). The guard is the first to start and is seen to
run before the cluster counts as started.

A broker keeps its data in the container's own layer, so a killed one comes back with it and a
removed one leaves nothing. Its log is the container's, over all its starts.

Not visible through the daemon, and therefore −1 in readings: descriptors, sockets, connections.
Bytes on the wire are those of the container's interface, headers included.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kafkalab.cluster import (
    docker_api,
    docker_guard,
    docker_images,
    docker_stats,
    topology,
)
from kafkalab.cluster.docker_api import daemon_errors
from kafkalab.cluster.docker_cluster import DockerCluster
from kafkalab.cluster.docker_guard import Scope
from kafkalab.cluster.engine import KILL, PAUSE, STATS, Residue
from kafkalab.model.cluster import ClusterInfo, ClusterSpec, ProcessStats, Wire
from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.model.subject import DriverLaunch
from kafkalab.runtime import guard, reaper
from kafkalab.runtime.lease import Lease, path_of

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

_STOP_S = 30  # for a broker to shut down cleanly before it is restarted


class DockerEngine:
    """Runs brokers and drivers in containers of the daemon that DOCKER_HOST names."""

    name = "docker"

    def __init__(self) -> None:
        self._listener = docker_stats.Listener()

    def capabilities(self) -> frozenset[str]:
        """What this engine can do; raises a `LabError` when it cannot be used here."""
        with _client() as client:
            docker_api.socket_path()
            _require(client, docker_images.reference("step"))
            _require(client, docker_images.reference("broker-kafka"))
        return frozenset({KILL, PAUSE, STATS})

    def start(self, spec: ClusterSpec, run_id: str, lease: Lease) -> ClusterInfo:
        """Start guard, network and brokers; on an error all of it is removed again.

        What an earlier attempt at the same cluster left is removed first.

        Raises:
            UsageError: the spec cannot be built, or an image of it is missing.
            InfrastructureError: the daemon does not start them.
        """
        topology.check(spec)
        cluster = DockerCluster(spec, run_id, docker_api.cluster_name(run_id, spec.version))
        with _client() as client:
            _require(client, docker_images.reference("broker-kafka", spec.version))
            _require(client, docker_images.reference("step"))
            docker_guard.remove(client, cluster.scope)
            try:
                cluster.start(client, lease)
            except BaseException:
                docker_guard.remove(client, cluster.scope)
                raise
        return cluster.info()

    def stop(self, info: ClusterInfo) -> Residue:
        """Remove everything of the cluster, drivers and guard included; says what remains."""
        scope = Scope(docker_api.LABEL_CLUSTER, str(info.network))
        with _client() as client:
            try:
                docker_guard.remove(client, scope)
            except InfrastructureError:
                return docker_guard.left(client, scope)
        return Residue()

    def kill(self, info: ClusterInfo, node: str) -> None:
        """SIGKILL a broker and wait until its container has ended."""
        with _broker(info, node) as container:
            container.kill("SIGKILL")
            container.wait()

    def pause(self, info: ClusterInfo, node: str) -> None:
        """Freeze all processes of a broker's container."""
        with _broker(info, node) as container:
            container.pause()

    def resume(self, info: ClusterInfo, node: str) -> None:
        """Thaw a broker's container."""
        with _broker(info, node) as container:
            container.unpause()

    def restart(self, info: ClusterInfo, node: str) -> ClusterInfo:
        """Start a broker again on its data; one that runs is stopped cleanly first."""
        with _broker(info, node) as container:
            if container.status == "paused":
                container.unpause()  # a frozen process could not obey the stop
            container.restart(timeout=_STOP_S)
        return info

    def logs(self, info: ClusterInfo, node: str) -> str:
        """What a broker's container wrote, over all its starts."""
        with _broker(info, node) as container:
            return container.logs().decode("utf-8", errors="replace")

    def stats(self, info: ClusterInfo, node: str) -> ProcessStats:
        """One reading of a broker's container."""
        return self._listener.reading(f"{info.network}-{_known(info, node)}")

    def alive(self, info: ClusterInfo, node: str) -> bool:
        """Whether a broker's container runs or is frozen."""
        with _broker(info, node) as container:
            return container.status in ("running", "paused")

    def driver_bootstrap(self, info: ClusterInfo) -> str:
        """Brokers by their names on the run's network."""
        return info.bootstrap

    def wrap_driver(
        self, launch: DriverLaunch, info: ClusterInfo, name: str
    ) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """A process that is the driver's container to whoever starts it, see `docker_attach`.

        Raises:
            UsageError: the launch names no image, or the image is not built.
        """
        if not launch.image:
            raise UsageError(
                f"{launch.subject} has no image, and the docker engine runs drivers from images "
                "only. "
                "Take the engine `process` for it."
            )
        with _client() as client:
            _require(client, launch.image)
        settings = [f"--env={key}={value}" for key, value in launch.env.items()]
        where = (launch.image, f"{info.network}-{name}", str(info.network), info.run_id)
        module = (sys.executable, "-m", "kafkalab.cluster.docker_attach")
        marks = {
            guard.RUN_VARIABLE: info.run_id,
            guard.LEASE_VARIABLE: str(path_of(info.run_id)),
            reaper.CLUSTER_VARIABLE: str(info.network),
        }
        return (*module, *settings, *where, "--", *launch.image_argv), {**os.environ, **marks}

    def driver_stats(self, info: ClusterInfo, name: str, pid: int) -> ProcessStats:  # noqa: ARG002
        """One reading of a driver's container; `pid` is the process attached to it, not read."""
        return self._listener.reading(f"{info.network}-{name}")

    def wire(self, info: ClusterInfo) -> Wire | None:  # noqa: ARG002
        """None: the daemon counts bytes of a container, not of its connections."""
        return None


def _require(client: docker.DockerClient, image: str) -> None:
    """Raise `UsageError` unless the daemon has the image."""
    from docker.errors import ImageNotFound

    try:
        client.api.inspect_image(image)  # type: ignore[no-untyped-call]
    except ImageNotFound as error:
        raise UsageError(
            f"the daemon at {docker_api.host()} has no image {image}. Build the lab's images "
            "first: "
            f"`make images`, or `kafkalab images build {docker_images.name_of(image)}` for this "
            "one."
        ) from error


@contextlib.contextmanager
def _client() -> Iterator[docker.DockerClient]:
    client = docker_api.connect()
    try:
        with daemon_errors():
            yield client
    finally:
        client.close()


def _known(info: ClusterInfo, node: str) -> str:
    names = [each.name for each in info.nodes]
    if node not in names:
        raise UsageError(f"no broker '{node}' in this cluster: it has {', '.join(names)}.")
    return node


@contextlib.contextmanager
def _broker(info: ClusterInfo, node: str) -> Iterator[Container]:
    with _client() as client:
        yield client.containers.get(f"{info.network}-{_known(info, node)}")
