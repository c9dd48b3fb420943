"""Show a run's verdicts again: `kafkalab report RUN`; also the end of `kafkalab run`."""

from __future__ import annotations

from kafkalab.artifacts import keys, runs
from kafkalab.artifacts.store import Store
from kafkalab.cli import output
from kafkalab.cli.single import embedded_or_configured
from kafkalab.model.errors import ExitCode
from kafkalab.model.gate import GateResult
from kafkalab.model.verdict import Outcome
from kafkalab.report.console import print_summary
from kafkalab.steps.publish import repeat_command


def show(text: str, json_output: bool) -> ExitCode:
    """Print a run's table of verdicts, or its JSON object."""
    with embedded_or_configured() as store:
        return print_run(store, runs.find_run(store, text), json_output)


def print_run(store: Store, prefix: str, json_output: bool) -> ExitCode:
    """The verdict table, where report and artifacts are, and what repeats each red cell."""
    run = runs.read_run(store, prefix)
    cells = runs.read_cells(store, prefix)
    gate = runs.read_gate(store, prefix) or GateResult(
        run.run_id, Outcome.UNKNOWN, "the gate left no result: the run ended before it"
    )
    report_key = keys.report(prefix)
    report = str(store.local_path(report_key) or store.uri(report_key))
    if not store.exists(report_key):
        report = ""
    artifacts = str(store.local_path(prefix) or store.uri(prefix))
    repeat = repeat_command(run)
    print_summary(
        output.stderr, run, gate, cells, report=report, artifacts=artifacts, repeat=repeat
    )
    if json_output:
        output.print_json(output.document(run, gate.outcome, cells, report, repeat))
    return gate.outcome.exit_code
