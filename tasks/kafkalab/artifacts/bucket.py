"""One bucket, its operations without policy: conditional writes, reads, listings.

`Store` decides what may be written; this module only does it, streamed and in bounded time.
"""

from __future__ import annotations

import base64
import hashlib
import mimetypes
import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from kafkalab.artifacts import keys, s3

CHUNK_BYTES = 1 << 20
_SCRATCH = re.compile("-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class Bucket:
    """A bucket and the client that reaches it."""

    def __init__(self, client: Any, place: s3.Place) -> None:
        self._client = client
        self.place = place
        self.name = place.bucket

    def put(
        self, key: str, body: IO[bytes], content_type: str | None, condition: Mapping[str, str]
    ) -> str:
        """Write under a condition and return the ETag; raises botocore's `ClientError` as it is."""
        guessed = mimetypes.guess_type(key)[0] or "application/octet-stream"
        answer = self._client.put_object(
            Bucket=self.name,
            Key=keys.checked(key),
            Body=body,
            ContentMD5=base64.b64encode(digest_of(body, "md5")).decode(),
            ContentType=content_type or guessed,
            **condition,
        )
        return str(answer["ETag"])

    def fetch(self, key: str, sink: IO[bytes]) -> str | None:
        """Stream an object into `sink`; its ETag, "" where it has none, or None: no object."""
        with s3.explained(self.place, f"read {key}"):
            for attempt in _body_retries():
                with attempt:
                    try:
                        answer = self._client.get_object(Bucket=self.name, Key=key)
                    except ClientError as error:
                        if s3.is_missing(error):
                            return None
                        raise
                    sink.seek(0)
                    sink.truncate()
                    _copy(answer, sink)
                    etag = str(answer.get("ETag", ""))
                    self._check_content(key, sink, etag)
        return etag

    def _is_unfinished(self, key: str) -> bool:
        """S3Proxy lists its own scratch files: an upload that is under way, or was cut off."""
        return self.place.data_dir is not None and bool(_SCRATCH.search(key))

    def _check_content(self, key: str, sink: IO[bytes], etag: str) -> None:
        """On the embedded server an ETag is an MD5, so damage of a file on disk shows."""
        expected = etag.strip('"')
        if self.place.data_dir is None or not re.fullmatch("[0-9a-f]{32}", expected):
            return
        found = digest_of(sink, "md5").hex()
        if found != expected:
            path = self.place.data_dir / self.name / key
            raise _CutOffError from s3.StoreError(
                f"store: {key} in {self.place}: expected content with MD5 {expected}, found "
                f"{found}: {path} is damaged, or was changed by hand. Restore it, or repeat the "
                "run."
            )

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with a prefix, in order."""
        with s3.explained(self.place, f"list {prefix or 'everything'}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.name, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    if not self._is_unfinished(entry["Key"]):
                        yield entry["Key"]

    def folders(self, prefix: str) -> Iterator[str]:
        """Prefixes one level below a prefix that ends in a slash, in order, each with its slash."""
        with s3.explained(self.place, f"list {prefix}"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.name, Prefix=prefix, Delimiter="/"):
                for entry in page.get("CommonPrefixes", ()):
                    yield entry["Prefix"]

    def exists(self, key: str) -> bool:
        """Whether there is an object under a key."""
        with s3.explained(self.place, f"look up {key}"):
            try:
                self._client.head_object(Bucket=self.name, Key=key)
            except ClientError as error:
                if not s3.is_missing(error):
                    raise
                self.check()  # HEAD cannot tell whether the object is missing or the bucket
                return False
        return True

    def create(self) -> None:
        """Create the bucket; that it exists already is fine."""
        with s3.explained(self.place, "create the bucket"):
            try:
                self._client.create_bucket(Bucket=self.name)
            except ClientError as error:
                if s3.code(error) not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise

    def check(self) -> None:
        """Ask for the bucket; returns when it answers, else raises `StoreError`."""
        with s3.explained(self.place, "reach the bucket"):
            # A listing, because the answer to HEAD has no body and so no error code.
            self._client.list_objects_v2(Bucket=self.name, MaxKeys=1)


class _CutOffError(Exception):
    """The body of an answer ended early; botocore tries requests again, but not bodies."""


def _body_retries() -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(_CutOffError),
        stop=stop_after_attempt(s3.TRIES),
        wait=wait_random_exponential(max=1),
        retry_error_callback=_raise_cause,
    )


def _raise_cause(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if error is not None:
        raise error.__cause__ or error


def _copy(answer: Mapping[str, Any], sink: IO[bytes]) -> None:
    try:
        for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
            sink.write(chunk)
    except (BotoCoreError, HTTPClientError) as error:
        raise _CutOffError from error


def digest_of(body: IO[bytes], algorithm: str) -> bytes:
    """Digest of a whole stream, which is left at its beginning."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    body.seek(0)
    while chunk := body.read(CHUNK_BYTES):
        digest.update(chunk)
    body.seek(0)
    return digest.digest()
