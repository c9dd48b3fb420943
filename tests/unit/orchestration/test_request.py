"""`--param KEY=VALUE`: read by the Param's schema, refused in a sentence when it does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.definitions.param import ParamsDict

from kafkalab.model.errors import UsageError
from kafkalab.orchestration import params, request

BASELINE = {"run": ["r1"], "accepted_by": ["ann"], "why": ["a = b, measured"]}


def conf(
    made: dict[str, Any], options: dict[str, Any], texts: dict[str, list[str]]
) -> dict[str, Any]:
    return request.conf(ParamsDict(made), options, texts)


def test_a_value_may_hold_the_sign_and_be_repeated() -> None:
    assert request.pairs(["why=a = b", "subjects=x@1", "subjects=y@2", "lane="]) == {
        "why": ["a = b"], "subjects": ["x@1", "y@2"], "lane": [""],
    }  # fmt: skip


@pytest.mark.parametrize("text", ["run", "=r1", ""])
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--param: expected KEY=VALUE, found"):
        request.pairs([text])


def test_texts_become_what_the_schema_says() -> None:
    texts = {"seed": ["7"], "subjects": ["kafka-clients@3.9.2", "defect:drop"], "commit": ["1" * 7]}
    assert conf(params.merge_params(), {"engine": "process"}, texts) == {
        "engine": "process",
        "seed": 7,
        "subjects": ["kafka-clients@3.9.2", "defect:drop"],
        "commit": "1111111",
    }


def test_a_baseline_can_be_asked_for() -> None:
    assert conf(params.baseline_params(), {}, BASELINE)["why"] == "a = b, measured"


@pytest.mark.parametrize(
    ("options", "texts", "says"),
    [
        ({}, {**BASELINE, "lanes": ["x"]}, "lanes: unknown; accepted are run, lane, accepted_by"),
        ({"engine": "auto"}, BASELINE, r"engine \(option --engine\): unknown; accepted are run"),
        ({}, {"run": ["r1"], "why": ["w"]}, "accepted_by: required, .* --param accepted_by=VALUE"),
        ({}, {**BASELINE, "why": [""]}, "why: .* Kept in the lane's history"),
        ({}, {**BASELINE, "run": ["a", "b"]}, "run: expected once, found 2"),
    ],
)
def test_what_a_baseline_cannot_be_asked_for(
    options: dict[str, Any], texts: dict[str, list[str]], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        conf(params.baseline_params(), options, texts)


@pytest.mark.parametrize(
    ("options", "texts", "says"),
    [
        ({}, {"engine": ["podman"]}, r"engine: 'podman' is not one of \['auto', 'process'"),
        ({}, {"seed": ["many"]}, "seed: 'many' is not of type 'integer'"),
        ({}, {"brokers": ["middle"]}, r"'middle' is not one of \['oldest', 'pinned', 'newest'\]"),
        ({"scenarios": ["c1"]}, {}, "scenarios: 'c1' does not match .* for example C01"),
        ({"seed": 7}, {"seed": ["7"]}, "seed: expected once, found --seed and --param seed"),
    ],
)
def test_a_value_that_does_not_fit_names_what_would(
    options: dict[str, Any], texts: dict[str, list[str]], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        conf(params.run_params(), options, texts)


def test_the_options_are_parameters_of_every_workflow() -> None:
    assert set(request.OPTIONS) <= set(params.run_params())
