"""What a cell keeps when its workload does not come to its end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kafkalab.model.errors import DriverError
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome
from kafkalab.steps import cell
from kafkalab.workloads.lab import Driven, Workload

SCENARIO = SimpleNamespace(
    id="C01", title="t", workload="w", load={}, seconds_max=10, live_s=0, claims=("unseen",)
)
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


def test_live_verdicts_end_with_a_workload_that_breaks(monkeypatch):
    followed = []

    def drive(lab, _load):
        lab.follow(CheckContext(0))
        followed.append(lab.follower)
        raise DriverError("it hung")

    workload = Workload(SimpleNamespace, drive, frozenset())
    monkeypatch.setattr(cell, "workload_named", lambda _name: workload)
    host = SimpleNamespace(admin=lambda _: ("admin", None), stop=lambda _: None, bootstrap="b:9092")
    context = SimpleNamespace(run=SimpleNamespace(seed=1), progress=lambda _text: None)
    scenario = SimpleNamespace(**{**vars(SCENARIO), "live_s": 60})

    _lab, outcome = cell._drive(context, CELL, scenario, host)

    (follower,) = followed
    assert not follower._thread.is_alive()
    assert outcome.reason == "it hung"


@pytest.mark.parametrize(
    ("live_s", "driven", "says"),
    [
        (
            5,
            Driven(CheckContext(0)),
            "the lab itself failed: C01 sets live_s, and its workload does not follow",
        ),
        (5, None, ""),
        (0, Driven(CheckContext(0)), ""),
    ],
)
def test_a_scenario_that_nobody_follows_is_told(live_s, driven, says):
    scenario = SimpleNamespace(**{**vars(SCENARIO), "live_s": live_s})
    lab, outcome = SimpleNamespace(follower=None), SimpleNamespace(driven=driven, crashes=[])
    assert cell._differences(scenario, outcome, lab, None, ()) == says


def test_live_verdicts_that_differ_make_the_cell_unknown():
    scenario = SimpleNamespace(**{**vars(SCENARIO), "live_s": 5})
    seen = []
    follower = SimpleNamespace(differences=lambda *given: seen.append(given) or ("a", "b"))
    driven = Driven(CheckContext(7), claims=(ClaimVerdict("leak", Outcome.PASS, 0, "none"),))
    outcome = SimpleNamespace(driven=driven, crashes=[])
    unseen = ClaimVerdict("unseen", Outcome.PASS, 0, "none")
    text = cell._differences(
        scenario, outcome, SimpleNamespace(follower=follower), "table", (*driven.claims, unseen)
    )
    assert text == "the lab itself failed: live and final verdicts differ: a; b"
    assert seen == [("table", CheckContext(7), {"unseen": unseen})]
