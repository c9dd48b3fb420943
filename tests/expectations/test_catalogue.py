"""A green night over the whole catalogue is green at the gate, and each claim can turn it red."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kafkalab.gate import judge_run
from kafkalab.model.run import Manifest, Run
from kafkalab.model.scenario import Cell
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome
from kafkalab.scenarios import loader

SUITES = Path(__file__).parents[2] / "expectations" / "suites"
CATALOGUE = loader.catalogue("smoke")
BROKER, CLIENT = "kafka@3.9.2", "confluent-kafka@2.16.1"


def _cell(scenario):
    return Cell(scenario.id, (CLIENT,), BROKER)


def _verdict(scenario):
    return CellVerdict(
        scenario=scenario.id,
        clients=(CLIENT,),
        broker=BROKER,
        engine="process",
        cell=_cell(scenario).id,
        outcome=Outcome.PASS,
        seconds=5.0,
        claims=tuple(ClaimVerdict(c, Outcome.PASS, 0, f"{c} holds") for c in scenario.claims),
        metrics=dict.fromkeys(scenario.metrics, 10.0),
        samples={"rows": 10},
    )


@pytest.fixture
def night():
    cells: dict[str, list[Cell]] = {}
    for scenario in CATALOGUE.values():
        cells.setdefault(f"{scenario.step}/pinned", []).append(_cell(scenario))
    run = Run(
        run_id="r1",
        workflow="kafka_smoke",
        prefix="runs/r1/",
        seed=1,
        engine="process",
        subjects=(CLIENT,),
        cells={key: tuple(group) for key, group in cells.items()},
        brokers={"pinned": BROKER},
    )
    manifests = [Manifest("provision", 1, Outcome.PASS)]
    for scenario in CATALOGUE.values():
        at = _cell(scenario).id
        manifests.append(Manifest(scenario.step, 1, Outcome.PASS, cell=at, host={"noisy": []}))
    return run, manifests, [_verdict(scenario) for scenario in CATALOGUE.values()]


def judge(run, manifests, verdicts):
    return judge_run(run, manifests, verdicts, lambda lane: None, SUITES, None, scenarios=CATALOGUE)


def test_a_green_night_is_green(night):
    result = judge(*night)
    assert [(f.name, f.cell, f.summary) for f in result.failures] == []
    assert result.outcome is Outcome.PASS
    assert result.warnings == ()
    gated = {b.scenario for proposal in result.proposals for b in proposal.bounds}
    assert {"P02", "P03", "P04", "M01", "B01"} <= gated


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.UNKNOWN])
def test_every_claim_of_every_scenario_turns_the_gate_red_under_its_own_name(night, outcome):
    run, manifests, verdicts = night
    broken = [
        replace(
            v, outcome=outcome, claims=tuple(replace(c, outcome=outcome, count=1) for c in v.claims)
        )
        for v in verdicts
    ]
    result = judge(run, manifests, broken)
    expected = {(v.cell, c.claim, outcome) for v in verdicts for c in v.claims}
    assert {(f.cell, f.name, f.outcome) for f in result.failures} == expected
    assert len(result.failures) == len(expected)
    assert result.outcome is outcome
    assert result.proposals == ()


def test_every_metric_that_is_missing_turns_the_gate_red(night):
    run, manifests, verdicts = night
    result = judge(run, manifests, [replace(v, metrics={}) for v in verdicts])
    missing = [f for f in result.failures if f.name == "metric-value"]
    assert len(missing) == sum(len(s.metrics) for s in CATALOGUE.values())
    assert result.outcome is Outcome.UNKNOWN
