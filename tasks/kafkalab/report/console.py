"""The end of a run on a terminal: a table of verdicts, what is red and why, where the rest is.

Verdicts are words, so a log without colours says the same. Commands and addresses are printed
unwrapped and without decoration: a person copies them. Nothing here is parsed as rich markup, since
names and messages come from clients.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kafkalab.model.gate import GateResult
from kafkalab.model.run import Run
from kafkalab.model.verdict import CellVerdict, Outcome
from kafkalab.report.text import clean, shorten
from kafkalab.report.view import FindingView, Page, accept_command, build

_STYLES = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.UNKNOWN: "bold yellow"}
_RED_CHARS_MAX = 200


def print_summary(
    console: Console,
    run: Run,
    gate: GateResult,
    cells: Sequence[CellVerdict],
    *,
    report: str,
    artifacts: str,
    repeat: str = "",
) -> None:
    """Print how a run ended.

    Args:
        console: where to; the command line gives one that writes to stderr.
        run: what was planned.
        gate: what was decided.
        cells: the judged cells; planned ones that are not among them show as unknown.
        report: address of the HTML page.
        artifacts: address of the run's folder.
        repeat: the command that repeats the whole run.
    """
    page = build(run, gate, cells, (), repeat)
    if page.cells:
        console.print(_table(page))
    for finding in page.failures:
        _print_finding(console, finding)
    if page.failures_left_out:
        _line(console, "fail", f"and {page.failures_left_out} more: see the report", "bold red")
    for warning in page.warnings:
        _line(
            console, "warning", f"{warning.name} in {_where(warning)}: {warning.summary}", "yellow"
        )
    for skipped in page.skipped:
        _line(console, "skipped", f"{skipped.what}: needs {skipped.needs}", "dim")
    for text in page.contradictions:
        _line(console, "contradiction", text, "bold red")
    if gate.lanes_without_baseline:
        lanes = ", ".join(gate.lanes_without_baseline)
        _line(console, "no baseline", f"{lanes}: judged on claims only", "yellow")
        if gate.proposals:
            _line(console, "accept it", accept_command(run))
    _line(console, "verdict", f"{gate.outcome.value}: {gate.summary}", _STYLES[gate.outcome])
    _line(console, "seed", str(run.seed))
    _line(console, "report", report)
    _line(console, "artifacts", artifacts)
    if repeat:
        _line(console, "repeat", repeat)


def _table(page: Page) -> Table:
    table = Table(title=Text(clean(f"{page.run_id}: {page.counts}")), title_justify="left")
    table.add_column("scenario", no_wrap=True)
    table.add_column("client", overflow="fold")
    table.add_column("broker", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("what is red", overflow="fold")
    for cell in page.cells:
        red = "" if cell.outcome is Outcome.PASS else ", ".join(cell.red)
        table.add_row(
            Text(clean(cell.scenario)),
            Text(clean(cell.clients)),
            Text(clean(cell.broker)),
            Text(cell.outcome.value, style=_STYLES[cell.outcome]),
            Text(cell.seconds),
            Text(clean(shorten(red, _RED_CHARS_MAX))),
        )
    return table


def _where(finding: FindingView) -> str:
    return f"{finding.scenario} {finding.where}".strip()


def _print_finding(console: Console, finding: FindingView) -> None:
    style = _STYLES[finding.outcome]
    what = f"{finding.name} in {_where(finding)}: {finding.summary}"
    _line(console, finding.outcome.value, what, style)
    details = {
        "value": finding.value,
        "bound": finding.bound,
        "baseline": finding.baseline.text,
        "evidence": finding.evidence.text,
        "why": finding.why,
        "repeat": finding.replay,
    }
    for name, value in details.items():
        if value:
            _line(console, f"  {name}", value)


def _line(console: Console, name: str, value: str, style: str = "") -> None:
    """One `name  value` line, never wrapped: the terminal folds it, a copy of it stays whole."""
    text = Text.assemble((f"{name:<13} ", style or "dim"), clean(value).replace("\n", "\n    "))
    console.print(text, soft_wrap=True, highlight=False)
