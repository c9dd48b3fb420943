"""Numbers and foreign strings on the page."""

from __future__ import annotations

import math

import pytest

from kafkalab.report import text


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (141_176.4, "records/s", "141,176 records/s"),
        (212 * 2**20, "bytes", "212 MiB"),
        (3 * 2**19, "bytes/s", "1.5 MiB/s"),
        (0.98, "ratio", "0.98"),
        (12.345, "ms", "12.3 ms"),
        (0.0, "stalls", "0 stalls"),
        (0.0004, "s", "4.00e-04 s"),
        (math.nan, "ms", "nan ms"),
        (math.inf, "ms", "inf ms"),
    ],
)
def test_quantities_carry_their_unit(value, unit, shown):
    assert text.quantity(value, unit) == shown


def test_change_is_signed_and_needs_a_baseline():
    assert text.change(85, 100) == "−15.0 %"
    assert text.change(120, 100) == "+20.0 %"
    assert text.change(1, 0) == ""


@pytest.mark.parametrize(
    ("value", "shown"), [(0.84, "0.8 s"), (245.2, "4 min 05 s"), (7_400, "2 h 03 min")]
)
def test_durations(value, shown):
    assert text.seconds(value) == shown


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("2026-03-11T02:00:07Z", "2026-03-11 02:00:07 UTC"),
        ("2026-03-11T04:00:07.25+02:00", "2026-03-11 02:00:07 UTC"),
        ("2026-03-11T02:00:07", "2026-03-11T02:00:07"),  # whose time? not ours to guess
        ("", ""),
    ],
)
def test_times_are_utc(stored, shown):
    assert text.utc(stored) == shown


def test_characters_that_deceive_are_replaced_and_line_breaks_kept():
    assert text.clean("a\x00b\x1b\u202e\ud800\nc\td") == "a\ufffdb\ufffd\ufffd\ufffd\nc\td"


def test_shortened_text_says_how_much_is_missing():
    assert text.shorten("abcdef", 4) == "abcd … (2 more characters)"
    assert text.shorten("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    ("address", "href"),
    [
        ("s3://bucket/runs/a/r1/gate/gate.json", "../gate/gate.json"),
        ("runs/a/r1/C01/x y.parquet", "../C01/x%20y.parquet"),
        ("s3://bucket/runs/other/gate.json", ""),
        ("https://ci.example/job/1", "https://ci.example/job/1"),
        ("javascript:alert(1)", ""),
        ("runs/a/r1/../../../secret", ""),
    ],
)
@pytest.mark.parametrize("prefix", ["runs/a/r1", "runs/a/r1/"])
def test_only_what_a_browser_can_follow_is_linked(address, href, prefix):
    assert text.artifact(address, prefix) == text.Link(address, href)
