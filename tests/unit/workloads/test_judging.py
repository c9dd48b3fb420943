"""Which claims are left for the history, and in which order they are told."""

from __future__ import annotations

from types import SimpleNamespace

from kafkalab.checkers import history
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome
from kafkalab.workloads import judging
from kafkalab.workloads.lab import Driven

SCENARIO = SimpleNamespace(claims=("stall", "leak", "hung-close"))
LEAK = ClaimVerdict("leak", Outcome.PASS, 0, "flat")
CRASH = ClaimVerdict("crash", Outcome.FAIL, 1, "it ended")


def test_what_the_workload_decided_is_not_asked_again_and_what_it_names_is_asked_too():
    driven = Driven(CheckContext(1), claims=(LEAK,), also=("unshared-group", "stall"))
    left = judging.history_claims(SCENARIO, driven, [CRASH])
    assert left == ("stall", "hung-close", "unshared-group")
    told = judging.claims(SCENARIO, history.table([]), driven, [CRASH])
    assert [c.claim for c in told[:3]] == ["stall", "leak", "hung-close"]
    assert {c.claim for c in told[3:]} == {"unshared-group", "crash"}
