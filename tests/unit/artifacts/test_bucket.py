"""The bucket's operations, without policy."""

from __future__ import annotations

import hashlib
import io
import uuid

import pytest
from botocore.exceptions import ClientError

from kafkalab.artifacts import s3
from kafkalab.artifacts.bucket import Bucket, digest_of

pytestmark = pytest.mark.system


@pytest.fixture
def bucket(endpoint) -> Bucket:
    client = s3.connect(endpoint.endpoint, endpoint.access_key, endpoint.secret_key)
    found = Bucket(client, s3.Place(endpoint.endpoint, f"t-{uuid.uuid4().hex}"))
    found.create()
    return found


def test_creating_what_exists_is_fine(bucket):
    bucket.create()
    bucket.check()


def test_a_body_is_read_from_its_beginning_and_conditions_are_the_callers(bucket):
    body = io.BytesIO(b"content")
    body.read()
    etag = bucket.put("x", body, None, {})
    sink = io.BytesIO(b"something longer than the content")
    assert bucket.fetch("x", sink) == etag
    assert sink.getvalue() == b"content"
    with pytest.raises(ClientError) as caught:
        bucket.put("x", body, None, {"IfNoneMatch": "*"})
    assert s3.is_conflict(caught.value)


@pytest.mark.parametrize(
    ("key", "expected"),
    [("x.json", "application/json"), ("x.html", "text/html"), ("x.y", "application/octet-stream")],
)
def test_browsers_learn_the_type_from_the_name(bucket, key, expected):
    bucket.put(key, io.BytesIO(b"x"), None, {})
    head = bucket._client.head_object(Bucket=bucket.name, Key=key)
    assert head["ContentType"] == expected


def test_a_digest_leaves_the_stream_at_its_beginning():
    body = io.BytesIO(b"x" * 3_000_000)
    assert digest_of(body, "sha256") == hashlib.sha256(body.getvalue()).digest()
    assert body.tell() == 0
