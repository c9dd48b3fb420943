"""A run's shape: plan → one chain for each broker role → gate → publish → verdict.

A chain is one cluster's lifetime: `provision` is its setup, `teardown` its teardown, between them
each step is mapped over its cells. What follows from what:

- A red cell stops nothing: the next step waits until all cells are done, however they ended.
- A red `provision` stops its own chain: there are no cells to run on; the gate counts them as
  missing evidence. `teardown` runs all the same, because half a cluster may have started: that is
  why its trigger rule is not the usual one of a teardown, which wants a setup that succeeded.
- A chain without cells (the run asked for other brokers) is skipped as a whole.
- `gate` and `publish` run whatever happened, as long as there is a run to judge.
- The state of a DAG run is that of its last task, so `verdict` repeats what the gate decided. A
  teardown has tasks after it, so Airflow leaves it out although it asks to fail the run: `verdict`
  looks at the teardowns too, or what one left behind would end green.

Airflow demands that what follows a setup directly waits for its success, and cannot map over a part
of another task's result; hence one small `*_cells` task between `provision` and each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from airflow.sdk import TaskGroup, TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException

from kafkalab.orchestration import store
from kafkalab.orchestration.pools import HOST, NEXT, QUEUE
from kafkalab.orchestration.step import PLAN, RESULT, StepOperator, planned_run

OWNER = "kafkalab"
DEFAULT_ARGS = {"owner": OWNER, "retries": 0, "depends_on_past": False}
TIMEOUTS = {
    "plan": timedelta(minutes=15),  # drivers may have to be built
    "cell": timedelta(hours=2),  # a backstop: every scenario has a limit of its own
    "provision": timedelta(hours=12),  # includes the wait for the host
    "teardown": timedelta(minutes=10),
    "gate": timedelta(minutes=30),
    "publish": timedelta(minutes=30),
}


class Chain(NamedTuple):
    """The two ends of one cluster's lifetime."""

    provision: StepOperator
    teardown: StepOperator


def workflow(*chains: Chain) -> None:
    """Wire a run: plan, the chains one after another, then gate, publish and verdict.

    The edges are drawn here and not with `>>` between task groups, because Airflow leaves
    teardowns out of a group's leaves: the next cluster would start beside the one that stops.
    """
    planned = plan()
    gate = judge([end.teardown.task_id for end in chains])
    previous = planned
    for provision, teardown in chains:
        provision.pool = QUEUE if previous is planned else NEXT
        previous >> provision
        if previous is not planned:
            planned >> provision
        teardown >> gate
        previous = teardown


def plan() -> StepOperator:
    """The first task of every workflow that makes a run."""
    return StepOperator(
        task_id=PLAN,
        step=PLAN,
        execution_timeout=TIMEOUTS["plan"],
        doc_md="Resolves subjects, brokers, engine and seed, and writes what is to run: run.json.",
    )


def chain(role: str, *steps: str) -> Chain:
    """One cluster of this broker role and the steps that run on it, one after another."""
    with TaskGroup(group_id=role, tooltip=f"A cluster of the {role} Kafka and its steps"):
        ends = _ends(role, steps)
        previous = None
        for step in steps:
            mapped = StepOperator.partial(
                task_id=step,
                step=step,
                role=role,
                # Said here, since a mapped task does not see the operator's own defaults.
                pool=HOST,
                execution_timeout=TIMEOUTS["cell"],
                trigger_rule=TriggerRule.ALL_DONE,
                map_index_template="{{ task.cell }}",
                doc_md=f"One {step} cell of the {role} Kafka each: load, drain, claims, verdict.",
            ).expand(cell=_cells(step, role, ends.provision))
            if previous is not None:
                previous >> mapped
            mapped >> ends.teardown
            previous = mapped
    return ends


def _ends(role: str, steps: Sequence[str]) -> Chain:
    provision = StepOperator(
        task_id="provision",
        step="provision",
        role=role,
        skip_without=steps,
        execution_timeout=TIMEOUTS["provision"],
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Waits for the host, starts the cluster and checks that it serves.",
    ).as_setup()
    teardown = StepOperator(
        task_id="teardown",
        step="teardown",
        role=role,
        skip_with=provision.task_id,  # not by reading the store: it must stop brokers without it
        execution_timeout=TIMEOUTS["teardown"],
        priority_weight=100,  # it frees the host's lock: before any other step
        doc_md="Stops what provision started; what is left behind is a failure.",
    ).as_teardown(setups=provision, on_failure_fail_dagrun=True)
    teardown.trigger_rule = TriggerRule.ALL_DONE
    return Chain(provision, teardown)


def _cells(step: str, role: str, provision: StepOperator) -> Any:
    @task(task_id=f"{step}_cells")  # type: ignore[untyped-decorator]
    def cells(**context: Any) -> list[str]:
        """Identifiers of the cells of one step, as planned in run.json."""
        run = store.read_run(planned_run(context["ti"]))
        return [cell.id for cell in run.cells.get(f"{step}/{role}", ())]

    listed = cells()
    provision >> listed
    return listed


def judge(teardowns: Sequence[str] = ()) -> StepOperator:
    """The end of every run, whatever happened before: gate, publish, verdict; returns the gate.

    Args:
        teardowns: task ids that must have left nothing behind for the run to be green.
    """
    gate = StepOperator(
        task_id="gate",
        step="gate",
        execution_timeout=TIMEOUTS["gate"],
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Data quality first, then claims, then envelopes. Red: its log names each reason.",
    )
    publish = StepOperator(
        task_id="publish",
        step="publish",
        execution_timeout=TIMEOUTS["publish"],
        trigger_rule=TriggerRule.ALL_DONE,
        doc_md="Writes the report and tells whoever asked.",
    )
    gate >> publish >> _verdict(teardowns)
    return gate


def _verdict(teardowns: Sequence[str]) -> Any:
    @task(trigger_rule=TriggerRule.ALL_DONE)  # type: ignore[untyped-decorator]
    def verdict(**context: Any) -> str:
        """The gate's verdict as the state of the run.

        Green only if it passed, was published, and every cluster was taken down.
        """
        ti = context["ti"]
        for name in ("gate", "publish", *teardowns):
            said = ti.xcom_pull(task_ids=name, key=RESULT) or {}
            if name in teardowns and said.get("skipped"):
                continue  # a chain without cells: it said so itself
            outcome = said.get("verdict", "unknown")
            if said.get("exit_code") != 0 or outcome != "pass":
                where = said.get("manifest", "it left no manifest, see its log")
                raise AirflowFailException(f"The run is {outcome} by its {name} step: {where}")
        return "pass"

    return verdict()
