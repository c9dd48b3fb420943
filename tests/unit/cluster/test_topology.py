import pytest

from kafkalab.cluster import topology
from kafkalab.model.cluster import ClusterSpec
from kafkalab.model.errors import UsageError


def plans(count: int) -> list[topology.NodePlan]:
    result = []
    for number, name in enumerate(topology.node_names(count), start=1):
        bind = {n: f"0.0.0.0:{number}{i}" for i, n in enumerate(("CLIENT", "BROKER", "CONTROLLER"))}
        told = {n: address.replace("0.0.0.0", name) for n, address in bind.items()}
        listeners = topology.listeners(bind, told)
        result.append(topology.NodePlan(name, number, listeners, f"/data/{name}"))
    return result


def properties(spec: ClusterSpec, node: int = 0) -> dict[str, str]:
    nodes = plans(spec.nodes)
    text = topology.server_properties(spec, nodes[node], nodes)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_three_nodes_form_one_quorum_and_replicate_everything() -> None:
    settings = properties(ClusterSpec("3.9.2"), node=1)

    assert settings["process.roles"] == "broker,controller"
    assert settings["node.id"] == "2"
    assert settings["controller.quorum.voters"] == "1@b1:12,2@b2:22,3@b3:32"
    assert settings["default.replication.factor"] == "3"
    assert settings["offsets.topic.replication.factor"] == "3"
    assert settings["transaction.state.log.replication.factor"] == "3"
    assert settings["min.insync.replicas"] == "2"
    assert settings["log.dirs"] == "/data/b2"


def test_drivers_are_told_the_advertised_address_and_never_the_controllers() -> None:
    settings = properties(ClusterSpec("3.9.2"))

    assert (
        settings["listeners"] == "CLIENT://0.0.0.0:10,BROKER://0.0.0.0:11,CONTROLLER://0.0.0.0:12"
    )
    assert settings["advertised.listeners"] == "CLIENT://b1:10,BROKER://b1:11"
    assert settings["inter.broker.listener.name"] == "BROKER"


def test_one_node_does_not_wait_for_replicas_that_cannot_be() -> None:
    settings = properties(ClusterSpec("3.9.2", nodes=1))

    assert settings["default.replication.factor"] == "1"
    assert settings["min.insync.replicas"] == "1"
    assert settings["transaction.state.log.min.isr"] == "1"


def test_settings_of_the_spec_win() -> None:
    spec = ClusterSpec("3.9.2", settings={"min.insync.replicas": "3", "log.retention.ms": "5"})

    settings = properties(spec)

    assert settings["min.insync.replicas"] == "3"
    assert settings["log.retention.ms"] == "5"


def test_settings_that_a_version_does_not_know_are_not_written() -> None:
    assert not [key for key in properties(ClusterSpec("3.3.2")) if key.startswith("share.")]
    newest = properties(ClusterSpec("4.3.1"))
    assert newest["share.coordinator.state.topic.replication.factor"] == "3"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (ClusterSpec("2.8.2"), "KRaft"),
        (ClusterSpec("newest"), "is not a Kafka version"),
        (ClusterSpec("3.9.2", flavour="rabbit"), "unknown broker flavour 'rabbit'"),
        (ClusterSpec("3.9.2", nodes=0), "at least 1 node"),
    ],
)
def test_what_cannot_be_built_is_refused_with_a_reason(spec: ClusterSpec, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        topology.check(spec)
