"""Panels as inline SVG, drawn by matplotlib.

The page follows the reader's light or dark setting, but matplotlib writes fixed colours. So plots
are drawn in placeholder colours that nothing else uses, and each is replaced by a CSS variable of
the page (`stroke: #010002` → `stroke: var(--series-2)`). Text stays text (`svg.fonttype: none`):
smaller, searchable, readable by a screen reader. Lines differ by dash as well as colour; colours
follow those of Okabe and Ito (Color Universal Design, 2008).

Tried and left: one figure with shared axes per cell (unreadable on a phone); plotly, bokeh and vega
(all of them need JavaScript); pygal (references a script by URL).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape

from kafkalab.report.series import CellSeries, Mark, Panel
from kafkalab.report.text import clean, shorten

SERIES_COLOURS = 8  # --series-0 ... --series-7 in the page's style sheet
_INK, _GRID, _FAULT, _PHASE = "#020001", "#020002", "#020003", "#020004"
_VARIABLES = {_INK: "ink", _GRID: "grid", _FAULT: "fault", _PHASE: "phase"} | {
    f"#01000{i:x}": f"series-{i}" for i in range(SERIES_COLOURS)
}
_DASHES: tuple[tuple[float, ...], ...] = ((), (4, 2), (1, 1.5), (6, 2, 1, 2))
_WIDTH_IN, _HEIGHT_IN, _DPI = 5.4, 2.6, 100
_LABEL_MAX = 44  # characters of a legend entry

_GENERATED_ID = re.compile(r' id="(?:[A-Za-z]+[0-9A-Za-z.]*_\d+)"')
_LONG_DECIMALS = re.compile(r"(\d+\.\d)\d+")
_GEOMETRY = re.compile(r' (?:d|x|y|width|height|transform|points)="[^"]*"')


def draw(series: CellSeries, name: str) -> tuple[str, ...]:
    """One `<svg>` element per panel; `name` must be unique on the page (it salts element ids)."""
    colour = {source: f"#01000{i % SERIES_COLOURS:x}" for i, source in enumerate(series.sources)}
    return tuple(
        _svg(panel, series.marks, colour, f"{name}/{panel.spec.title}") for panel in series.panels
    )


def _svg(panel: Panel, marks: Sequence[Mark], colour: dict[str, str], salt: str) -> str:
    # imported here: matplotlib takes a second that no step but `publish` needs to spend
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "text.parse_math": False,  # a client may well have "$" in its name
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.edgecolor": _GRID,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN), dpi=_DPI, layout="constrained")
        axes = figure.add_subplot()
        for line in panel.lines:
            axes.plot(
                line.x,
                line.y,
                color=colour[line.source],
                dashes=_DASHES[line.variant % len(_DASHES)],
                linewidth=1.6,
                marker="o" if len(line.x) == 1 else "",
                label=shorten(clean(line.label).lstrip("_"), _LABEL_MAX),
            )
        _mark(axes, marks)
        axes.set_xlabel("seconds from the cell's start (s)")
        axes.set_ylabel(f"{panel.spec.title} ({panel.spec.unit})")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(8))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(_tick))
        axes.grid(visible=True, color=_GRID, linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(
            loc="outside lower center", ncols=2, frameon=False, fontsize=8, handlelength=2.6
        )
        buffer = io.StringIO()
        empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=empty)
    return _inline(buffer.getvalue(), panel)


def _mark(axes: object, marks: Sequence[Mark]) -> None:
    for mark in marks:
        axes.axvline(  # type: ignore[attr-defined]
            mark.x,
            color=_FAULT if mark.is_fault else _PHASE,
            linewidth=1.4 if mark.is_fault else 0.9,
            dashes=(2, 1.5) if mark.is_fault else (1, 3),
        )
        axes.annotate(  # type: ignore[attr-defined]
            mark.key,
            (mark.x, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 1),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            fontweight="bold" if mark.is_fault else "normal",
            color=_FAULT if mark.is_fault else _PHASE,
            annotation_clip=False,
        )


def _tick(value: float, _position: int) -> str:
    """1.2M, 140k, 400, 0.25: never "250m", which nobody reads as a quarter."""
    for least, factor, suffix in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / factor:g}{suffix}"
    return f"{value:g}"


def _inline(document: str, panel: Panel) -> str:
    """An SVG document of matplotlib as an element of the page."""
    svg = document[document.index("<svg") :]
    svg = _GENERATED_ID.sub("", svg)  # "line2d_7" repeats in every plot; ids must be unique
    svg = _GEOMETRY.sub(lambda m: _LONG_DECIMALS.sub(r"\1", m[0]), svg)
    for placeholder, variable in _VARIABLES.items():
        svg = svg.replace(placeholder, f"var(--{variable})")
    title = escape(f"{panel.spec.title} over time, in {panel.spec.unit}")
    return svg.replace("<svg", f'<svg role="img" aria-label="{title}"', 1).strip()
