"""Pairs of measurements as a median of ratios with its spread. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

UNITS = {"records/s": "{:,.0f} records/s", "ms": "{:.2f} ms", "s": "{:.3f} s"}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    client: str  # NAME@VERSION
    what: str
    value: str
    against: str  # what it was compared with, and what that gave
    spread: str
    bound: str
    holds: bool
    count: int  # pairs, or runs where nothing is compared

    def cells(self) -> tuple[str, ...]:
        """As the page shows it."""
        met = "yes" if self.holds else "**no**"
        return (
            self.client, self.what, self.value, self.against, self.spread, str(self.count),
            self.bound, met,
        )  # fmt: skip


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third; of one value all three are the same."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def compared(
    client: str,
    what: str,
    unit: str,
    against: str,
    pairs: Sequence[tuple[float, float]],
    *,
    least: float | None = None,
    most: float | None = None,
) -> Row:
    """The median of driver / bare over pairs; `least` or `most` bounds it."""
    low, middle, high = quartiles([ours / theirs for ours, theirs in pairs])
    ours = statistics.median(pair[0] for pair in pairs)
    theirs = statistics.median(pair[1] for pair in pairs)
    shown = UNITS[unit]
    return Row(
        client=client,
        what=what,
        value=f"{middle:.1%}",
        against=f"{shown.format(ours)} against {shown.format(theirs)} of {against}",
        spread=f"{low:.1%} to {high:.1%}",
        bound=f"≥ {least:.0%}" if least is not None else f"< {most:.0%}",
        holds=middle >= least if least is not None else middle < (most or 0.0),
        count=len(pairs),
    )


def absolute(
    client: str,
    what: str,
    unit: str,
    values: Sequence[float],
    *,
    least: float | None = None,
    most: float | None = None,
) -> Row:
    """The median of values that nothing is compared with."""
    low, middle, high = quartiles(values)
    shown = UNITS[unit]
    edge = least if least is not None else most
    assert edge is not None
    return Row(
        client=client,
        what=what,
        value=shown.format(middle),
        against="",
        spread=f"{shown.format(low)} to {shown.format(high)}",
        bound=("≥ " if least is not None else "≤ ") + shown.format(edge),
        holds=middle >= edge if least is not None else middle <= edge,
        count=len(values),
    )
