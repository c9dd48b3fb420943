"""Planning: a workflow crossed with parameters, as values."""

from __future__ import annotations

import dataclasses

import pytest

from kafkalab.model.errors import UsageError
from kafkalab.runtime import pins
from kafkalab.scenarios import loader, planner

CATALOGUE = loader.catalogue()


def plan(capabilities=frozenset(), catalogue=None, **params):
    flow = loader.load_workflow("kafka_smoke")
    asked = planner.Params.from_dict(params)
    return planner.plan(flow, asked, catalogue or CATALOGUE, pins.load().resolve, capabilities)


def test_the_smoke_covers_what_it_promises():
    cells = plan().cells
    scenarios = {cell.scenario for group in cells.values() for cell in group}
    assert scenarios == set(CATALOGUE)
    assert {k for k in cells if k.startswith("compat/")} == {
        "compat/oldest", "compat/pinned", "compat/newest",
    }  # fmt: skip
    assert len(cells["compat/oldest"]) == 2  # every client of the lab


def test_roles_are_resolved_to_versions():
    cell = plan(scenarios=["C01"]).cells["correctness/pinned"][0]
    assert cell.broker == f"kafka@{pins.load().brokers['kafka']['pinned']}"
    assert "pinned" not in cell.clients[0]


def test_subjects_replace_everyone():
    cells = plan(subjects=["defect:drop"]).cells
    assert {c for group in cells.values() for cell in group for c in cell.clients} == {
        "defect:drop"
    }


def test_brokers_and_scenarios_narrow():
    cells = plan(scenarios=["A01"], brokers=["newest"]).cells
    assert list(cells) == ["compat/newest"]


def test_nothing_left_is_a_usage_error():
    with pytest.raises(UsageError, match="nothing to run"):
        plan(scenarios=["C01"], brokers=["newest"])


def test_what_the_engine_lacks_is_skipped_in_words():
    needy = dataclasses.replace(CATALOGUE["C01"], needs=("engine:pause",))
    found = plan(catalogue={**CATALOGUE, "C01": needy})
    assert [(s.what, s.needs) for s in found.skipped] == [("C01 on kafka@3.9.2", "pause")]
    assert not plan(frozenset({"pause"}), {**CATALOGUE, "C01": needy}).skipped


def test_two_roles_of_one_version_run_a_cell_once():
    def resolve(subject):
        newest = subject.version == "newest"
        return pins.load().resolve(
            dataclasses.replace(subject, version="pinned") if newest else subject
        )

    flow = loader.load_workflow("kafka_smoke")
    found = planner.plan(flow, planner.Params(), CATALOGUE, resolve, frozenset())
    ids = [cell.id for group in found.cells.values() for cell in group]
    assert len(ids) == len(set(ids))
    assert "compat/newest" not in found.cells
    assert [(s.what, s.needs) for s in found.skipped] == [
        ("A01 on newest", "a Kafka other than pinned's")
    ]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"subjets": []}, "parameter subjets: unknown"),
        ({"subjects": "confluent-kafka@1"}, "parameter subjects: expected a list"),
        ({"subjects": ["confluent-kafka"]}, "'confluent-kafka' is not a subject"),
        ({"subjects": ["nobody@1.0"]}, "unknown client or broker 'nobody'"),
        ({"scenarios": ["C00"]}, "unknown scenario 'C00'"),
        ({"engine": "podman"}, "parameter engine: expected auto, process, docker"),
        ({"seed": -1}, "parameter seed"),
        ({"seed": True}, "parameter seed"),
    ],
)
def test_a_wrong_parameter_is_named(params, says):
    with pytest.raises(UsageError, match=says):
        plan(**params)
