"""The HTML page of a run: one file, no script, nothing fetched.

The page's own content security policy forbids scripts and every request, so a string that slipped
through escaping still could not run or call out. Red cells get their plots first; when the page
would grow beyond `PLOT_BYTES_MAX` the rest say where their series are instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kafkalab.model.gate import GateResult
from kafkalab.model.run import Envelope, Manifest, Run
from kafkalab.model.verdict import CellVerdict, Outcome
from kafkalab.report import plots, view
from kafkalab.report.cells import CellView
from kafkalab.report.series import CellSeries, read
from kafkalab.report.text import clean

if TYPE_CHECKING:
    import pyarrow as pa

PLOT_BYTES_MAX = 2_200_000  # of all plots together; a page of 20 cells stays under 3 MB


def render(
    run: Run,
    gate: GateResult,
    cells: Sequence[CellVerdict],
    series: Mapping[str, pa.Table],
    manifests: Sequence[Manifest],
    repeat: str,
    *,
    envelopes: Sequence[Envelope] = (),
) -> str:
    """One self-contained HTML page.

    Args:
        run: what was planned.
        gate: what was decided.
        cells: the judged cells; planned ones that are not among them show as unknown.
        series: cell identifier → time series, columns of `model.series`.
        manifests: every attempt of every step, so that none is hidden.
        repeat: the command that repeats the whole run.
        envelopes: the accepted baselines that the gate judged against, for the metrics that passed.

    Returns:
        HTML 5, to be stored as UTF-8.
    """
    page = view.build(run, gate, cells, manifests, repeat, envelopes=envelopes)
    drawn = _draw(page.cells, series)
    template = _environment().get_template("report.html.j2")
    return template.render(page=page, drawn=drawn, Outcome=Outcome)


def _draw(
    cells: Sequence[CellView], series: Mapping[str, pa.Table]
) -> dict[str, tuple[CellSeries, tuple[Markup, ...]]]:
    """Cell anchor → its series and plots, red cells first, as far as the page may grow."""
    drawn: dict[str, tuple[CellSeries, tuple[Markup, ...]]] = {}
    left = PLOT_BYTES_MAX
    for cell in sorted(cells, key=lambda c: c.outcome is Outcome.PASS):
        table = series.get(cell.cell)
        if table is None:
            continue
        content = read(table)
        svgs = tuple(
            Markup(svg)  # noqa: S704 - matplotlib escapes every text; the rest are our own numbers
            for svg in plots.draw(content, cell.anchor)
        )
        left -= sum(len(svg.encode()) for svg in svgs)
        drawn[cell.anchor] = (content, svgs if left >= 0 else ())
    return drawn


def _finalize(value: Any) -> Any:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return clean(value)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("kafkalab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
