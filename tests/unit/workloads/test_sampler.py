"""The sampler outlives a driver that cannot be read, and notes in the history what one used."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from kafkalab.model.cluster import ProcessStats
from kafkalab.model.errors import InfrastructureError
from kafkalab.workloads import sampler
from kafkalab.workloads.recorder import Recorder
from kafkalab.workloads.sampler import Sampler


def test_a_driver_that_cannot_be_read_leaves_a_hole_in_its_own_series_only(monkeypatch):
    monkeypatch.setattr(sampler, "INTERVAL_S", 0.01)
    twice = threading.Semaphore(0)

    def stats(driver):
        if driver.name == "gone":
            raise InfrastructureError("it has ended")
        twice.release()
        return ProcessStats(1, 1000, 0.1, 2, 3, 4, received_bytes=77, connections=-1)

    drivers = [SimpleNamespace(name="gone"), SimpleNamespace(name="here")]
    host, recorder = SimpleNamespace(stats=stats), Recorder()
    lab = SimpleNamespace(drivers=drivers, host=host, readings=[], recorder=recorder)
    opened = {"type": "invoke", "t": 1, "id": 1, "op": "open", "client": "c0"}
    recorder.listener("here")(opened)
    with Sampler(lab):
        assert twice.acquire(timeout=5)
        assert twice.acquire(timeout=5)
    assert {each.source for each in lab.readings} == {"driver:here"}
    seen = {each.metric: each.value for each in lab.readings}
    assert seen["received_bytes"] == 77
    assert not {"sent_bytes", "connections"} & set(seen)  # what cannot be seen is no reading
    columns = recorder.columns()
    noted = zip(columns["process"], columns["op"], columns["detail"], strict=True)
    assert set(noted) - {("c0", "open", '{"role": null, "config": {}}')} == {
        ("c0", "sample", '{"cpu_ms": 100, "threads": 2, "clients": 1}')
    }
