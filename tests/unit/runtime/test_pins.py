"""Pins: one place for each, and lists that may name what is pinned there."""

from __future__ import annotations

import pytest

from kafkalab.cluster import kafka
from kafkalab.model.errors import UsageError
from kafkalab.runtime import paths, pins


def test_a_list_names_a_pinned_artifact_or_coordinates_of_its_own(tmp_path):
    known = pins.load()
    listed = tmp_path / "libraries.txt"
    listed.write_text("# why\nslf4j\n\norg.example:thing:1.0\n", encoding="utf-8")
    assert known.needs(listed) == (known.artifacts["slf4j"], "org.example:thing:1.0")


def test_a_list_that_is_missing_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"libraries\.txt: expected what the driver needs"):
        pins.load().needs(tmp_path / "libraries.txt")


def test_broker_and_java_driver_log_through_the_same_pin():
    known = pins.load()
    slf4j = known.artifacts["slf4j"]
    driver = known.needs(paths.root() / "docker/clients/kafka-clients/libraries.txt")
    assert kafka.coordinates("3.9.2")[-1] == slf4j
    assert slf4j in driver
    assert all(":" in coordinates for coordinates in driver)
