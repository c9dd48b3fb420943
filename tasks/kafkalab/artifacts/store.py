"""The store: S3 and nothing else, through one class.

A reader never sees half an artifact: an object is written once under its final key, with
`If-None-Match: *`. Writing the same bytes again is fine (a retry after a lost answer); other bytes
under an existing key are an error that says so. Only `put_if` replaces an object, and only the
version that its caller has read. What cannot be stored goes to the spool on disk (`put_or_spool`)
and into the store later (`flush_spool`).

An `ETag` is opaque here: it is the MD5 of the content on most servers, and is not with encryption.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from botocore.exceptions import ClientError

from kafkalab.artifacts import address, locks, s3, server, spool
from kafkalab.artifacts.bucket import Bucket, digest_of
from kafkalab.artifacts.s3 import Conflict, Place, StoreError
from kafkalab.model.errors import InfrastructureError, UsageError

__all__ = ["Conflict", "Store", "StoreError", "Versioned"]

_IN_MEMORY_BYTES = 16 << 20


class Versioned(NamedTuple):
    """An object's content with the version that a conditional write needs."""

    data: bytes
    etag: str


class Store:
    """One bucket. Every method raises `StoreError` with a sentence when the store fails."""

    def __init__(
        self,
        endpoint: str | None,
        bucket: str = address.BUCKET_DEFAULT,
        access_key: str | None = None,
        secret_key: str | None = None,
        *,
        session_token: str | None = None,
        region: str | None = None,
        data_dir: Path | None = None,
    ) -> None:
        """Connect; nothing is sent yet.

        Args:
            endpoint: URL of an S3-compatible server; None: AWS.
            bucket: its name; it must exist.
            access_key: None: botocore's default chain (environment, profile, role).
            secret_key: goes with access_key.
            session_token: for temporary credentials.
            region: None: the chain's, or us-east-1 where an endpoint is given.
            data_dir: folder of the embedded server; its objects can also be opened as files.
        """
        self.place = Place(endpoint, bucket, data_dir)
        self.bucket = bucket
        self.data_dir = data_dir
        client = s3.connect(
            endpoint, access_key, secret_key, session_token=session_token, region=region
        )
        self._bucket = Bucket(client, self.place)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """The store that the environment names; starts the embedded server when it names none.

        KAFKALAB_S3_ENDPOINT: URL, or `aws`; unset or empty: the embedded server.
        KAFKALAB_S3_BUCKET: default `kafkalab`. AWS_*: as everywhere; the embedded server has keys
        of its own, which a process on its host need not be told.
        """
        env = os.environ if environ is None else environ
        endpoint = env.get("KAFKALAB_S3_ENDPOINT", "")
        bucket = env.get("KAFKALAB_S3_BUCKET") or address.BUCKET_DEFAULT
        if not endpoint:
            here = server.ensure_until_exit()
            return cls(
                here.endpoint, here.bucket, here.access_key, here.secret_key, data_dir=here.data_dir
            )
        known = address.known(endpoint)
        return cls(
            None if endpoint == "aws" else endpoint,
            bucket,
            env.get("AWS_ACCESS_KEY_ID") or (known.access_key if known else None),
            env.get("AWS_SECRET_ACCESS_KEY") or (known.secret_key if known else None),
            session_token=env.get("AWS_SESSION_TOKEN"),
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"),
            data_dir=known.data_dir if known else None,
        )

    def put_bytes(self, key: str, data: bytes, content_type: str | None = None) -> str:
        """Write an object once and return its URI.

        Raises:
            StoreError: the store failed, or the key already holds other bytes.
        """
        return self._put_once(key, io.BytesIO(data), content_type)

    def put_json(self, key: str, obj: object) -> str:
        """Write a JSON document once; NaN and infinities are refused (`ValueError`)."""
        return self.put_bytes(key, to_json(obj), "application/json")

    def put_file(self, key: str, path: Path, content_type: str | None = None) -> str:
        """Write a file (at most 5 GB) once, streamed."""
        with path.open("rb") as file:
            return self._put_once(key, file, content_type)

    def put_if(
        self, key: str, data: bytes, etag: str | None, content_type: str | None = None
    ) -> str:
        """Replace the version that the caller has read (None: there was none); return the new ETag.

        Raises:
            Conflict: the object is another one by now.
            StoreError: the store failed.
        """
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        with s3.explained(self.place, f"replace {key}"), self._alone(key, etag):
            try:
                return self._bucket.put(key, io.BytesIO(data), content_type, condition)
            except ClientError as error:
                if not s3.is_conflict(error) and not (etag and s3.code(error) == "NoSuchKey"):
                    raise
                # A try whose answer was lost may have been the one that won.
                now = self.get_with_etag(key) if s3.was_retried(error) else None
                if now is not None and now.data == data:
                    return now.etag
                raise Conflict(
                    f"store: {key} in {self.place} was written by someone else since it was read "
                    f"({s3.code(error)}): read it again and decide anew."
                ) from error

    def put_or_spool(self, items: Mapping[str, bytes | Path]) -> None:
        """Write each object, in order; what cannot be stored is kept on disk instead.

        Once the store as a whole has failed, the rest goes to the spool without another try, so
        that many artifacts do not wait for a dead store one after another.

        Raises:
            StoreError: at the end, when something was kept; it names the cause and the files.
        """
        spool.put_all(items, self._put_either)

    def flush_spool(self) -> list[str]:
        """Store what waits in the spool; return the keys stored.

        Raises:
            StoreError: something had to stay (it names why and what); the rest is stored.
        """
        return spool.flush(self.put_file)

    def get_bytes(self, key: str) -> bytes:
        """Content of an object; `StoreError` when there is none."""
        buffer = io.BytesIO()
        if self._bucket.fetch(key, buffer) is None:
            raise self._absent(key)
        return buffer.getvalue()

    def get_json(self, key: str) -> Any:
        """Content of a JSON document; `StoreError` when there is none or it is not JSON."""
        data = self.get_bytes(key)
        try:
            return json.loads(data)
        except ValueError as error:
            raise StoreError(
                f"store: {self.uri(key)}: expected JSON, found {data[:80]!r}: {error}."
            ) from error

    def get_file(self, key: str, path: Path) -> Path:
        """Download an object to a file, which appears when it is complete.

        Raises:
            StoreError: there is none, or the store failed.
            InfrastructureError: the file cannot be written.
        """
        scratch = path.with_name(f".{path.name}.partial-{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with scratch.open("w+b") as file:
                if self._bucket.fetch(key, file) is None:
                    raise self._absent(key)
            scratch.replace(path)
        except OSError as error:
            raise InfrastructureError(
                f"could not write {path}: {error}. Free space there, or correct its rights."
            ) from error
        finally:
            if scratch.exists():
                scratch.unlink()
        return path

    def get_with_etag(self, key: str) -> Versioned | None:
        """Content and version of an object; None when there is none."""
        buffer = io.BytesIO()
        etag = self._bucket.fetch(key, buffer)
        if etag == "":
            raise StoreError(
                f"store: {self.uri(key)} has no ETag, so nobody can replace it safely. The "
                "extended attributes of its file were lost, as by a copy without them (use `cp -a` "
                "or `rsync -X`). Copy it again, or move the file away and store it anew."
            )
        return None if etag is None else Versioned(buffer.getvalue(), etag)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with a prefix, in order."""
        return self._bucket.list(prefix)

    def folders(self, prefix: str) -> Iterator[str]:
        """Prefixes one level below a prefix that ends in a slash, in order, each with its slash."""
        return self._bucket.folders(prefix)

    def exists(self, key: str) -> bool:
        """Whether there is an object under a key."""
        return self._bucket.exists(key)

    def check(self) -> None:
        """Ask the store for the bucket; returns when it answers, else raises `StoreError`."""
        self._bucket.check()

    def create_bucket(self) -> None:
        """Create the bucket; that it exists already is fine."""
        self._bucket.create()

    def uri(self, key: str) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{key}"

    def key(self, uri: str) -> str:
        """Key of a URI of this bucket; a text without `s3://` is a key already."""
        if not uri.startswith("s3://"):
            return uri
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if bucket != self.bucket:
            raise UsageError(
                f"'{uri}': expected the configured bucket '{self.bucket}', found '{bucket}'. Set "
                "KAFKALAB_S3_BUCKET (and KAFKALAB_S3_ENDPOINT) to the store that holds it."
            )
        return key

    def local_path(self, key: str) -> Path | None:
        """An object, or the folder of a prefix, on this host's embedded server; else None."""
        if self.data_dir is None:
            return None
        path = self.data_dir / self.bucket / key
        return path if path.exists() else None

    def _alone(self, key: str, etag: str | None) -> AbstractContextManager[None]:
        if self.data_dir is None or etag is None:
            return nullcontext()
        return locks.alone(self.data_dir.parent / "locks", f"{self.bucket}/{key}")

    def _put_either(self, key: str, source: bytes | Path) -> str:
        if isinstance(source, bytes):
            return self.put_bytes(key, source)
        return self.put_file(key, source)

    def _put_once(self, key: str, body: IO[bytes], content_type: str | None) -> str:
        with s3.explained(self.place, f"write {key}"):
            try:
                self._bucket.put(key, body, content_type, {"IfNoneMatch": "*"})
            except ClientError as error:
                if not s3.is_conflict(error):
                    raise
                self._same_or_raise(key, body, error)
        return self.uri(key)

    def _same_or_raise(self, key: str, body: IO[bytes], error: ClientError) -> None:
        """Return when the key holds what was to be written; else raise."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as stored:
            if self._bucket.fetch(key, stored) is None:
                raise error  # 409: it is being written right now by someone else
            if digest_of(stored, "sha256") == digest_of(body, "sha256"):
                return
        raise StoreError(
            f"store: {self.uri(key)} already holds other bytes: what a run stores is written once "
            "and never replaced. Write under the next attempt instead."
        ) from error

    def _absent(self, key: str) -> StoreError:
        return StoreError(
            f"store: there is no {key} in {self.place}; see the URI for a typing error."
        )


def to_json(obj: object) -> bytes:
    """The one JSON form of documents in the store: readable, stable, strict."""
    return json.dumps(obj, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
