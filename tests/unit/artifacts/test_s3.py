"""Answers that the real servers of these tests do not give, as sentences for a person."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from kafkalab.artifacts import s3
from kafkalab.artifacts.s3 import Conflict, Place, StoreError, explained

AWS = Place(None, "lab")


def answer(code: str, status: int, *, retries: int = 0) -> ClientError:
    metadata = {"HTTPStatusCode": status, "RetryAttempts": retries}
    error = {"Code": code, "Message": "the server's words"}
    return ClientError({"Error": error, "ResponseMetadata": metadata}, "PutObject")


def failing(error: Exception) -> None:
    with explained(AWS, "write runs/x"):
        raise error


@pytest.mark.parametrize(
    ("code", "status", "advice"),
    [
        ("QuotaExceeded", 400, "The store is full"),
        ("InsufficientStorage", 507, "The store is full"),
        ("ExpiredToken", 400, "credentials were refused"),
        ("AccessDenied", 403, "AWS_SECRET_ACCESS_KEY"),
        ("NoSuchBucket", 404, "KAFKALAB_S3_BUCKET"),
        ("SlowDown", 503, "failed 3 times"),
        ("InvalidRequest", 400, "the server's words"),
    ],
)
def test_each_answer_says_where_what_and_what_to_do(code, status, advice):
    with pytest.raises(StoreError, match="could not write runs/x in bucket 'lab' at AWS") as caught:
        failing(answer(code, status))
    assert code in str(caught.value)
    assert advice in str(caught.value)
    assert caught.value.unavailable == (code != "InvalidRequest")


@pytest.mark.parametrize(
    ("code", "status"), [("PreconditionFailed", 412), ("ConditionalRequestConflict", 409)]
)
def test_a_lost_condition_is_a_conflict(code, status):
    error = answer(code, status, retries=1)
    assert s3.is_conflict(error)
    assert s3.was_retried(error)
    with pytest.raises(Conflict, match="Someone else wrote it"):
        failing(error)


def test_missing_credentials_say_which_to_set():
    with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID"):
        failing(NoCredentialsError())


def test_an_error_of_this_host_is_not_blamed_on_the_store():
    with pytest.raises(PermissionError):
        failing(PermissionError("no"))


def test_aws_needs_no_region(monkeypatch):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    assert s3.connect(None).meta.endpoint_url == "https://s3.amazonaws.com"
