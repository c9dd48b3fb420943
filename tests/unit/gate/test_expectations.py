"""Each way in which Great Expectations passes without having looked must end as a problem."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from kafkalab.gate.expectations import Expectations
from kafkalab.gate.suites import Rule, Suite
from kafkalab.model.verdict import Outcome

ROWS = [
    {"scenario": "P02", "cell": f"c{at}", "step": "benchmark", "metric": metric, "value": value}
    for at, (metric, value) in enumerate([("a", 1.0), ("a", 5.0), ("b", 9.0)])
]


def rule(**changes):
    values = {
        "name": "at-least",
        "file": "suites/x.json",
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "value", "min_value": {"$PARAMETER": "low"}},
        "warning": False,
        "frame": "envelope",
        "applies_to": {"metric": ("a",)},
        "outcome": Outcome.UNKNOWN,
        "says": "{value}",
        "why": "because of the test",
    }
    return Rule(**{**values, **changes})


def evaluate(rules, rows=ROWS, parameters=None):
    suite = Suite("x", Path("x.json"), tuple(rules), {})
    return Expectations(None, "run").evaluate(suite, "envelope", rows, parameters)


def test_a_broken_row_comes_back_as_it_was():
    (check,) = evaluate([rule()], parameters={"low": 2.0})
    assert (check.problem, check.broken, check.rows) == ("", (ROWS[0],), 2)
    assert check.bound == "≥ 2"


def test_a_rule_for_the_rest_judges_what_no_other_names():
    rest = rule(
        name="rest", applies_to={"metric": ("*",)}, kwargs={"column": "value", "max_value": 8}
    )
    first, second = evaluate([rule(), rest], parameters={"low": 0.0})
    assert first.broken == ()
    assert second.broken == (ROWS[2],)


def test_an_empty_frame_is_not_judged_at_all():
    assert evaluate([rule()], rows=[], parameters={"low": 2.0}) == []


def test_a_rule_that_applies_to_no_row_is_not_judged_at_all():
    assert evaluate([rule(applies_to={"metric": ("z",)})], parameters={"low": 2.0}) == []


def test_a_missing_parameter_is_a_problem():
    (check,) = evaluate([rule()])
    assert check.problem == "no value for the bound low"


def test_a_null_bound_is_a_problem():
    (check,) = evaluate([rule()], parameters={"low": None})
    assert "cannot both be None" in check.problem


@pytest.mark.parametrize("value", [math.nan, None])
def test_a_missing_value_is_a_problem(value):
    rows = [*ROWS, {**ROWS[0], "value": value}]
    (check,) = evaluate([rule()], rows=rows, parameters={"low": 0.0})
    assert check.problem == "1 of 3 rows have no value"


def test_an_expectation_that_does_not_exist_is_a_problem():
    unknown = rule(name="typo", type="expect_column_values_to_be_betwen")
    good, bad = evaluate([rule(), unknown], parameters={"low": 0.0})
    assert good.problem == ""
    assert "did not evaluate 'expect_column_values_to_be_betwen'" in bad.problem


def test_an_exception_inside_an_expectation_is_a_problem():
    wrong = rule(kwargs={"column": "nowhere", "min_value": 1})
    (check,) = evaluate([wrong])
    assert 'column "nowhere"' in check.problem


def test_a_condition_that_selects_other_rows_than_were_counted_is_a_problem(monkeypatch):
    monkeypatch.setattr(Suite, "rows_of", lambda self, one, rows: [0, 1, 2])
    (check,) = evaluate([rule()], parameters={"low": 0.0})
    assert check.problem == "3 rows to judge, 2 were judged"


def test_the_suite_gives_what_the_envelope_does_not():
    suite = Suite("x", Path("x.json"), (rule(),), {"low": 2.0})
    expectations = Expectations(None, "run")
    (own,) = expectations.evaluate(suite, "envelope", ROWS, name="own")
    (given,) = expectations.evaluate(suite, "envelope", ROWS, {"low": 9.0}, name="given")
    assert (len(own.broken), len(given.broken)) == (1, 2)
    assert replace(own, broken=(), bound="") == replace(given, broken=(), bound="")
