"""Run one cell: start drivers, apply the load, drain, close, judge, and leave the evidence.

The claims come from the history (checkers/) and, for loops and series, from the workload itself.
Whatever breaks in between leaves a verdict too: a broken driver or cluster makes the cell
`unknown` with the sentence that says which, a client that ended by itself is the claim `crash`,
and what was recorded up to there is stored all the same.
"""

from __future__ import annotations

import dataclasses
import random
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from kafkalab.artifacts.store import to_json
from kafkalab.model.errors import BuildError, InfrastructureError, LabError
from kafkalab.model.scenario import Cell, Scenario
from kafkalab.model.subject import Subject
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome, merge
from kafkalab.runtime import pins
from kafkalab.runtime.lease import Lease, keeping
from kafkalab.scenarios import loader
from kafkalab.steps import evidence
from kafkalab.steps.clusters import cluster_of
from kafkalab.steps.frame import StepContext, StepResult, require_cell
from kafkalab.steps.host import ADMIN_SUBJECT, EngineHost
from kafkalab.workloads import judging, roles
from kafkalab.workloads.lab import WITNESS, Driven, Lab
from kafkalab.workloads.recorder import Recorder
from kafkalab.workloads.registry import workload_named
from kafkalab.workloads.sampler import Sampler, loop_readings

_NOT_BUILT = "cannot build the client: see the cell's reason and build.log"


@dataclass
class _Outcome:
    """What running a cell gave, complete or not."""

    driven: Driven | None = None
    reason: str = ""
    trace: str = ""  # of a defect of the lab
    build_log: str = ""  # of a client that could not be built
    crashes: list[ClaimVerdict] = field(default_factory=list)
    clients: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)


def run(context: StepContext) -> StepResult:
    """Run the cell that the request names."""
    request = context.request
    require_cell(context.run, request.role, request.step, request.cell)
    group = context.run.cells[f"{request.step}/{request.role}"]
    cell = next(c for c in group if c.id == request.cell)
    scenario = loader.scenario_named(cell.scenario, loader.catalogue(context.run.profile))
    engine, cluster = cluster_of(context.store, context.run, request.role)
    lease = Lease.load(context.run.run_id)
    if lease is None:
        raise InfrastructureError(
            f"run {context.run.run_id} has no lease any more: its cluster was stopped."
        )
    logs = context.workdir / "logs" / cell.id / f"attempt-{request.attempt}"
    host = EngineHost(engine, cluster, pins.load(), logs)
    with keeping(lease):
        lab, outcome = _drive(context, cell, scenario, host)
        dead = [n.name for n in cluster.nodes if not engine.alive(cluster, n.name)]
    if dead:
        names = ", ".join(dead)
        outcome.reason = f"broker {names} died during the cell; its log is in {cluster.workdir}"
    table = judging.history_table(lab.recorder)
    verdict = _judge(cell, scenario, engine.name, outcome, lab, table)
    verdict = dataclasses.replace(
        verdict,
        replay=f"kafkalab replay {context.run.run_id}/{cell.id}",
        skipped=evidence.skipped(scenario, verdict.metrics, engine, lab.drivers),
    )
    _tell(context, verdict)
    files = evidence.files(context, verdict, table, lab.readings, logs, host.wire())
    if lab.follower is not None:
        files["live.json"] = to_json(lab.follower.report())
    for name, text in (("traceback.txt", outcome.trace), ("build.log", outcome.build_log)):
        if text:
            files[name] = text.encode()
    return StepResult(verdict.outcome, _why(verdict), files)


def _drive(
    context: StepContext, cell: Cell, scenario: Scenario, host: EngineHost
) -> tuple[Lab, _Outcome]:
    recorder, outcome = Recorder(), _Outcome()
    admin_driver, admin = host.admin(recorder)
    lab = Lab(
        scenario=scenario,
        subjects=cell.clients,
        baseline=baseline_of(cell.clients[0]),
        witness=witness_of(cell.clients[0]),
        bootstrap=host.bootstrap,
        host=host,
        admin=admin,
        recorder=recorder,
        rng=random.Random(f"{context.run.seed}/{cell.id}"),
        progress=context.progress,
        deadline=time.monotonic() + scenario.seconds_max,
    )
    workload = workload_named(scenario.workload)
    context.progress(f"{scenario.id} {scenario.title} · {', '.join(cell.clients)}")
    try:
        with Sampler(lab):
            outcome.driven = workload.drive(lab, workload.load(**_load(scenario)))
    except LabError as error:
        outcome.reason = str(error)
        outcome.build_log = error.log if isinstance(error, BuildError) else ""
        outcome.crashes = list(evidence.crashes(lab.drivers))
    except Exception as error:  # noqa: BLE001 the lab's own defect must not cost what was recorded
        outcome.trace = traceback.format_exc()
        sys.stderr.write(outcome.trace)
        outcome.reason = f"the lab itself failed: {type(error).__name__}: {error}"
        outcome.crashes = list(evidence.crashes(lab.drivers))
    finally:
        if lab.follower is not None:
            lab.follower.stop()
        lab.readings.extend(loop_readings(lab))
        tested = [driver for driver in lab.drivers if driver.name != WITNESS]
        outcome.clients = evidence.loaded_clients(tested) or cell.clients
        for driver in [*lab.drivers, admin_driver]:
            host.stop(driver)
    return lab, outcome


