"""Planning: a workflow crossed with parameters, as values."""

from __future__ import annotations

import dataclasses
from types import MappingProxyType

import pytest

from kafkalab.model.errors import UsageError
from kafkalab.model.subject import Subject
from kafkalab.runtime import pins
from kafkalab.scenarios import loader, planner

CATALOGUE = loader.catalogue()
ABLE = frozenset({"kill"})  # an engine that can do what the catalogue needs


def plan(capabilities=ABLE, catalogue=None, clients=MappingProxyType({}), **params):
    flow = loader.load_workflow("kafka_smoke")
    asked = planner.Params.from_dict(params)
    world = planner.World(pins.load().resolve, capabilities, clients.get)
    return planner.plan(flow, asked, catalogue or CATALOGUE, world)


@pytest.mark.parametrize("name", ["kafka_merge", "kafka_nightly"])
def test_merges_and_nights_leave_no_scenario_out(name):
    params = planner.Params.from_dict({})
    world = planner.World(pins.load().resolve, ABLE, {}.get)
    cells = planner.plan(loader.load_workflow(name), params, CATALOGUE, world).cells
    assert {cell.scenario for group in cells.values() for cell in group} == set(CATALOGUE)


def test_the_smoke_covers_what_it_promises():
    cells = plan().cells
    scenarios = {cell.scenario for group in cells.values() for cell in group}
    assert scenarios == set(CATALOGUE) - {"K03"}  # an outage takes a minute: on merges and nightly
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
    assert {cell.clients[0] for group in cells.values() for cell in group} == {"defect:drop"}


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
    assert not plan(ABLE | {"pause"}, {**CATALOGUE, "C01": needy}).skipped


def test_what_a_client_lacks_is_skipped_in_words_and_the_others_run():
    java = str(pins.load().resolve(Subject("kafka-clients", "pinned")))
    needy = dataclasses.replace(CATALOGUE["A01"], needs=("transactions",))
    found = plan(catalogue={**CATALOGUE, "A01": needy}, clients={java: frozenset({"produce"})})
    assert [(s.what, s.needs) for s in found.skipped] == [(f"A01 with {java}", "transactions")]
    assert all(len(found.cells[f"compat/{role}"]) == 1 for role in ("oldest", "pinned", "newest"))


def test_a_mixed_group_is_a_client_and_a_partner_of_another_name_once():
    mixed = [c.clients for g in plan().cells.values() for c in g if len(c.clients) > 1]
    assert [[client.partition("@")[0] for client in clients] for clients in mixed] == [
        ["confluent-kafka", "kafka-clients"]
    ]
    asked = plan(subjects=["kafka-clients@3.3.2", "defect:none"])
    mixed = {c.clients for g in asked.cells.values() for c in g if len(c.clients) > 1}
    other = str(pins.load().resolve(Subject("confluent-kafka", "pinned")))
    java = str(pins.load().resolve(Subject("kafka-clients", "pinned")))
    assert mixed == {("kafka-clients@3.3.2", other), ("defect:none", java)}


def test_two_roles_of_one_version_run_a_cell_once():
    def resolve(subject):
        newest = subject.version == "newest"
        return pins.load().resolve(
            dataclasses.replace(subject, version="pinned") if newest else subject
        )

    flow = loader.load_workflow("kafka_smoke")
    world = planner.World(resolve, ABLE)
    found = planner.plan(flow, planner.Params(), CATALOGUE, world)
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
