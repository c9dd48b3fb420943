"""### kafka_merge: the smoke's loads on what was just merged

**Purpose** Tell the people of a merge whether it broke a promise, while they still remember it.

**Trigger** GitHub's webhook (`push`, merged `pull_request`), see docs/airflow.md. Every delivery is
one run; deliveries queue, none is cancelled, and a redelivery starts nothing. By hand: give
`subject`, and `commit` and `branch` for the record.

**How to read red** `verdict` repeats what `gate` decided; the log of `gate` names each broken
claim, each metric outside its envelope and each missing piece of evidence, with the command that
repeats it. Parameters `repository`, `branch`, `commit` and `delivery` say which merge it was; the
log of `publish` says what GitHub was told of it.

**Owner** kafkalab
"""

from __future__ import annotations

from airflow.sdk import DAG

from kafkalab.orchestration.chain import DEFAULT_ARGS, chain, workflow
from kafkalab.orchestration.params import merge_params

with DAG(
    dag_id="kafka_merge",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=DEFAULT_ARGS,
    params=merge_params(),
    doc_md=__doc__,
    tags=["kafka", "merge"],
):
    workflow(
        chain("pinned", "correctness", "backpressure", "memory", "benchmark", "compat"),
        chain("oldest", "compat"),
        chain("newest", "compat"),
    )
