"""From a cell's time series to the lines that its plots show. Pure: tables in, numbers out.

A panel is one plot: one unit, one or more metrics. Up to two sources of a kind are drawn one by
one; more would be a tangle (64 clients), so they are drawn as their total where a sum means
something (records/s, lag), else as maximum and median. Long series are thinned to the minimum and
maximum of each of `BUCKETS` slices, so a spike of one second survives on a plot of a week; a mean
would hide exactly what one looks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kafkalab.model.series import MARK

if TYPE_CHECKING:
    import pyarrow as pa

BUCKETS = 120  # slices that a long line is thinned to; two points each
SOURCES_MAX = 2  # sources of one kind and metric that are drawn one by one
MARKS_MAX = 24

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class PanelSpec:
    """One kind of plot."""

    title: str
    unit: str  # of the axis, after `scale`
    metrics: Mapping[str, str]  # metric → how the legend calls it
    total: bool = False  # many sources are summed; else shown as maximum and median
    scale: float = 1.0
    least: float = -np.inf  # not drawn when no value exceeds this: nothing to see


PANELS: tuple[PanelSpec, ...] = (
    PanelSpec(
        "Throughput",
        "records/s",
        {"produce_records_per_s": "produced", "consume_records_per_s": "consumed"},
        total=True,
    ),
    PanelSpec("Latency", "ms", {"latency_ms_p50": "p50", "latency_ms_p99": "p99"}),
    PanelSpec("Memory", "MiB", {"rss_bytes": "RSS", "heap_bytes": "heap"}, scale=1 / 2**20),
    PanelSpec("CPU", "cores", {"cpu_ratio": "CPU"}),
    PanelSpec(
        "Lag and buffers",
        "records",
        {"lag_records": "lag", "buffered_records": "buffered"},
        total=True,
    ),
    PanelSpec(
        "On the wire",
        "MiB",
        {"received_bytes": "received", "sent_bytes": "sent"},
        total=True,
        scale=1 / 2**20,
    ),
    PanelSpec(
        "Threads, descriptors, connections",
        "count",
        {"threads": "threads", "descriptors": "descriptors", "connections": "connections"},
    ),
    PanelSpec("CPU time stolen", "ratio", {"steal_ratio": "from the"}, least=0.005),
)


@dataclass(frozen=True)
class Line:
    """One line of a plot; x in seconds from the cell's start, y in the panel's unit."""

    label: str
    source: str  # what the colour stands for
    variant: int  # what the dash stands for: 0 solid, 1 dashed, ...
    x: Array
    y: Array


@dataclass(frozen=True)
class Mark:
    """A phase that began or a fault, at `x` seconds from the cell's start."""

    x: float
    text: str
    key: str  # what stands on the plot: "1", "2", ... for phases, "F1", ... for faults

    @property
    def is_fault(self) -> bool:
        """Whether this marks a fault rather than a phase."""
        return self.key.startswith("F")


@dataclass(frozen=True)
class Panel:
    """One plot's worth of lines."""

    spec: PanelSpec
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class CellSeries:
    """Everything that is plotted of one cell."""

    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...]
    marks_left_out: int
    sources: tuple[str, ...]  # in order of colour, the same on every plot of the cell


def read(table: pa.Table) -> CellSeries:
    """Lines and marks of a cell; `table` has the columns of `model.series`."""
    times = table.column("time_ns").to_numpy()
    if not len(times):
        return CellSeries((), (), 0, ())
    x = (times - times.min()) / 1e9
    metrics = np.asarray(table.column("metric").to_pylist(), dtype=object)
    sources = np.asarray(table.column("source").to_pylist(), dtype=object)
    values = table.column("value").to_numpy().astype(float)
    texts = table.column("text").to_pylist()

    marked = np.flatnonzero(metrics == MARK)
    marks = _marks([(float(x[i]), str(texts[i] or "")) for i in marked])
    found = (_panel(spec, metrics, sources, x, values) for spec in PANELS)
    panels = tuple(panel for panel in found if panel is not None)
    colours = dict.fromkeys(line.source for panel in panels for line in panel.lines)
    return CellSeries(
        panels, marks[:MARKS_MAX], max(0, len(marks) - MARKS_MAX), tuple(sorted(colours))
    )


def _marks(found: list[tuple[float, str]]) -> tuple[Mark, ...]:
    phases = faults = 0
    marks = []
    for at, text in sorted(found):
        if text.lower().startswith(("fault", "heal", "undo")):
            faults += 1
            marks.append(Mark(at, text, f"F{faults}"))
        else:
            phases += 1
            marks.append(Mark(at, text, str(phases)))
    return tuple(marks)


def _panel(spec: PanelSpec, metrics: Any, sources: Any, x: Array, values: Array) -> Panel | None:
    lines: list[Line] = []
    for variant, (metric, name) in enumerate(spec.metrics.items()):
        of_metric = (metrics == metric) & np.isfinite(values)
        by_kind: dict[str, dict[str, tuple[Array, Array]]] = {}
        for source in sorted(set(sources[of_metric])):
            chosen = of_metric & (sources == source)
            order = np.argsort(x[chosen], kind="stable")
            points = x[chosen][order], values[chosen][order] * spec.scale
            by_kind.setdefault(source.partition(":")[0], {})[source] = points
        for kind, group in by_kind.items():
            lines += (
                Line(f"{name} {who}", who, variant, *_thin(xs, ys))
                for who, xs, ys in _combine(kind, group, total=spec.total)
            )
    if not lines or max(float(line.y.max()) for line in lines) <= spec.least:
        return None
    return Panel(spec, tuple(lines))


def _combine(
    kind: str, group: Mapping[str, tuple[Array, Array]], *, total: bool
) -> Iterator[tuple[str, Array, Array]]:
    """(source, x, y) for each line of one kind of source."""
    if len(group) <= SOURCES_MAX:
        for source, (x, y) in group.items():
            yield source, x, y
        return
    # sources sample at their own instants: bring them to whole seconds before they meet
    start = min(int(x[0]) for x, _ in group.values())
    end = max(int(x[-1]) for x, _ in group.values())
    grid = np.full((len(group), end - start + 1), np.nan)
    for row, (x, y) in enumerate(group.values()):
        second = x.astype(int) - start
        count = np.bincount(second, minlength=grid.shape[1])
        summed = np.bincount(second, weights=y, minlength=grid.shape[1])
        np.divide(summed, count, out=grid[row], where=count > 0)
    seen = ~np.isnan(grid).all(axis=0)
    at = np.flatnonzero(seen).astype(float) + start
    grid = grid[:, seen]
    if total:
        yield f"{kind}: total of {len(group)}", at, np.nansum(grid, axis=0)
    else:
        yield f"{kind}: max of {len(group)}", at, np.nanmax(grid, axis=0)
        yield f"{kind}: median of {len(group)}", at, np.nanmedian(grid, axis=0)


def _thin(x: Array, y: Array) -> tuple[Array, Array]:
    """At most 2 × BUCKETS points: the lowest and highest of each slice, in order of time."""
    if len(x) <= 2 * BUCKETS:
        return x, y
    kept: list[int] = []
    for part in np.array_split(np.arange(len(x)), BUCKETS):
        kept += sorted({int(part[np.argmin(y[part])]), int(part[np.argmax(y[part])])})
    return x[kept], y[kept]
