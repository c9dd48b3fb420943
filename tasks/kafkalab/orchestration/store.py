"""The store as DAG code sees it: through the amazon provider, connection `kafkalab_s3`.

Where Airflow has no such connection, the variables that steps read are used instead
(`KAFKALAB_S3_ENDPOINT`, `AWS_ACCESS_KEY_ID`, ...), so that one setting serves both. The other way
round, `step_environment` hands a connection to steps as those variables: steps know no Airflow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from kafkalab.model.errors import UsageError
from kafkalab.model.run import Run

CONNECTION_ID = "kafkalab_s3"
CONNECTION_VARIABLE = f"AIRFLOW_CONN_{CONNECTION_ID.upper()}"
ENDPOINT = "KAFKALAB_S3_ENDPOINT"
AWS = "aws"  # value of ENDPOINT that means Amazon's own


def connection_from_environment(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """The connection that these variables describe, as Airflow's JSON; None without an endpoint."""
    endpoint = environ.get(ENDPOINT, "")
    if not endpoint:
        return None
    extra = {"region_name": environ.get("AWS_DEFAULT_REGION", "us-east-1")}
    if endpoint != AWS:
        extra["endpoint_url"] = endpoint
    return {
        "conn_type": "aws",
        "login": environ.get("AWS_ACCESS_KEY_ID"),
        "password": environ.get("AWS_SECRET_ACCESS_KEY"),
        "extra": extra,
    }


def environment_from_connection(connection: Any) -> dict[str, str]:
    """The variables that tell a step what an `AwsConnectionWrapper` says."""
    variables = {
        "AWS_ACCESS_KEY_ID": connection.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": connection.aws_secret_access_key,
        "AWS_SESSION_TOKEN": connection.aws_session_token,
        "AWS_DEFAULT_REGION": connection.region_name,
        "KAFKALAB_S3_BUCKET": connection.extra_config.get("bucket"),
        ENDPOINT: connection.get_service_endpoint_url("s3") or AWS,
    }
    return {name: str(value) for name, value in variables.items() if value}


def has_connection() -> bool:
    """Whether Airflow itself has the connection: its database, a secrets backend or a variable."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        BaseHook.get_connection(CONNECTION_ID)
    except AirflowNotFoundException:
        return False
    return True


def step_environment() -> dict[str, str]:
    """Variables of the connection for a step; empty without one (steps then use their own)."""
    if not has_connection():
        return {}
    return environment_from_connection(_hook().conn_config)


def _hook() -> Any:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook(aws_conn_id=CONNECTION_ID)


def read_run(run_uri: str) -> Run:
    """The run's `run.json`; raises `UsageError` when no store is configured."""
    if not has_connection():
        connection = connection_from_environment(os.environ)
        if connection is None:
            raise UsageError(
                f"store: expected an Airflow connection '{CONNECTION_ID}' or {ENDPOINT} in the "
                "environment of Airflow, found neither; docs/airflow.md says how to define it."
            )
        os.environ[CONNECTION_VARIABLE] = json.dumps(connection)
    return Run.from_dict(json.loads(_hook().read_key(f"{run_uri}/run.json")))
