"""Execute a DAG through Airflow on this host: `kafkalab run DAG`.

The real DAG file runs in a real DAG run (`orchestration/dagrun.py`); this module shows it live
and ends with the gate's verdict. The state of an Airflow run is no verdict: it is green although
a mapped task failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kafkalab.artifacts.store import Store
from kafkalab.cli import output
from kafkalab.cli.single import embedded_or_configured
from kafkalab.cli.summary import print_run
from kafkalab.model.errors import ExitCode
from kafkalab.model.verdict import Outcome
from kafkalab.orchestration.dagrun import CompletedRun, Event, dag_test
from kafkalab.orchestration.request import pairs
from kafkalab.steps.plan import commit


def run(dag: str, options: Mapping[str, Any], texts: Sequence[str], json_output: bool) -> ExitCode:
    """Run a DAG and return the exit code of its verdict.

    Args:
        dag: its id.
        options: parameters that have an option of their own, those that were given.
        texts: other parameters, `KEY=VALUE` each.
        json_output: one object on stdout.
    """
    started = time.monotonic()
    given = pairs(texts)
    with embedded_or_configured() as store:
        told = {f"KAFKALAB_{name.upper()}": value for name, value in commit().items()}
        done = dag_test(dag, options, _Screen(started).show, {**os.environ, **told}, given)
        return _end(store, done, json_output, time.monotonic() - started)


def _end(store: Store, done: CompletedRun, json_output: bool, seconds: float) -> ExitCode:
    for task in done.tasks:
        if task.state == "failed":
            output.say(f"red task {task.task}: see {done.log}")
    if not done.plans:
        return _end_without_run(done, json_output, seconds)
    if not done.run_uri:
        output.say(f"{done.dag_id} was not planned; its log is {done.log}")
        return done.exit_code if done.exit_code is not ExitCode.PASS else ExitCode.UNKNOWN
    print_run(store, store.key(done.run_uri), json_output)
    output.say(f"{done.outcome} after {seconds:.0f} s; everything that was logged: {done.log}")
    return done.outcome.exit_code if done.outcome is not Outcome.PASS else done.exit_code


def _end_without_run(done: CompletedRun, json_output: bool, seconds: float) -> ExitCode:
    """A DAG that plans no run, such as kafka_baseline: what its steps said is the verdict."""
    left = ", ".join(task.manifest for task in done.tasks if task.manifest)
    if json_output:
        output.print_json(output.document(None, done.outcome, [], "", ""))
    output.say(
        f"{done.dag_id}: {done.outcome} after {seconds:.0f} s; "
        f"{f'it wrote {left}' if left else 'it wrote nothing'}; its log is {done.log}"
    )
    return done.exit_code


class _Screen:
    """One line per event: when, which task and cell, what."""

    def __init__(self, started: float) -> None:
        self._started = started

    def show(self, event: Event) -> None:
        """Show an event of the run."""
        at = f"{time.monotonic() - self._started:6.1f} s"
        name = " ".join(filter(None, (event.task, event.cell)))
        if event.kind == "started":
            output.say(f"{at}  ▶ {name}")
        elif event.kind == "ended":
            mark = {"success": "✔", "skipped": "–"}.get(event.state, "✘")
            reason = f": {event.text}" if event.state == "failed" else ""
            output.say(f"{at}  {mark} {name} {event.state}{reason}")
        elif event.text and not event.text.startswith("{"):
            output.say(f"{at}      {event.text}")
