"""Plots as elements of a page: theme-aware, unique ids, units on both axes, nothing fetched."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from kafkalab.report.plots import _tick, draw
from kafkalab.report.series import read


@pytest.fixture(scope="module")
def svgs(samples):
    made = samples["red"]
    return [svg for i, t in enumerate(made.series.values()) for svg in draw(read(t), f"cell-{i}")]


def test_every_plot_is_well_formed_and_named_for_a_screen_reader(svgs):
    for svg in svgs:
        root = ET.fromstring(svg)
        assert root.get("role") == "img"
        assert "over time, in " in root.get("aria-label")


def test_axes_carry_units_and_a_legend(svgs):
    assert len(svgs) == 12
    for svg, unit in zip(
        svgs, ("records/s", "ms", "MiB", "cores", "records", "ratio") * 2, strict=True
    ):
        texts = [e.text or "" for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
        assert any(text.endswith(f"({unit})") for text in texts)
        assert "seconds from the cell's start (s)" in texts
    assert "produced client: total of 3" in svgs[0]


def test_phases_and_faults_are_marked(svgs):
    for key in ("1", "2", "3", "F1", "F2"):
        assert re.search(rf"<text[^>]*>{key}</text>", svgs[0])


def test_colours_follow_the_readers_theme(svgs):
    for svg in svgs:
        assert "var(--ink)" in svg
        assert "var(--series-" in svg
        assert not re.search(r"(?:stroke|fill): #(?!fff)", svg)


def test_ids_are_unique_and_references_resolve_inside_the_page(svgs):
    page = "".join(svgs)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {*re.findall(r'href="#([^"]+)"', page), *re.findall(r"url\(#([^)]+)\)", page)} <= {*ids}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.25, "0.25"),
        (400, "400"),
        (9_000, "9000"),
        (140_000, "140k"),
        (1.5e6, "1.5M"),
        (2e9, "2G"),
    ],
)
def test_ticks_are_read_without_thinking(value, shown):
    assert _tick(value, 0) == shown
