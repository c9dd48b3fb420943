"""The suites as they are: complete for the catalogue, and true to the words of the model."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from kafkalab.gate.frames import COLUMNS
from kafkalab.gate.suites import QUALITY, REST, load
from kafkalab.model.claim import CLAIMS
from kafkalab.model.metric import METRICS
from kafkalab.model.scenario import STEPS
from kafkalab.scenarios import loader
from kafkalab.steps import registry

FOLDER = Path(__file__).parents[2] / "expectations"
SUITES = {name: load(FOLDER / "suites", name) for name in (QUALITY, *STEPS)}
SCHEMA = json.loads((FOLDER / "schemas" / "suite.schema.json").read_text(encoding="utf-8"))

steps = pytest.mark.parametrize("step", STEPS)
suites = pytest.mark.parametrize("name", SUITES)


def scenarios(step):
    found = [s for s in loader.catalogue("smoke").values() if s.step == step]
    assert found, f"the catalogue has no scenario of step {step}"
    return found


def of(step, frame, column):
    return {
        value: rule
        for rule in SUITES[step].of_frame(frame)
        for value in rule.applies_to.get(column, ())
        if not rule.warning
    }


def test_every_file_is_a_suite_of_a_step_or_of_the_quality():
    assert {p.stem for p in (FOLDER / "suites").iterdir()} == set(SUITES)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@suites
def test_every_file_is_valid_and_names_its_schema(name):
    raw = json.loads((FOLDER / "suites" / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(raw)
    assert (FOLDER / "suites" / raw["$schema"]).resolve() == (
        FOLDER / "schemas" / "suite.schema.json"
    )


@steps
def test_every_claim_that_a_scenario_declares_has_a_rule_of_its_own(step):
    declared = {claim for scenario in scenarios(step) for claim in scenario.claims}
    assert declared <= set(of(step, "claims", "claim"))


@steps
def test_every_claim_that_a_rule_names_exists(step):
    assert set(of(step, "claims", "claim")) - {REST} <= set(CLAIMS)


@steps
def test_any_other_claim_is_judged_too(step):
    assert REST in of(step, "claims", "claim")


@steps
def test_every_metric_that_a_scenario_declares_or_a_default_gates_has_a_rule(step):
    declared = {metric for scenario in scenarios(step) for metric in scenario.metrics}
    gated = {name for name, metric in METRICS.items() if metric.fail_ratio is not None}
    assert declared | gated <= set(of(step, "envelope", "metric"))


@steps
def test_every_metric_that_a_rule_names_exists_and_takes_its_own_bounds(step):
    for rule in SUITES[step].of_frame("envelope"):
        (metric,) = rule.applies_to["metric"]
        assert metric in METRICS
        sides = ("warn",) if rule.warning else ("lower", "upper")
        assert set(rule.parameters) == {f"{metric}_{side}" for side in sides}


@steps
def test_a_warning_exists_exactly_for_the_metrics_that_have_one(step):
    rules = [rule for rule in SUITES[step].of_frame("envelope") if rule.warning]
    metrics = [metric for rule in rules for metric in rule.applies_to["metric"]]
    assert sorted(metrics) == sorted(n for n, m in METRICS.items() if m.warn_ratio is not None)
    for rule in rules:
        side = (
            "min_value" if METRICS[rule.applies_to["metric"][0]].higher_is_better else "max_value"
        )
        assert side in rule.kwargs


@steps
def test_a_claim_holds_only_when_its_outcome_is_pass(step):
    for rule in SUITES[step].of_frame("claims"):
        assert (rule.column, rule.kwargs["value_set"]) == ("outcome", ["pass"])


def test_the_quality_suite_looks_at_every_frame_but_those_of_the_steps():
    frames = {rule.frame for rule in SUITES[QUALITY].rules}
    assert frames == set(COLUMNS) - {"claims", "envelope"}


@suites
def test_every_parameter_of_a_file_is_used(name):
    used = {parameter for rule in SUITES[name].rules for parameter in rule.parameters}
    assert set(SUITES[name].parameters) <= used


def test_every_step_that_a_quality_rule_names_exists():
    for rule in SUITES[QUALITY].rules:
        assert set(rule.applies_to.get("step", ())) <= set(registry.STEPS)
