"""### kafka_baseline: accept what a run proposed as the new baseline

**Purpose** Bounds change by promotion, never by themselves: a person reads a run's proposal and
answers for it. Who and why is kept in the lane's history for good.

**Trigger** By hand. `run` is the run whose report holds the proposal; `lane` picks one of its
lanes, empty takes all.

**How to read red** Nothing was changed for the lane that the log names: the run has a broken claim
or too little evidence, it proposes nothing for that lane, or somebody else accepted another
envelope meanwhile; the log says which.

**Owner** kafkalab
"""

from __future__ import annotations

from airflow.sdk import DAG

from kafkalab.orchestration.chain import DEFAULT_ARGS
from kafkalab.orchestration.params import baseline_params
from kafkalab.orchestration.step import StepOperator

with DAG(
    dag_id="kafka_baseline",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=DEFAULT_ARGS,
    params=baseline_params(),
    doc_md=__doc__,
    tags=["kafka", "baseline"],
):
    StepOperator(
        task_id="baseline",
        step="baseline",
        arguments=[
            "baseline",
            "--run={{ params.run }}",
            "--lane={{ params.lane }}",
            "--accepted-by={{ params.accepted_by }}",
            "--why={{ params.why }}",
        ],
        doc_md="Replaces the envelopes of the lanes, by conditional write.",
    )
