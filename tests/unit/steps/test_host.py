"""A broker that a workload kills is seen to be gone, and the host remembers what came back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kafkalab.model.errors import InfrastructureError
from kafkalab.steps.host import EngineHost


class Engine:
    """Kills, unless it is `immortal`; a restart gives another cluster."""

    def __init__(self, immortal=False):
        self.immortal, self.gone = immortal, set()

    def driver_bootstrap(self, cluster):
        return f"at {cluster.generation}"

    def kill(self, _cluster, name):
        if not self.immortal:
            self.gone.add(name)

    def alive(self, _cluster, name):
        return name not in self.gone

    def restart(self, cluster, name):
        self.gone.discard(name)
        return SimpleNamespace(nodes=cluster.nodes, generation=cluster.generation + 1)

    def driver_stats(self, cluster, name, pid):
        return (cluster.generation, name, pid)


def host_on(engine, tmp_path):
    nodes = (SimpleNamespace(name="b1", node_id=1), SimpleNamespace(name="b2", node_id=2))
    cluster = SimpleNamespace(nodes=nodes, generation=0)
    return EngineHost(engine, cluster, None, tmp_path)


def test_a_broker_goes_and_comes_back(tmp_path):
    engine = Engine()
    host = host_on(engine, tmp_path)
    assert host.brokers() == {"b1": 1, "b2": 2}
    host.kill_broker("b2")
    assert engine.gone == {"b2"}
    host.restart_broker("b2")
    assert engine.gone == set()
    driver = SimpleNamespace(name="d0", pid=7, alive=lambda: True)
    assert host.stats(driver) == (1, "d0", 7)  # of the cluster as it is now


def test_a_broker_that_still_runs_is_the_labs_trouble(tmp_path):
    host = host_on(Engine(immortal=True), tmp_path)
    with pytest.raises(InfrastructureError, match="expected broker b1 to be gone"):
        host.kill_broker("b1")
