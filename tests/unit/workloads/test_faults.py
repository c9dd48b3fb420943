"""A fault stands in the history from its injection until its effect is over, healed or not."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from kafkalab.model.errors import InfrastructureError
from kafkalab.workloads import faults
from kafkalab.workloads.lab import Lab
from kafkalab.workloads.recorder import Recorder


class Host:
    """Brokers that can be killed; metadata shows them again after `slow` questions."""

    def __init__(self, slow: int = 0, immortal: bool = False) -> None:
        self.up, self.slow, self.immortal, self.said = {"b1", "b2"}, slow, immortal, []

    def brokers(self):
        return {"b1": 1, "b2": 2}

    def kill_broker(self, name):
        self.said.append(f"kill {name}")
        if self.immortal:
            raise InfrastructureError("it still runs")
        self.up.discard(name)

    def restart_broker(self, name):
        self.said.append(f"restart {name}")
        self.up.add(name)

    def describe_cluster(self):
        self.slow -= 1
        return [2] if self.slow >= 0 else sorted(self.brokers()[b] for b in self.up), 2


def lab_on(host):
    return Lab(
        scenario=SimpleNamespace(id="K03"), subjects=("x",), baseline="", witness="", bootstrap="",
        host=host, admin=host, recorder=Recorder(), rng=None, progress=lambda _text: None,
        deadline=0.0,
    )  # fmt: skip


def noted(lab):
    columns = lab.recorder.columns()
    rows = zip(columns["process"], columns["op"], columns["detail"], strict=True)
    return [(process, op, json.loads(detail)["phase"]) for process, op, detail in rows]


def test_a_broker_is_gone_within_the_block_and_seen_again_after_it():
    host = Host(slow=2)
    lab = lab_on(host)
    with faults.broker_down(lab, "b1"):
        assert host.up == {"b2"}
        assert noted(lab) == [("lab", "fault", "injected")]
    assert host.up == {"b1", "b2"}
    assert host.slow < 0
    assert noted(lab) == [("lab", "fault", "injected"), ("lab", "fault", "healed")]
    assert [r.text.partition(":")[0] for r in lab.readings] == ["fault", "heal"]


def test_an_error_in_the_block_is_healed_too_and_not_told_as_healed():
    host = Host()
    lab = lab_on(host)
    with pytest.raises(ValueError, match="in between"), faults.broker_down(lab, "b1"):
        raise ValueError("in between")
    assert host.said == ["kill b1", "restart b1"]
    assert noted(lab) == [("lab", "fault", "injected")]


def test_a_broker_that_does_not_go_ends_the_cell_before_any_load():
    host, entered = Host(immortal=True), []
    still = pytest.raises(InfrastructureError, match="still runs")
    with still, faults.broker_down(lab_on(host), "b1"):
        entered.append(True)
    assert entered == []


def test_a_broker_that_does_not_come_back_is_the_labs_trouble(monkeypatch):
    monkeypatch.setattr(faults, "RETURN_S", 0.3)
    lab = lab_on(Host(slow=10_000))
    missing = pytest.raises(InfrastructureError, match=r"expected brokers \[1, 2\].*found \[2\]")
    with missing, faults.broker_down(lab, "b1"):
        pass
    assert noted(lab) == [("lab", "fault", "injected")]
