from __future__ import annotations

import json

from kafkalab.orchestration import store

SETTINGS = {
    "KAFKALAB_S3_ENDPOINT": "http://127.0.0.1:9000",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "KAFKALAB_S3_BUCKET": "lab",
}


def test_without_an_endpoint_there_is_no_connection() -> None:
    assert store.connection_from_environment({"AWS_ACCESS_KEY_ID": "key"}) is None


def test_aws_needs_no_endpoint() -> None:
    made = store.connection_from_environment({"KAFKALAB_S3_ENDPOINT": "aws"})
    assert made is not None
    assert "endpoint_url" not in made["extra"]


def test_what_a_step_is_told_is_what_the_connection_says() -> None:
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
    from airflow.sdk import Connection

    made = store.connection_from_environment(SETTINGS)
    assert made is not None
    extra = {**made["extra"], "bucket": "lab"}
    connection = Connection(
        conn_id=store.CONNECTION_ID,
        conn_type="aws",
        login=made["login"],
        password=made["password"],
        extra=json.dumps(extra),
    )
    told = store.environment_from_connection(AwsConnectionWrapper(connection))
    assert told == {**SETTINGS, "AWS_DEFAULT_REGION": "us-east-1"}


def test_a_connection_without_endpoint_means_aws() -> None:
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
    from airflow.sdk import Connection

    connection = Connection(conn_id="x", conn_type="aws", extra='{"region_name": "eu-west-1"}')
    told = store.environment_from_connection(AwsConnectionWrapper(connection))
    assert told == {"KAFKALAB_S3_ENDPOINT": "aws", "AWS_DEFAULT_REGION": "eu-west-1"}
