"""Subjects become commands; what cannot is explained."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import metadata

import pytest

from kafkalab.clients import builds, resolver
from kafkalab.clients.resolver import resolve_client
from kafkalab.model.errors import UsageError
from kafkalab.model.subject import Subject
from kafkalab.runtime import pins


def _resolve(text: str, engine: str = "process"):
    return resolve_client(Subject.parse(text), pins.load(), engine)


def test_the_installed_version_runs_on_the_labs_own_interpreter():
    version = metadata.version("confluent-kafka")
    launch = _resolve(f"confluent-kafka@{version}")
    assert launch.argv[0] == sys.executable
    assert launch.subject == Subject("confluent-kafka", version)
    assert "transactions" in launch.capabilities


@pytest.mark.system
def test_another_version_loads_as_itself():
    launch = _resolve("confluent-kafka@2.6.1")
    assert launch.argv[0] != sys.executable
    found = builds.current(resolver.order_of(launch.subject, pins.load()))
    (made,) = [each for each in found if each.subject == "confluent-kafka@2.6.1"]
    assert made.hello["client"]["version"] == "2.6.1"


def test_an_image_is_what_was_named_and_runs_on_docker_only():
    assert _resolve("kafka-clients@image:mine:1", "docker").image == "mine:1"
    with pytest.raises(UsageError, match="runs on the docker engine only"):
        _resolve("kafka-clients@image:mine:1")
    with pytest.raises(UsageError, match="the docker engine runs images"):
        _resolve("kafka-clients@path:.", "docker")


def test_docker_names_the_image_of_the_version_and_builds_nothing():
    for name in ("confluent-kafka", "kafka-clients"):
        launch = _resolve(f"{name}@1.2.3", "docker")
        assert launch.image == f"kafkalab/client-{name}:1.2.3-local"
        assert launch.argv == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("confluent-kafk@2.0.0", "Did you mean confluent-kafka?"),
        ("nothing-like-it@1", "expected one of aiokafka, confluent-kafka"),
        ("kafka-clients@oldest", "no role 'oldest'"),
    ],
)
def test_what_cannot_be_resolved_is_explained(text, words):
    with pytest.raises(UsageError) as raised:
        _resolve(text)
    assert words in str(raised.value)


def test_a_client_without_a_way_to_build_it_is_refused():
    loaded = pins.load()
    row = {"driver": "docker", "pinned": "1", "package": "x", "runtime": "cobol"}
    clients = {**loaded.clients, "cobol-kafka": row}
    with pytest.raises(UsageError, match="'cobol', which nothing here builds"):
        resolve_client(Subject("cobol-kafka", "1"), replace(loaded, clients=clients), "process")


def test_a_driver_that_is_not_there_is_named():
    loaded = pins.load()
    row = {**loaded.clients["confluent-kafka"], "driver": "no/driver.py"}
    moved = replace(loaded, clients={"confluent-kafka": row})
    with pytest.raises(UsageError, match=r"no/driver\.py"):
        resolve_client(Subject("confluent-kafka", "pinned"), moved, "process")


def test_defects_need_a_checkout(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_ROOT", str(tmp_path))
    with pytest.raises(UsageError, match="part of the tests"):
        resolve_client(Subject("defect", "drop"), pins.load(), "process")
    (tmp_path / "tests/defects").mkdir(parents=True)
    (tmp_path / "tests/defects/driver.py").touch()
    launch = resolve_client(Subject("defect", "drop"), pins.load(), "process")
    assert launch.argv == (sys.executable, str(tmp_path / "tests/defects/driver.py"), "drop")


@pytest.mark.system
def test_java_runs_any_version_on_one_set_of_classes():
    old, new = _resolve("kafka-clients@3.3.2"), _resolve("kafka-clients@4.3.1")
    assert old.argv[-1] == new.argv[-1] == "Driver"
    old_path, new_path = (each.argv[each.argv.index("-cp") + 1].split(":") for each in (old, new))
    assert old_path[0] == new_path[0]
    assert any(entry.endswith("kafka-clients-3.3.2.jar") for entry in old_path)
    assert any(entry.endswith("kafka-clients-4.3.1.jar") for entry in new_path)
