"""The arithmetic behind the table, and that a driver which misses its bound is shown as such."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


@pytest.fixture
def beside(monkeypatch):
    """The benchmark's modules, which stand beside this file and in no package."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import page
    import ratios

    yield ratios, page
    for name in ("page", "ratios"):
        sys.modules.pop(name)


def test_the_result_is_the_median_of_ratios_not_the_ratio_of_medians(beside):
    ratios, _ = beside
    pairs = [(90.0, 100.0), (50.0, 50.0), (400.0, 500.0)]
    row = ratios.compared("a@1", "produce", "records/s", "the bare loop", pairs, least=0.95)
    assert (row.value, row.spread, row.holds, row.count) == ("90.0%", "85.0% to 95.0%", False, 3)
    assert row.against == "90 records/s against 100 records/s of the bare loop"


@pytest.mark.parametrize(("ours", "holds"), [(1.04, True), (1.06, False)])
def test_a_latency_is_bounded_from_above(beside, ours, holds):
    ratios, _ = beside
    row = ratios.compared("a@1", "p99", "ms", "the bare loop", [(ours, 1.0)], most=1.05)
    assert (row.holds, row.bound) == (holds, "< 105%")


def test_absolute_values_have_bounds_on_either_side(beside):
    ratios, _ = beside
    assert ratios.absolute("a@1", "ops", "records/s", [60_000.0], least=50_000).holds
    assert not ratios.absolute("a@1", "ops", "records/s", [40_000.0], least=50_000).holds
    assert not ratios.absolute("a@1", "resolve", "s", [0.6, 0.7, 0.2], most=0.5).holds


def test_the_page_keeps_rows_that_were_not_measured_again(beside, monkeypatch, tmp_path):
    ratios, page = beside
    monkeypatch.setattr(page, "PATH", tmp_path / "page.md")

    def row(client, value):
        return ratios.absolute(client, "resolving", "s", [value], most=0.5)

    page.write([row("a@1", 0.1), row("b@1", 0.2)])
    page.write([row("a@2", 0.7)])
    lines = [line for line in page.PATH.read_text().splitlines() if "resolving" in line]
    assert [line.split(" | ")[0] for line in lines] == ["| a@2", "| b@1"]
    assert "**no**" in lines[0]
    assert "yes" in lines[1]
