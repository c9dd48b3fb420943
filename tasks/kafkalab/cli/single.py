"""One cell without Airflow: `kafkalab try` and `kafkalab replay`.

The steps are the same functions that the tasks of a DAG run; only who calls them differs.
Whatever happens in between, teardown runs, and a second Ctrl-C cannot stop it half way.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from kafkalab.artifacts import keys, runs, server
from kafkalab.artifacts.store import Store
from kafkalab.cli import output
from kafkalab.clients.resolver import settled
from kafkalab.cluster.registry import select_engine
from kafkalab.model.errors import ExitCode, UsageError
from kafkalab.model.run import Run
from kafkalab.model.scenario import Cell, Scenario
from kafkalab.model.subject import Subject
from kafkalab.model.verdict import Outcome
from kafkalab.runtime import pins
from kafkalab.runtime.lease import configured_seconds
from kafkalab.scenarios import loader, planner
from kafkalab.steps import plan
from kafkalab.steps.frame import Ended, Request, execute
from kafkalab.steps.registry import step_named

ROLE = "pinned"  # a single cell has one cluster; its role is only a name


@dataclass(frozen=True)
class Wanted:
    """What the command line asked for."""

    scenario: str
    clients: tuple[str, ...]  # several share one group
    broker: str
    engine: str
    seed: int
    profile: str


def run(wanted: Wanted, json_output: bool) -> ExitCode:
    """Try one scenario with one client on one broker."""
    if wanted.profile not in loader.PROFILES:
        known = ", ".join(loader.PROFILES)
        raise UsageError(f"--profile: expected one of {known}, found '{wanted.profile}'.")
    known_pins = pins.load()
    scenario = loader.scenario_named(wanted.scenario, loader.catalogue(wanted.profile))
    settle = [str(settled(Subject.parse(client), known_pins)) for client in wanted.clients]
    clients = tuple(dict.fromkeys(settle))
    broker = known_pins.resolve(Subject.parse(wanted.broker))
    if broker.name not in known_pins.brokers:
        raise UsageError(
            f"--broker: expected one of {', '.join(known_pins.brokers)}@VERSION, found '{broker}'."
        )
    cell = Cell(scenario.id, clients, str(broker))
    run_id = f"try-{scenario.id.lower()}-{uuid.uuid4().hex[:8]}"
    return _execute(run_id, scenario, cell, wanted, json_output)


def replay(where: str, json_output: bool) -> ExitCode:
    """Repeat one cell of an earlier run."""
    text, _, cell_id = where.rpartition("/")
    if not text:
        raise UsageError(f"'{where}': expected RUN/CELL, as a red cell's log and report name it.")
    with embedded_or_configured() as store:
        before = runs.read_run(store, runs.find_run(store, text))
    found = [cell for cells in before.cells.values() for cell in cells if cell.id == cell_id]
    if not found:
        known = ", ".join(cell.id for cells in before.cells.values() for cell in cells)
        raise UsageError(f"run {before.run_id} has no cell '{cell_id}': it has {known}.")
    (cell,) = found
    wanted = Wanted(
        cell.scenario, cell.clients, cell.broker, before.engine, before.seed, before.profile
    )
    scenario = loader.scenario_named(cell.scenario, loader.catalogue(before.profile))
    run_id = f"replay-{cell.scenario.lower()}-{uuid.uuid4().hex[:8]}"
    return _execute(run_id, scenario, cell, wanted, json_output)


def _execute(
    run_id: str, scenario: Scenario, cell: Cell, wanted: Wanted, json_output: bool
) -> ExitCode:
    os.environ["KAFKALAB_RUN_ID"] = run_id
    step = scenario.step
    with embedded_or_configured() as store:
        planned = _plan(run_id, scenario, cell, wanted)
        uri = plan.write_run(store, planned)
        worst = _steps(uri, step, cell)
        verdicts = runs.read_cells(store, planned.prefix)
        outcome = verdicts[0].outcome if verdicts else Outcome.UNKNOWN
        if worst.code > outcome.exit_code and worst.outcome is not Outcome.PASS:
            outcome = worst.outcome
        folder = store.local_path(keys.step_prefix(planned.prefix, step, 1)) or uri
    replay_line = f"kafkalab replay {run_id}/{cell.id}"
    if json_output:
        output.print_json(output.document(planned, outcome, verdicts, "", replay_line))
    output.say(f"{outcome}: {cell.scenario} · artifacts: {folder}")
    if outcome is not Outcome.PASS:
        output.say(f"repeat it with: {replay_line}")
    return ExitCode.INTERRUPTED if worst.code is ExitCode.INTERRUPTED else outcome.exit_code


def _plan(run_id: str, scenario: Scenario, cell: Cell, wanted: Wanted) -> Run:
    engine = select_engine(wanted.engine).name
    clients = plan.Clients(engine, output.say)
    for client in cell.clients:
        if lacking := planner.lacks(scenario, clients.capabilities(client)):
            raise UsageError(
                f"{scenario.id} needs {', '.join(lacking)}, which {client} cannot do. "
                "See `kafkalab clients` for what each client can."
            )
    params = {"engine": engine, "seed": wanted.seed, "subjects": list(cell.clients)}
    flow = loader.Workflow("try", wanted.profile, cell.clients, (), ())
    planned = plan.plan_cells(flow, {f"{scenario.step}/{ROLE}": (cell,)}, run_id, params)
    return dataclasses.replace(planned, brokers={ROLE: cell.broker})


def _steps(uri: str, step: str, cell: Cell) -> Ended:
    """Provision, the cell, teardown; returns the first that was not well, or the cell's."""
    ended = execute(Request("provision", uri, role=ROLE), step_named("provision"))
    try:
        if ended.outcome is Outcome.PASS:
            ended = execute(Request(step, uri, cell=cell.id, role=ROLE), step_named(step))
    finally:
        with _uninterrupted():
            torn = execute(Request("teardown", uri, role=ROLE), step_named("teardown"))
    return ended if ended.outcome is not Outcome.PASS else torn


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Teardown is short and bounded: an impatient second Ctrl-C must not leave a cluster behind."""
    before = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def embedded_or_configured() -> Iterator[Store]:
    """The configured store, or the embedded server for as long as this command runs."""
    if os.environ.get("KAFKALAB_S3_ENDPOINT"):
        yield Store.from_env()
        return
    holder = f"command-{os.getpid()}-{datetime.now(UTC):%H%M%S}"
    with server.serving(holder, configured_seconds()) as endpoint:
        before = dict(os.environ)
        os.environ.update(endpoint.env())
        try:
            yield Store.from_env()
        finally:
            # The server ends here; whoever asks next must not be sent to where it was.
            for name in endpoint.env():
                os.environ.pop(name)
                if name in before:
                    os.environ[name] = before[name]
