"""A KRaft cluster on paper: nodes, listeners and `server.properties`. Pure; engines make it real.

Every node is broker and controller. Each has three listeners:

    CLIENT      what drivers are told (advertised as they reach it)
    BROKER      replication between brokers, apart so that a fault can hit one kind of traffic
    CONTROLLER  the metadata quorum

Settings stay at Kafka's defaults where they decide what a client sees. They differ where three
brokers must fit beside the clients on a small host, or where a default only makes a test wait:
each is explained at its place. `ClusterSpec.settings` overrides all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from kafkalab.model.cluster import ClusterSpec
from kafkalab.model.errors import UsageError

VERSION_MIN = Version("3.3")  # the first with KRaft for production (KIP-833)


@dataclass(frozen=True)
class Listener:
    """An address that a node binds, and the one that it tells others."""

    name: str  # CLIENT, BROKER, CONTROLLER, or a further client listener
    bind: str  # host:port
    advertised: str  # host:port


@dataclass(frozen=True)
class NodePlan:
    """One node before it exists."""

    name: str  # "b1"
    node_id: int  # 1, 2, ...
    listeners: tuple[Listener, ...]
    data: str  # its log directory, as the node sees it

    def advertised(self, listener: str) -> str:
        """Advertised address of one of its listeners; raises `KeyError`."""
        return {each.name: each.advertised for each in self.listeners}[listener]


def node_names(count: int) -> tuple[str, ...]:
    """Names of nodes: b1, b2, ..."""
    return tuple(f"b{number}" for number in range(1, count + 1))


def listeners(bind: Mapping[str, str], advertised: Mapping[str, str]) -> tuple[Listener, ...]:
    """Listeners from two tables name → host:port with the same names."""
    return tuple(Listener(name, address, advertised[name]) for name, address in bind.items())


def check(spec: ClusterSpec) -> Version:
    """The spec's version; raises `UsageError` when such a cluster cannot be built."""
    if spec.flavour != "kafka":
        raise UsageError(f"unknown broker flavour '{spec.flavour}': expected kafka.")
    try:
        version = Version(spec.version)
    except InvalidVersion as error:
        raise UsageError(
            f"'{spec.version}' is not a Kafka version: expected for example 3.9.2."
        ) from error
    if version < VERSION_MIN:
        raise UsageError(
            f"kafka@{spec.version} cannot be provisioned: clusters here are KRaft, which Kafka "
            f"has for production since {VERSION_MIN}. Take {VERSION_MIN} or later."
        )
    if spec.nodes < 1:
        raise UsageError(f"a cluster has at least 1 node, {spec.nodes} were asked for.")
    return version


def server_properties(spec: ClusterSpec, node: NodePlan, nodes: Sequence[NodePlan]) -> str:
    """The text of a node's `server.properties`.

    Args:
        spec: the cluster.
        node: the node to configure, one of `nodes`.
        nodes: all nodes, for the quorum.

    Raises:
        UsageError: the spec cannot be built, see `check`.
    """
    version = check(spec)
    brokers = [each for each in node.listeners if each.name != "CONTROLLER"]
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node.node_id,
        "controller.quorum.voters": ",".join(
            f"{each.node_id}@{each.advertised('CONTROLLER')}" for each in nodes
        ),
        "listeners": ",".join(f"{each.name}://{each.bind}" for each in node.listeners),
        "advertised.listeners": ",".join(f"{each.name}://{each.advertised}" for each in brokers),
        "listener.security.protocol.map": ",".join(f"{e.name}:PLAINTEXT" for e in node.listeners),
        "inter.broker.listener.name": "BROKER",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": node.data,
        **_replication(len(nodes)),
        **_promptness(),
        **_lightness(),
        **_per_version(version, len(nodes)),
        **spec.settings,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _replication(nodes: int) -> dict[str, object]:
    replicas = min(3, nodes)
    in_sync = max(1, replicas - 1)
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        # A topic that nobody created is a mistake of the lab and must show as one.
        "auto.create.topics.enable": "false",
    }


def _promptness() -> dict[str, object]:
    return {
        # Kafka waits 3 s for more members of a new group: every consumer would start with that.
        "group.initial.rebalance.delay.ms": 0,
        # Enough for every broker to coordinate; 50 each only cost files and time at first use.
        "offsets.topic.num.partitions": 12,
        "transaction.state.log.num.partitions": 12,
    }


def _lightness() -> dict[str, object]:
    return {
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "num.recovery.threads.per.data.dir": 1,
        # The cleaner takes its 128 MiB from the heap at start: half of what a node has here.
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "log.cleaner.io.buffer.size": 256 * 1024,
        "log.index.size.max.bytes": 2 * 1024 * 1024,
    }


def _per_version(version: Version, nodes: int) -> dict[str, object]:
    """Settings that not every version knows.

    The group protocol of KIP-848 is on by itself from 4.0. Before, it is a preview that replaces
    the coordinator of the classic protocol too, so it stays off unless a scenario's settings ask
    for it (`group.coordinator.rebalance.protocols=classic,consumer`, from 3.7).
    """
    if version < Version("4.0"):
        return {}
    replicas = min(3, nodes)
    return {
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": max(1, replicas - 1),
        "share.coordinator.state.topic.num.partitions": 3,
    }
