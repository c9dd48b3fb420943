"""What a cell keeps when its workload does not come to its end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kafkalab.model.errors import DriverError
from kafkalab.steps import cell
from kafkalab.workloads.lab import Workload

SCENARIO = SimpleNamespace(id="C01", title="t", workload="w", load={}, seconds_max=10)
CELL = SimpleNamespace(id="C01-x", clients=("confluent-kafka@pinned",))


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (DriverError("it hung"), "it hung"),
        (ValueError("too few values"), "the lab itself failed: ValueError: too few values"),
    ],
)
def test_a_cell_that_breaks_keeps_what_was_recorded(monkeypatch, capsys, raised, reason):
    def drive(lab, _load):
        lab.recorder.note(1, "c0", "kill", {})
        raise raised

    workload = Workload(SimpleNamespace, drive, frozenset())
    monkeypatch.setattr(cell, "workload_named", lambda _name: workload)
    stopped = []
    host = SimpleNamespace(
        admin=lambda _recorder: ("admin", None), stop=stopped.append, bootstrap="b:9092"
    )
    context = SimpleNamespace(run=SimpleNamespace(seed=1), progress=lambda _text: None)

    lab, outcome = cell._drive(context, CELL, SCENARIO, host)

    assert outcome.reason == reason
    assert len(lab.recorder.columns()["index"]) == 1
    assert stopped == ["admin"]
    assert capsys.readouterr().err == outcome.trace
    assert ("Traceback" in outcome.trace) == isinstance(raised, ValueError)
