"""### kafka_nightly: every scenario, every client of the lab, at the night's loads

**Purpose** Does what was built yesterday still keep its promises, and is it as fast as before?

**Trigger** Every day at 02:00 UTC. Of nights that were missed because Airflow was down, the last
one is made up for, the others are not. By hand at any time; it then waits for the runs before it.

**How to read red** `verdict` repeats what `gate` decided; the log of `gate` names each broken
claim, each metric outside its envelope and each missing piece of evidence, with the command that
repeats it. Not enough evidence is red too: a noisy host ends as unknown, not as a regression.

**Owner** kafkalab
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from kafkalab.orchestration.chain import DEFAULT_ARGS, chain, workflow
from kafkalab.orchestration.params import run_params

with DAG(
    dag_id="kafka_nightly",
    # No start date: with one in the past, a new Airflow would start last night's run at once. So
    # would False below, until 04:24: Airflow takes it for a tenth of the time between two nights.
    schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=DEFAULT_ARGS,
    params=run_params(),
    doc_md=__doc__,
    tags=["kafka", "nightly"],
):
    workflow(
        chain("pinned", "correctness", "backpressure", "memory", "benchmark", "compat"),
        chain("oldest", "compat"),
        chain("newest", "compat"),
    )
