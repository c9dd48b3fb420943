"""### kafka_compat: oldest, pinned and newest Kafka with every client

**Purpose** The compatibility matrix alone: before a pin is raised, or when a new Kafka is out.

**Trigger** By hand. `subjects` are the clients, `brokers` the roles; empty means all.

**How to read red** One chain for each broker role: the role of the red cell is where it broke. The
log of `gate` names each broken claim with the command that repeats it. Red `provision` of one role
means that this Kafka did not start here, which is the lab's fault until proven otherwise.

**Owner** kafkalab
"""

from __future__ import annotations

from airflow.sdk import DAG

from kafkalab.orchestration.chain import DEFAULT_ARGS, chain, workflow
from kafkalab.orchestration.params import run_params

with DAG(
    dag_id="kafka_compat",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=DEFAULT_ARGS,
    params=run_params(),
    doc_md=__doc__,
    tags=["kafka", "compat"],
):
    workflow(
        chain("oldest", "compat"),
        chain("pinned", "correctness", "compat"),
        chain("newest", "compat"),
    )
