"""Versions in order, and the neighbours of one that is not there."""

from __future__ import annotations

import pytest

from kafkalab.clients.versions import nearest, ordered


def test_numbers_count_as_numbers_and_releases_come_after_their_candidates():
    found = ordered(["1.10.0", "1.9.1", "1.9", "2.0.0", "2.0.0-rc.1", "nightly"])
    assert found == ["nightly", "1.9", "1.9.1", "1.10.0", "2.0.0-rc.1", "2.0.0"]


@pytest.mark.parametrize(
    ("version", "near"),
    [("0.1", ["1.0", "1.1", "1.2", "2.0", "3.0"]), ("1.15", ["1.1", "1.2", "2.0", "3.0", "4.0"]),
     ("9", ["1.2", "2.0", "3.0", "4.0", "5.0"]), ("text", ["1.2", "2.0", "3.0", "4.0", "5.0"])],
)  # fmt: skip
def test_nearest_versions(version, near):
    known = ["5.0", "4.0", "3.0", "2.0", "1.2", "1.1", "1.0"]
    assert nearest(version, known) == near
