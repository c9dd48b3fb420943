"""A cluster of the docker engine while it is put together: guard, network, then brokers.

The guard comes first, so that there is no moment at which something runs unguarded. Configuration
enters a broker's container as a file before its start: nothing is mounted from the host, so a step
in a container of its own and a daemon with other folders make no difference.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kafkalab.cluster import docker_api, docker_images, kafka, storage, topology
from kafkalab.cluster.docker_guard import Scope
from kafkalab.model.cluster import ClusterInfo, ClusterSpec, Node
from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime.lease import Lease

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

_PORTS = {"CLIENT": 9092, "BROKER": 9093, "CONTROLLER": 9094}
_DATA = "/var/lib/kafka/data"
_MIB = 1024 * 1024
_GUARD_MB = 256
# Metaspace, code cache, threads and network buffers beside the heap, and some page cache.
_BESIDE_HEAP_MB = 640


@dataclass(frozen=True)
class DockerCluster:
    """Names and parts of one cluster."""

    spec: ClusterSpec
    run_id: str
    name: str  # of its network, and prefix of its containers

    @property
    def scope(self) -> Scope:
        """All that it has on the daemon."""
        return Scope(docker_api.LABEL_CLUSTER, self.name)

    def labels(self, role: str) -> dict[str, str]:
        """Labels of one thing of it."""
        return docker_api.labels(self.run_id, self.name, role)

    def plans(self) -> list[topology.NodePlan]:
        """Its nodes on paper."""
        plans = []
        for number, name in enumerate(topology.node_names(self.spec.nodes), start=1):
            bind = {listener: f"0.0.0.0:{port}" for listener, port in _PORTS.items()}
            told = {listener: f"{name}:{port}" for listener, port in _PORTS.items()}
            plans.append(topology.NodePlan(name, number, topology.listeners(bind, told), _DATA))
        return plans

    def start(self, client: docker.DockerClient, lease: Lease) -> None:
        """Start everything; on an error what was started stays, for the caller to remove."""
        guard = self._start_guard(client, lease)
        client.networks.create(
            self.name, driver="bridge", internal=True, labels=self.labels("network")
        )
        plans, cluster_id = self.plans(), storage.new_id()
        for plan in plans:
            broker = self._create_broker(client, plan, cluster_id)
            text = topology.server_properties(self.spec, plan, plans)
            broker.put_archive("/etc/kafka", _archive("server.properties", text))
            broker.start()
        _check_guard(guard)

    def info(self) -> ClusterInfo:
        """It as data."""
        nodes = tuple(
            Node(
                name=plan.name,
                node_id=plan.node_id,
                address=plan.advertised("CLIENT"),
                container=f"{self.name}-{plan.name}",
            )
            for plan in self.plans()
        )
        return ClusterInfo(
            run_id=self.run_id,
            spec=self.spec,
            bootstrap=",".join(node.address for node in nodes),
            nodes=nodes,
            workdir="",  # everything is in the containers
            network=self.name,
        )

    def _create_broker(
        self, client: docker.DockerClient, plan: topology.NodePlan, cluster_id: str
    ) -> Container:
        memory = (self.spec.heap_mb + _BESIDE_HEAP_MB) * _MIB
        return client.containers.create(
            docker_images.reference("broker-kafka", self.spec.version),
            command=list(kafka.jvm_options(self.spec.heap_mb)),
            name=f"{self.name}-{plan.name}",
            hostname=plan.name,
            labels={**self.labels("broker"), docker_api.LABEL_NODE: plan.name},
            environment={"CLUSTER_ID": cluster_id, "DIRECTORY_ID": storage.new_id()},
            network=self.name,
            networking_config={self.name: client.api.create_endpoint_config(aliases=[plan.name])},
            mem_limit=memory,
            memswap_limit=memory,  # swapping would measure the host's disk
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        )

    def _start_guard(self, client: docker.DockerClient, lease: Lease) -> Container:
        socket, leases = docker_api.socket_path(), str(lease.path.parent)
        return client.containers.run(
            docker_images.reference("step"),
            command=["python", "-m", "kafkalab.cluster.docker_guard", self.run_id, str(lease.path)],
            name=f"{self.name}-guard",
            labels=self.labels(docker_api.GUARD),
            environment={"DOCKER_HOST": f"unix://{socket}"},
            network_mode="none",
            restart_policy={"Name": "always"},
            mem_limit=_GUARD_MB * _MIB,
            volumes={
                socket: {"bind": socket, "mode": "rw"},
                leases: {"bind": leases, "mode": "ro"},
            },
            detach=True,
        )


def _check_guard(guard: Container) -> None:
    """A guard that crashes at its start guards nothing, and must be found out now."""
    guard.reload()
    if guard.status != "running" or guard.attrs["RestartCount"]:
        raise InfrastructureError(
            f"expected the guard of this run to watch its lease, found it {guard.status} after "
            f"{guard.attrs['RestartCount']} restarts. It says:\n"
            f"{guard.logs(tail=20).decode('utf-8', errors='replace')}"
        )


def _archive(name: str, text: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(text.encode())
        member.mode = 0o644
        archive.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()
