"""The first step: turn a request into a run. Resolves everything, so that nothing unknown starts.

A version that does not exist, an unknown scenario or an engine that this host lacks is found
here, before a cluster is started, and ends with exit code 2.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import psutil

from kafkalab.artifacts import keys
from kafkalab.artifacts.store import Store
from kafkalab.clients.resolver import resolve_client, settled
from kafkalab.cluster.registry import select_engine
from kafkalab.model.errors import BuildError, ExitCode, UsageError
from kafkalab.model.run import Manifest, Run
from kafkalab.model.scenario import Cell
from kafkalab.model.subject import Subject
from kafkalab.model.verdict import Outcome
from kafkalab.runtime import paths, pins
from kafkalab.scenarios import loader, planner
from kafkalab.steps.frame import Ended
from kafkalab.steps.progress import Progress


def make_run(
    workflow: str, run_id: str, raw_params: Mapping[str, Any], say: Callable[[str], None]
) -> Run:
    """Plan a workflow's run; raises `UsageError` for what cannot be."""
    params = planner.Params.from_dict(raw_params)
    flow = loader.load_workflow(workflow)
    engine = select_engine(params.engine)
    clients = Clients(engine.name, say)
    world = planner.World(clients.settle, engine.capabilities(), clients.capabilities)
    plan = planner.plan(flow, params, loader.catalogue(flow.profile), world)
    for client in sorted({c for group in plan.cells.values() for x in group for c in x.clients}):
        clients.capabilities(client)
    resolved = {**raw_params, "engine": engine.name, "subjects": list(plan.subjects)}
    run = plan_cells(flow, plan.cells, run_id, resolved)
    for skipped in plan.skipped:
        say(f"skipped: {skipped.what}: needs {skipped.needs}")
    total = sum(len(cells) for cells in run.cells.values())
    say(f"run {run_id}: {total} cells, engine {run.engine}, seed {run.seed}")
    return dataclasses.replace(run, skipped=plan.skipped)


class Clients:
    """Clients made runnable as the plan comes to them, so that nothing unknown starts.

    What exists and cannot be built stays in the plan: its cells will be unknown, with the reason.
    """

    def __init__(self, engine: str, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._say = say
        self._known: dict[str, frozenset[str] | None] = {}

    def settle(self, subject: Subject) -> Subject:
        """What a subject means now."""
        return settled(subject, pins.load())

    def capabilities(self, client: str) -> frozenset[str] | None:
        """What the client's driver can do; None where nobody has asked it or it cannot be built."""
        if client not in self._known:
            self._say(f"resolving {client}")
            try:
                launch = resolve_client(Subject.parse(client), pins.load(), self._engine)
                self._known[client] = launch.capabilities
            except BuildError as error:
                self._say(f"{error}")
                self._known[client] = None
        return self._known[client]


def plan_cells(
    flow: loader.Workflow,
    cells: Mapping[str, tuple[Cell, ...]],
    run_id: str,
    raw_params: Mapping[str, Any],
) -> Run:
    """A run of these cells, whatever their scenarios need of the clients."""
    params = planner.Params.from_dict(raw_params)
    known = pins.load()
    engine = select_engine(params.engine)
    started = datetime.now(UTC).replace(microsecond=0)
    brokers = {role: str(known.resolve(Subject("kafka", role))) for role in known.brokers["kafka"]}
    # Another repository's run says nothing of the commit that the lab itself is at.
    own = {} if params.trigger.get("repository") else commit()
    trigger = {**own, **params.trigger}
    first = next(iter(cells.values()))[0]
    parts = keys.RunParts(
        workflow=flow.name,
        branch=trigger.get("branch", ""),
        sha=trigger.get("sha", ""),
        runner=platform.node(),
        broker=first.broker,
        client="+".join(params.subjects),
        started=started,
        run_id=run_id,
    )
    return Run(
        run_id=run_id,
        workflow=flow.name,
        prefix=keys.run_prefix(parts),
        seed=params.seed or secrets.randbits(31) + 1,
        engine=engine.name,
        subjects=params.subjects,
        cells=cells,
        brokers=brokers,
        started_at=started.isoformat(),
        trigger=trigger,
        profile=flow.profile,
        host_class=host_class(),
    )


def step(workflow: str, run_id: str, params: str, attempt: int) -> ExitCode:
    """Plan a run, store it with its manifest, and print the last line."""
    progress = Progress(run_id, "plan")
    progress.event("started", text=f"plan {workflow}")
    store = Store.from_env()
    run = make_run(workflow, run_id, parse_params(params), progress)
    write_run(store, run)
    manifest = Manifest("plan", attempt, Outcome.PASS, started_at=run.started_at)
    key = keys.manifest(run.prefix, "plan", attempt)
    store.put_json(key, manifest.to_dict())
    cells = {group: [cell.id for cell in cells] for group, cells in run.cells.items()}
    progress.event("ended", outcome="pass", cells=cells, seed=run.seed, text="planned")
    sys.stdout.write(Ended(ExitCode.PASS, Outcome.PASS, store.uri(key)).line() + "\n")
    return ExitCode.PASS


def write_run(store: Store, run: Run) -> str:
    """Store `run.json` and return the run's URI."""
    store.put_json(keys.run_document(run.prefix), run.to_dict())
    return store.uri(run.prefix)


def parse_params(text: str) -> dict[str, Any]:
    """Parameters from the command line's JSON."""
    try:
        raw = json.loads(text or "{}")
    except ValueError as error:
        raise UsageError(f"--params: expected a JSON object, found {text[:80]!r}.") from error
    if not isinstance(raw, dict):
        raise UsageError(f"--params: expected a JSON object, found {type(raw).__name__}.")
    return raw


def host_class() -> str:
    """Name of the kind of host, so that only results of like hosts compare."""
    memory_gib = round(psutil.virtual_memory().total / 2**30)
    system, machine = platform.system().lower(), platform.machine()
    return f"{system}-{machine}-{os.cpu_count()}c-{memory_gib}g"


def commit() -> dict[str, str]:
    """Branch and commit of the checkout; nothing where it is none or git is not there.

    A step container has no checkout: KAFKALAB_SHA and KAFKALAB_BRANCH tell it.
    """
    told = {name: os.environ.get(f"KAFKALAB_{name.upper()}", "") for name in ("sha", "branch")}
    if told["sha"]:
        return {name: value for name, value in told.items() if value}
    found = {}
    asked = {"sha": ["rev-parse", "HEAD"], "branch": ["branch", "--show-current"]}
    for name, arguments in asked.items():
        try:
            done = subprocess.run(
                ["git", "-C", str(paths.root()), *arguments],
                capture_output=True, text=True, check=True, timeout=10,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            continue  # an installed copy without git has no commit to name
        found[name] = done.stdout.strip()
    return found
