"""The numbers that a history holds, from small histories written by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kafkalab.checkers import history
from kafkalab.model.history import Row
from kafkalab.model.series import Reading
from kafkalab.scenarios import loader
from kafkalab.steps import evidence

MS = 1_000_000
CATALOGUE = loader.catalogue()

ROWS = [
    Row(0, 0, "p0", "invoke", "open", 1),
    Row(1, 5 * MS, "p0", "ok", "open", 1),
    Row(2, 6 * MS, "p0", "invoke", "send", 2, "t", 0, None, 1),
    Row(3, 20 * MS, "p0", "ok", "send", 2, "t", 0, 0, 1),
    Row(4, 10 * MS, "c0", "invoke", "open", 1),
    Row(5, 11 * MS, "c0", "ok", "open", 1),
    Row(6, 12 * MS, "c0", "invoke", "poll", 2),
    Row(7, 60 * MS, "c0", "ok", "poll", 2, "t", 0, 0, 1, "t/0"),
    Row(8, 70 * MS, "c0", "invoke", "close", 3),
    Row(9, 73 * MS, "c0", "ok", "close", 3),
]


def measured(scenario: str, readings=()):
    return evidence.metrics(history.table(ROWS), list(readings), CATALOGUE[scenario])


def test_start_up_close_and_drain_are_durations_in_ms():
    found = measured("C01")
    assert found["startup_ms_max"] == 50  # c0: opened at 10, first record at 60
    assert found["close_ms_max"] == 3
    assert found["drain_ms"] == 40  # acknowledged at 20, delivered at 60


def test_memory_is_the_highest_reading_and_absent_without_one():
    readings = [Reading(1, "driver:d0", "rss_bytes", v) for v in (10.0, 30.0, 20.0)]
    assert measured("B01", readings)["rss_bytes_max"] == 30.0
    assert "rss_bytes_max" not in measured("B01")


def test_a_metric_is_left_out_only_for_want_of_what_it_needs():
    engine = SimpleNamespace(capabilities=lambda: frozenset({"stats"}))
    able = SimpleNamespace(hello={"capabilities": ["buffered-records"]})
    unable = SimpleNamespace(hello={"capabilities": []})

    def left_out(driver, found=()):
        skips = evidence.skipped(CATALOGUE["B01"], dict.fromkeys(found, 1.0), engine, [driver])
        return {each.what: each.needs for each in skips}

    wire = {"fetched_bytes_per_delivered_byte": "connections"}
    assert left_out(able) == wire
    assert left_out(unable) == {**wire, "buffered_records_max": "buffered-records"}
    assert left_out(unable, ["fetched_bytes_per_delivered_byte", "buffered_records_max"]) == {}


class Ended:
    """A driver as `crashes` sees it."""

    name = "d0"

    def __init__(self, code):
        self.exited_unasked = code

    def last_lines(self, _count):
        return "Segmentation fault"


@pytest.mark.parametrize(
    ("code", "crash"), [(None, False), (-9, False), (-15, False), (1, True), (-11, True), (0, True)]
)
def test_a_client_that_ends_by_itself_is_a_crash_and_one_killed_from_outside_is_not(code, crash):
    found = list(evidence.crashes([Ended(code)]))
    assert bool(found) is crash
    if crash:
        assert (found[0].claim, found[0].evidence[0]["exit_code"]) == ("crash", code)