def _load(scenario: Scenario) -> dict[str, object]:
    """The YAML's load, with lists as tuples since loads are frozen."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in scenario.load.items()}


def baseline_of(client: str) -> str:
    """The build that a paired benchmark compares with: the pinned release of the same client."""
    subject = Subject.parse(client)
    name = "confluent-kafka" if subject.name == "defect" else subject.name
    return str(pins.load().resolve(Subject(name, "pinned")))


def witness_of(client: str) -> str:
    """Another implementation than the client's, in the version that the lab trusts."""
    name = baseline_of(client).partition("@")[0]
    other = "kafka-clients" if name == ADMIN_SUBJECT.name else ADMIN_SUBJECT.name
    return str(pins.load().resolve(Subject(other, "pinned")))


def _judge(
    cell: Cell, scenario: Scenario, engine: str, outcome: _Outcome, lab: Lab, table: pa.Table
) -> CellVerdict:
    driven = outcome.driven or Driven(roles.context())
    if outcome.build_log:
        unknown = [ClaimVerdict(c, Outcome.UNKNOWN, 0, _NOT_BUILT) for c in scenario.claims]
        claims = tuple(unknown)
    else:
        claims = judging.claims(scenario, table, driven, outcome.crashes)
        outcome.reason = outcome.reason or _differences(scenario, outcome, lab, table, claims)
    outcomes = [claim.outcome for claim in claims]
    if outcome.reason:
        outcomes.append(Outcome.UNKNOWN)
    return CellVerdict(
        scenario=cell.scenario,
        clients=outcome.clients,
        broker=cell.broker,
        engine=engine,
        cell=cell.id,
        outcome=merge(outcomes),
        seconds=round(time.monotonic() - outcome.started, 3),
        claims=claims,
        metrics={**evidence.metrics(table, lab.readings, scenario), **driven.metrics},
        samples={"rows": table.num_rows, **driven.samples},
        reason=outcome.reason,
        history_claims=judging.history_claims(scenario, driven, outcome.crashes),
        context=driven.context,
    )


def _differences(
    scenario: Scenario, outcome: _Outcome, lab: Lab, table: pa.Table, claims: Sequence[ClaimVerdict]
) -> str:
    """What makes the live verdicts of a whole cell differ from these: a defect of the lab."""
    if outcome.driven is None or not scenario.live_s:
        return ""
    if lab.follower is None:
        return f"the lab itself failed: {scenario.id} sets live_s, and its workload does not follow"
    of_history = judging.history_claims(scenario, outcome.driven, outcome.crashes)
    judged = {claim.claim: claim for claim in claims if claim.claim in of_history}
    found = lab.follower.differences(table, outcome.driven.context, judged)
    text = "; ".join(found)
    return f"the lab itself failed: live and final verdicts differ: {text}" if text else ""


def _tell(context: StepContext, verdict: CellVerdict) -> None:
    """The claims and numbers, so that the task's log alone explains a red cell."""
    for claim in verdict.claims:
        context.progress(f"{claim.outcome:>7}  {claim.claim}: {claim.summary}")
        for item in claim.evidence[:3] if claim.outcome is not Outcome.PASS else ():
            context.progress(f"           evidence: {item}")
        for line in claim.timelines[0] if claim.timelines else ():
            context.progress(f"           {line}")
    for name, value in sorted(verdict.metrics.items()):
        context.progress(f" metric  {name} = {value:,.3f}")
    for each in verdict.skipped:
        context.progress(f" metric  {each.what} was not measured: it needs {each.needs}")
    if verdict.reason:
        context.progress(f"unknown because: {verdict.reason}")
    context.progress(f"verdict {verdict.outcome}; repeat it with: {verdict.replay}")


def _why(verdict: CellVerdict) -> str:
    red = [claim for claim in verdict.claims if claim.outcome is not Outcome.PASS]
    return "; ".join(
        [f"{c.claim}: {c.summary}" for c in red] + [verdict.reason] * bool(verdict.reason)
    )
