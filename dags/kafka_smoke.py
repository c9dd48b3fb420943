"""### kafka_smoke: the whole chain, thin, in minutes

**Purpose** A real cluster, a real client, every step once: is this build (and this lab) sound?

**Trigger** By hand: *Trigger* above, or `make run` on a host where Airflow does not run. Every
parameter has a default; `scenarios` and `subjects` narrow or change what runs.

**How to read red** `verdict` repeats what `gate` decided; the log of `gate` names each broken
claim, each metric outside its envelope and each missing piece of evidence, with the command that
repeats it. A red cell stops nothing: look at the log of the mapped task that has the cell's name.
Red `provision` or `teardown` is the host's or the lab's fault, not the build's.

**Owner** kafkalab
"""

from __future__ import annotations

from airflow.sdk import DAG

from kafkalab.orchestration.chain import DEFAULT_ARGS, chain, workflow
from kafkalab.orchestration.params import run_params

with DAG(
    dag_id="kafka_smoke",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=DEFAULT_ARGS,
    params=run_params(),
    doc_md=__doc__,
    tags=["kafka", "smoke"],
):
    workflow(
        chain("pinned", "correctness", "backpressure", "memory", "benchmark", "compat"),
        chain("oldest", "compat"),
        chain("newest", "compat"),
    )
