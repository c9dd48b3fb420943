"""Which images there are, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkalab.cluster import docker_images
from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import paths, pins


def test_a_version_is_part_of_the_tag() -> None:
    assert docker_images.reference("step") == "kafkalab/step:local"
    assert docker_images.reference("broker-kafka", "3.9.2") == "kafkalab/broker-kafka:3.9.2-local"


@pytest.mark.parametrize("name", ["step", "broker-kafka@3.7.2", "client-confluent-kafka@2.6.0rc1"])
def test_a_name_comes_back_from_its_reference(name: str) -> None:
    assert docker_images.name_of(docker_images.reference(*name.split("@"))) == name


def test_a_foreign_image_is_called_by_its_reference() -> None:
    assert docker_images.name_of("example.com:5000/other:1") == "example.com:5000/other:1"


def test_every_image_of_the_pins_has_a_recipe_with_a_dockerfile() -> None:
    assert set(docker_images.recipes()) == set(pins.load().images)
    for recipe in docker_images.recipes().values():
        text = (paths.root() / "docker" / recipe.folder / "Dockerfile").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert lines[0].startswith("ARG BASE_IMAGE="), recipe.folder
        assert lines[1] == "FROM ${BASE_IMAGE}", recipe.folder


def _no_parts(client: str, version: str) -> list[tuple[Path, str]]:
    pytest.fail(f"asked for {client}@{version}")


@pytest.mark.parametrize("names", [["nowhere"], ["step", "broker-kafak@3.9.2"]])
def test_an_unknown_image_is_named_before_anything_is_built(names: list[str]) -> None:
    with pytest.raises(UsageError, match=r"no image .*known are step, broker-kafka"):
        docker_images.build(names, None, lambda _: pytest.fail("built something"), _no_parts)


def test_without_a_daemon_nothing_is_resolved(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("none")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/none.sock")
    monkeypatch.setenv("KAFKALAB_CACHE", str(folder / "cache"))
    with pytest.raises(InfrastructureError, match="expected a Docker daemon"):
        docker_images.build(["broker-kafka@3.9.2"], None, lambda _: None, _no_parts)
    assert not (folder / "cache").exists()
