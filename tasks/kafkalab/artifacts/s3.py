"""The S3 client, and its failures as sentences for a person.

Every call is bounded: 5 s to connect, 5 s without a byte, three tries with botocore's own backoff,
so a dead store is reported after about 20 s. What botocore raises becomes a `StoreError` that
names the endpoint, the bucket, what was tried and what to do. A conditional write that lost is a
`Conflict`, which is an answer rather than a failure.

Checksums are sent only where an operation requires them (`when_required`): botocore's default of a
trailing CRC is refused by some S3-compatible servers. Uploads carry `Content-MD5` instead, which
all know.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)

from kafkalab.model.errors import InfrastructureError, UsageError

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 5
TRIES = 3
_ROOM_BYTES = 64_000_000  # less than this free: take a server's fault for a full disk

_REFUSED = {
    "403",
    "AccessDenied",
    "ExpiredToken",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}
_FULL = {"507", "EntityTooLarge", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"}
_CONFLICT = {"409", "412", "ConditionalRequestConflict", "PreconditionFailed"}
_MISSING = {"404", "NoSuchKey", "NotFound"}


class StoreError(InfrastructureError):
    """The store did not do what was asked."""

    def __init__(self, message: str, *, unavailable: bool = False, refused: bool = False) -> None:
        super().__init__(message)
        self.unavailable = unavailable  # the store as a whole, not this object: spare the next try
        self.refused = refused  # the credentials were


class Conflict(StoreError):  # noqa: N818 - an answer, see above
    """A conditional write lost: the object changed, or exists, since it was read."""


@dataclass(frozen=True)
class Place:
    """Where a store is, as it appears in messages."""

    endpoint: str | None  # None: AWS
    bucket: str
    data_dir: Path | None = None  # of the embedded server

    def __str__(self) -> str:
        return f"bucket '{self.bucket}' at {self.endpoint or 'AWS S3'}"


def connect(
    endpoint: str | None,
    access_key: str | None = None,
    secret_key: str | None = None,
    *,
    session_token: str | None = None,
    region: str | None = None,
    tries: int = TRIES,
) -> Any:
    """An S3 client; without keys it uses botocore's default chain (environment, profile, role)."""
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=session_token,
            region_name=region or ("us-east-1" if endpoint else None),
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": tries},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3=_settings(endpoint),
                max_pool_connections=32,
            ),
        )
    except (BotoCoreError, ValueError) as error:
        raise UsageError(
            f"KAFKALAB_S3_ENDPOINT={endpoint or 'aws'}: expected an S3 endpoint such as "
            f"http://127.0.0.1:9000, or 'aws' with AWS's own settings; found: {error}."
        ) from error


def _settings(endpoint: str | None) -> dict[str, Any]:
    if endpoint is None:
        return {}
    # Unsigned bodies: S3Proxy keeps a signed one in memory to check it and refuses it over 128 MB.
    # Content-MD5, which is signed as a header, vouches for the body all the same.
    return {"addressing_style": "path", "payload_signing_enabled": False}


@contextmanager
def explained(place: Place, doing: str) -> Iterator[None]:
    """Turn botocore's exceptions into `StoreError` or `Conflict` with a sentence.

    Args:
        place: the store, for the message.
        doing: what was tried, such as "write runs/…/run.json".
    """
    try:
        yield
    except ClientError as error:
        raise _from_answer(place, doing, error) from error
    except (BotoCoreError, HTTPClientError, ConnectionError, TimeoutError) as error:
        raise _from_silence(place, doing, error) from error


def code(error: ClientError) -> str:
    """The error code of an answer, or its HTTP status where it has no code."""
    return str(error.response.get("Error", {}).get("Code") or _status(error))


def is_missing(error: ClientError) -> bool:
    """Whether the answer says that there is no such object (a missing bucket is something else)."""
    return code(error) in _MISSING


def is_conflict(error: ClientError) -> bool:
    """Whether the answer says that a condition of the write did not hold."""
    return code(error) in _CONFLICT or _status(error) in (409, 412)


def was_retried(error: ClientError) -> bool:
    """Whether botocore had sent the request before, so that an earlier try may have succeeded."""
    return bool(error.response.get("ResponseMetadata", {}).get("RetryAttempts"))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _from_answer(place: Place, doing: str, error: ClientError) -> StoreError:
    found = code(error)
    said = str(error.response.get("Error", {}).get("Message", "")).strip()
    answer = f"it answered {found}" + (f" ({said})" if said and said != found else "")
    start = f"store: could not {doing} in {place}: {answer}."
    if is_conflict(error):
        return Conflict(f"{start} Someone else wrote it in the meantime: read it again and decide.")
    if found in _REFUSED or _status(error) == 403:
        return StoreError(
            f"{start} The credentials were refused: check AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY (or the Airflow connection) and the rights on this bucket.",
            unavailable=True,
            refused=True,
        )
    if found == "NoSuchBucket":
        advice = (
            "The embedded store has lost its data folder: run the command again, it is created."
            if place.data_dir
            else "There is no such bucket: create it, or set KAFKALAB_S3_BUCKET to one that exists."
        )
        return StoreError(f"{start} {advice}", unavailable=True)
    if found in _FULL or _status(error) == 507:
        return StoreError(
            f"{start} The store is full: free space or raise its quota, then try again.",
            unavailable=True,
        )
    if _status(error) >= 500:
        return StoreError(f"{start} {_on_server_fault(place)}", unavailable=True)
    return StoreError(start)


def _on_server_fault(place: Place) -> str:
    if place.data_dir is None:
        return f"The server failed {TRIES} times: read its log, see its disk, then try again."
    log = place.data_dir.parent / "server.log"
    free = shutil.disk_usage(place.data_dir).free if place.data_dir.is_dir() else 0
    if free < _ROOM_BYTES:
        return (
            f"Its disk is full: {free / 1e6:,.1f} MB are free at {place.data_dir}. Free space "
            "there, or move KAFKALAB_HOME to a larger disk, then try again."
        )
    return f"The embedded store failed {TRIES} times: read the end of {log}, then try again."


def _from_silence(place: Place, doing: str, error: Exception) -> StoreError:
    start = f"store: could not {doing} in {place}"
    if isinstance(error, (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)):
        return StoreError(
            f"{start}: {error}. Expected AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, an AWS "
            "profile or a role; found none. Set them, or unset KAFKALAB_S3_ENDPOINT for the "
            "embedded store.",
            unavailable=True,
        )
    if isinstance(error, (ReadTimeoutError, TimeoutError)):
        return StoreError(
            f"{start}: it accepted the connection and then stayed silent for {READ_TIMEOUT_S} s, "
            f"{TRIES} times. The store is too slow or hangs: see its load and log, then try again.",
            unavailable=True,
        )
    if isinstance(error, (EndpointConnectionError, ConnectTimeoutError)):
        return StoreError(
            f"{start}: nothing answers there ({error}), tried {TRIES} times. Start the store, or "
            "correct KAFKALAB_S3_ENDPOINT.",
            unavailable=True,
        )
    return StoreError(
        f"{start}: the connection broke ({type(error).__name__}: {error}). See the store's load "
        "and log, then try again.",
        unavailable=True,
    )
