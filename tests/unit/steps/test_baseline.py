"""A baseline is accepted only when the gate says that it may be, and then all of it or nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkalab.artifacts import baselines, runs, server
from kafkalab.artifacts.store import Conflict, Store
from kafkalab.model.errors import UsageError
from kafkalab.model.gate import Finding, GateResult
from kafkalab.model.run import Bound, Envelope, Lane, Run
from kafkalab.model.verdict import Outcome
from kafkalab.steps import baseline

pytestmark = pytest.mark.system  # a real embedded store

BOUND = Bound("latency_ms_p99", "P04", 10.0, None, 12.0)
FAIL = Finding("envelope", Outcome.FAIL, "P04", "cell", "latency_ms_p99", "30 % above")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKALAB_HOME", str(tmp_path_factory.mktemp("home")))
        with server.serving("test-baseline", 120) as endpoint:
            for name, value in endpoint.env().items():
                patch.setenv(name, value)
            yield Store.from_env()


def lane(name: str) -> Lane:
    return Lane("kafka_smoke", "kafka@3.9.2", f"{name}@2.16", "process", "linux-2c")


def proposal(name: str, **changes) -> Envelope:
    made = Envelope(lane(name), 1, (BOUND,), ("runs/a/",), "", "", "")
    return replace(made, **changes)


def gated(store: Store, name: str, *proposals: Envelope, **changes) -> str:
    """A run whose gate has decided; returns its id."""
    prefix = f"runs/kafka_smoke/~/~/host/kafka@3.9.2/c@1/20261121T000000Z-{name}/"
    run = Run(name, "kafka_smoke", prefix, 1, "process", ("c@1",), {}, {"pinned": "kafka@3.9.2"})
    runs.write_run(store, run)
    result = GateResult(name, Outcome.PASS, "every rule holds", proposals=proposals)
    runs.write_gate(store, prefix, 1, replace(result, **changes))
    return name


def accept(store: Store, run: str, who: str = "ann", why: str = "good nights"):
    return baseline.accept(store, run, "", who, why, lambda _: None)


def test_a_green_run_s_proposal_comes_into_force(store):
    (accepted,) = accept(store, gated(store, "green", proposal("green")))
    assert (accepted.number, accepted.accepted_by) == (1, "ann")
    assert baselines.current(store, lane("green")).envelope == accepted


def test_a_wanted_change_of_a_metric_may_be_accepted(store):
    run = gated(store, "change", proposal("change"), outcome=Outcome.FAIL, failures=(FAIL,))
    assert accept(store, run)


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        (
            "claim",
            {
                "outcome": Outcome.FAIL,
                "failures": (FAIL, replace(FAIL, kind="claim", name="stall", summary="2 stalls")),
            },
            "found fail: P04 stall: 2 stalls",
        ),
        (
            "evidence",
            {
                "outcome": Outcome.UNKNOWN,
                "failures": (
                    replace(FAIL, kind="evidence", outcome=Outcome.UNKNOWN, name="host-noise"),
                ),
            },
            "found unknown: P04 host-noise",
        ),
        (
            "silent",
            {"outcome": Outcome.UNKNOWN, "summary": "nothing seen"},
            "unknown: nothing seen",
        ),
    ],
)
def test_a_run_that_is_not_what_it_should_be_is_refused(store, name, changes, says):
    run = gated(store, f"red-{name}", proposal(f"red-{name}"), **changes)
    with pytest.raises(UsageError, match=says):
        accept(store, run)
    assert baselines.current(store, lane(f"red-{name}")) is None


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("unbounded", {"bounds": (replace(BOUND, upper=None),)}, "finite bound on the side"),
        ("sourceless", {"runs": ()}, "expected the runs that it came from"),
        ("stale", {"number": 2}, "expected number 1, found 2; the lane has moved on"),
    ],
)
def test_what_the_gate_refuses_is_not_written_nor_is_its_neighbour(store, name, changes, says):
    good, bad = proposal(f"{name}-good"), proposal(f"{name}-bad", **changes)
    with pytest.raises(UsageError, match=says):
        accept(store, gated(store, name, good, bad))
    assert baselines.current(store, good.lane) is None
    assert baselines.current(store, bad.lane) is None


@pytest.mark.parametrize(("who", "why"), [(" ", "w"), ("ann", "")])
def test_without_who_or_why_nothing_is_accepted(store, who, why):
    with pytest.raises(UsageError, match="a baseline needs both"):
        accept(store, gated(store, f"unsigned-{len(who)}", proposal("unsigned")), who, why)
    assert baselines.current(store, lane("unsigned")) is None


def test_a_proposal_is_accepted_once(store):
    run = gated(store, "once", proposal("once"))
    accept(store, run)
    with pytest.raises(UsageError, match="the lane has moved on since it was proposed"):
        accept(store, run)


def test_a_lane_that_moves_between_check_and_writing_is_left_alone(store):
    baselines.accept(store, proposal("race"), "bob", "faster")
    with pytest.raises(Conflict, match="number 1, found that 2 is next"):
        baselines.accept(store, proposal("race"), "ann", "slower", number=1)
    assert [e.accepted_by for e in baselines.history(store, lane("race"))] == ["bob"]
