"""The catalogue's loader: what is there loads, and each mistake names file, key and what fits."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import yaml

from kafkalab.model.errors import UsageError
from kafkalab.scenarios import loader
from kafkalab.workloads.registry import WORKLOADS, workload_named

GOOD = {
    "id": "C99",
    "title": "a title",
    "why": "a reason",
    "step": "correctness",
    "workload": "roundtrip",
    "claims": ["lost-write"],
    "load": {"records": 10},
    "profiles": {"nightly": {"records": 100}},
}


def write(folder: Path, **changes) -> Path:
    path = folder / "C99.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in {**GOOD, **changes}.items() if v is not None}))
    return path


def test_the_catalogue_loads_under_each_profile():
    for profile in loader.PROFILES:
        scenarios = loader.catalogue(profile)
        assert set(scenarios) >= {
            "C01", "C02", "C03", "C13", "B01", "B04", "M01", "P02", "P03", "P04", "A01",
        }  # fmt: skip


@pytest.mark.parametrize("scenario", loader.catalogue().values(), ids=lambda s: s.id)
def test_each_scenario_fits_its_workload(scenario):
    workload = workload_named(scenario.workload)
    load = {k: tuple(v) if isinstance(v, list) else v for k, v in scenario.load.items()}
    workload.load(**load)
    assert set(scenario.claims) <= workload.claims


@pytest.mark.parametrize("scenario", loader.catalogue().values(), ids=lambda s: s.id)
def test_a_scenario_that_pauses_a_consumer_asks_for_a_client_that_can(scenario):
    module = inspect.getmodule(workload_named(scenario.workload).drive)
    assert (".pause(" in inspect.getsource(module)) == ("pause" in scenario.needs)


def test_every_workload_is_used():
    assert {s.workload for s in loader.catalogue().values()} == set(WORKLOADS)


def test_a_profile_overrides_the_load(tmp_path):
    path = write(tmp_path)
    assert loader.load_scenario(path, "smoke").load["records"] == 10
    assert loader.load_scenario(path, "nightly").load["records"] == 100


def test_a_profile_overrides_the_time_for_it(tmp_path):
    path = write(tmp_path, profiles={"nightly": {"records": 100, "seconds_max": 600}})
    assert loader.load_scenario(path, "smoke").seconds_max == 120
    nightly = loader.load_scenario(path, "nightly")
    assert (nightly.seconds_max, nightly.load["records"]) == (600, 100)


def test_live_verdicts_are_asked_for_in_seconds(tmp_path):
    assert loader.load_scenario(write(tmp_path)).live_s == 0
    assert loader.load_scenario(write(tmp_path, live_s=3600), "nightly").live_s == 3600


@pytest.mark.parametrize("profile", loader.PROFILES)
def test_every_load_leaves_time_to_start_and_to_drain(profile):
    for scenario in loader.catalogue(profile).values():
        load = scenario.load
        at_once = 1 if scenario.workload == "paired_latency" else 2
        pairs_s = load.get("pairs_max", 0) * load.get("trial_s", 0) * at_once
        assert load.get("duration_s", 0) + pairs_s + 30 < scenario.seconds_max, scenario.id


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"title": None}, "C99.yaml: title: expected, found nothing"),
        ({"colour": "red"}, "C99.yaml: colour: unknown key"),
        ({"id": "C98"}, "C99.yaml: id: expected 'C99'"),
        ({"step": "dance"}, "C99.yaml: step: unknown 'dance'; accepted are correctness"),
        ({"claims": ["lost-rite"]}, "C99.yaml: claims: unknown 'lost-rite'"),
        ({"claims": "lost-write"}, "C99.yaml: claims: expected a list, found str"),
        ({"metrics": ["speed"]}, "C99.yaml: metrics: unknown 'speed'"),
        ({"live_s": "often"}, "C99.yaml: live_s: expected seconds, 0 or more, found 'often'"),
        ({"live_s": -1}, "C99.yaml: live_s: expected seconds"),
        ({"profiles": {"weekly": {}}}, "C99.yaml: profiles: unknown 'weekly'"),
        ({"profiles": {"smoke": {"recods": 1}}}, "C99: load has no 'recods'; it has records"),
    ],
)
def test_a_mistake_names_file_key_and_what_fits(tmp_path, changes, says):
    with pytest.raises(UsageError, match=says.replace("'", ".")):
        loader.load_scenario(write(tmp_path, **changes))


def test_malformed_yaml_names_the_file(tmp_path):
    path = tmp_path / "C99.yaml"
    path.write_text("id: [C99\n")
    with pytest.raises(UsageError, match=r"C99.yaml: is not YAML"):
        loader.load_scenario(path)


def test_an_unknown_scenario_names_the_nearest():
    with pytest.raises(UsageError, match=r"unknown scenario 'c1': did you mean .*C01"):
        loader.scenario_named("c1", loader.catalogue())


def test_an_unknown_workflow_names_those_that_exist():
    with pytest.raises(UsageError, match=r"kafka_smoke"):
        loader.load_workflow("kafka_smok")
