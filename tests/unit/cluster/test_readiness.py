import time
from collections.abc import Mapping

import pytest

from kafkalab.cluster import readiness
from kafkalab.model.cluster import ClusterInfo, ClusterSpec, Node
from kafkalab.model.errors import InfrastructureError

INFO = ClusterInfo(
    run_id="r",
    spec=ClusterSpec("3.9.2", nodes=2),
    bootstrap="h:1,h:2",
    nodes=(Node("b1", 1, "h:1", log="/logs/b1"), Node("b2", 2, "h:2")),
    workdir="/w",
)


class Engine:
    """Two brokers whose state the test sets: a real one does not die on command at a given call."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.log = {"b1": "one\ntwo\n", "b2": ""}

    def alive(self, info: ClusterInfo, node: str) -> bool:
        return node not in self.dead

    def logs(self, info: ClusterInfo, node: str) -> str:
        return self.log[node]


class Admin:
    def __init__(self) -> None:
        self.answers: list[tuple[list[int], int]] = [([1, 2], 1)]
        self.calls: list[str] = []
        self.block_s = 0.0

    def describe_cluster(self) -> tuple[list[int], int]:
        self.calls.append("describe")
        time.sleep(self.block_s)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def create_topic(
        self, topic: str, partitions: int, configs: Mapping[str, str], replication: int = 3
    ) -> None:
        self.calls.append(f"create {topic} {replication}")

    def roundtrip(self, topic: str) -> None:
        self.calls.append(f"roundtrip {topic}")


def wait(engine: Engine, admin: Admin, deadline_s: float = 5.0, said: list[str] | None = None):
    progress = (said if said is not None else []).append
    return readiness.wait_ready(INFO, engine, admin, deadline_s, progress)  # type: ignore[arg-type]


def test_ready_is_metadata_then_a_topic_then_a_record() -> None:
    admin, said = Admin(), list[str]()

    wait(Engine(), admin, said=said)

    assert admin.calls == ["describe", "create kafkalab-ready 2", "roundtrip kafkalab-ready"]
    assert "2 nodes at h:1,h:2" in said[-1]


def test_a_missing_node_or_controller_is_asked_for_again() -> None:
    admin = Admin()
    admin.answers = [([1], 1), ([1, 2], -1), ([1, 2], 2)]

    wait(Engine(), admin)

    assert admin.calls.count("describe") == 3


def test_a_dead_broker_is_named_at_once_with_its_last_lines_although_the_admin_blocks() -> None:
    engine, admin = Engine(), Admin()
    engine.dead, admin.block_s = {"b1"}, 2.0
    started = time.monotonic()

    with pytest.raises(InfrastructureError, match=r"broker b1 .*it ended.*/logs/b1") as caught:
        wait(engine, admin, deadline_s=60)

    assert time.monotonic() - started < 1.5
    assert "one\ntwo" in str(caught.value)


def test_a_port_in_use_is_named_although_the_broker_lives() -> None:
    engine = Engine()
    engine.log["b2"] = "ERROR x - java.net.BindException: Address already in use\nbye\n"

    with pytest.raises(InfrastructureError, match=r"broker b2 .*cannot serve.*BindException"):
        wait(engine, Admin())


def test_what_hindered_an_earlier_start_does_not_count() -> None:
    engine = Engine()
    engine.log["b2"] = 'x - java.net.BindException: in use\nopenjdk version "21"\nnow it works\n'

    wait(engine, Admin())


def test_too_late_says_what_was_seen_last() -> None:
    admin = Admin()
    admin.answers = [([1], 1)]

    with pytest.raises(InfrastructureError, match=r"within 1 s.*shows brokers \[1\]") as caught:
        wait(Engine(), admin, deadline_s=1)
    assert "b1: two" in str(caught.value)
    assert "b2: (its log is empty)" in str(caught.value)
