"""What the store promises of one object, against the real server; bad days are in system/."""

from __future__ import annotations

import math
import os

import pytest

from kafkalab.artifacts import s3
from kafkalab.artifacts.store import Conflict, Store, StoreError
from kafkalab.model.errors import InfrastructureError, UsageError

pytestmark = pytest.mark.system

KEY = "runs/w/b~2Fx/kafka@3.9.2/a+b=1/x.json"


def test_an_object_is_written_once(store):
    assert store.put_bytes(KEY, b"one") == f"s3://{store.bucket}/{KEY}"
    store.put_bytes(KEY, b"one")  # a retry
    with pytest.raises(StoreError, match="already holds other bytes"):
        store.put_bytes(KEY, b"two")
    assert store.get_bytes(KEY) == b"one"


def test_files_of_many_chunks_survive_and_are_written_once(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 40_000)  # 10 MB
    store.put_file(KEY, source)
    store.put_file(KEY, source)
    copy = store.get_file(KEY, tmp_path / "new" / "copy")
    assert copy.read_bytes() == source.read_bytes()
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]
    source.write_bytes(b"other")
    with pytest.raises(StoreError, match="already holds other bytes"):
        store.put_file(KEY, source)


def test_what_is_missing_is_said(store, tmp_path):
    assert store.get_with_etag(KEY) is None
    assert not store.exists(KEY)
    assert list(store.list("")) == []
    for read in (store.get_bytes, store.get_json, lambda key: store.get_file(key, tmp_path / "x")):
        with pytest.raises(StoreError, match=f"there is no {KEY.replace('+', '.')}"):
            read(KEY)
    assert list(tmp_path.iterdir()) == []


def test_json_is_strict(store):
    store.put_json(KEY, {"a": "é", "n": 1.5})
    assert store.get_json(KEY) == {"a": "é", "n": 1.5}
    with pytest.raises(ValueError, match="JSON"):
        store.put_json("x.json", {"a": math.nan})
    store.put_bytes("broken.json", b"{")
    with pytest.raises(StoreError, match="expected JSON"):
        store.get_json("broken.json")


def test_replacing_needs_the_version_that_was_read(store):
    with pytest.raises(Conflict):
        store.put_if(KEY, b"x", '"00000000000000000000000000000000"')
    first = store.put_if(KEY, b"one", None)
    with pytest.raises(Conflict):
        store.put_if(KEY, b"x", None)
    second = store.put_if(KEY, b"two", first)
    with pytest.raises(Conflict):
        store.put_if(KEY, b"x", first)
    assert store.get_with_etag(KEY) == (b"two", second)


def test_keys_are_listed_in_order_beyond_one_page(store):
    names = [f"many/{n:04}/x" for n in range(1_050)]
    for name in names:  # as files: 1,050 requests take seconds
        path = store.data_dir / store.bucket / name
        path.parent.mkdir(parents=True)
        path.touch()
    assert list(store.list("many/")) == names
    assert list(store.list("many/00")) == names[:100]
    assert list(store.folders("many/")) == [f"many/{n:04}/" for n in range(1_050)]


def test_uris_and_keys(store):
    assert store.key(store.uri(KEY)) == KEY
    assert store.key(KEY) == KEY
    with pytest.raises(UsageError, match="KAFKALAB_S3_BUCKET"):
        store.key("s3://elsewhere/x")


def test_objects_of_the_embedded_server_are_files(store, endpoint):
    store.put_bytes(KEY, b"one")
    path = store.local_path(KEY)
    assert path is not None
    assert path.read_bytes() == b"one"
    assert store.local_path("runs/w/") == store.data_dir / store.bucket / "runs/w"
    assert store.local_path("missing") is None
    remote = Store(endpoint.endpoint, store.bucket, endpoint.access_key, endpoint.secret_key)
    assert remote.local_path(KEY) is None


def test_refused_credentials(store, endpoint):
    for key, secret in ((endpoint.access_key, "wrong"), ("nobody", endpoint.secret_key)):
        other = Store(endpoint.endpoint, store.bucket, key, secret)
        with pytest.raises(StoreError, match="AWS_ACCESS_KEY_ID") as caught:
            other.put_bytes(KEY, b"x")
        assert endpoint.endpoint in str(caught.value)
        assert endpoint.secret_key not in str(caught.value)
        assert caught.value.refused
        with pytest.raises(StoreError, match="refused"):
            other.check()
        with pytest.raises(StoreError, match="refused"):
            other.exists(KEY)


def test_a_missing_bucket_is_told_from_a_missing_object(endpoint):
    other = Store(endpoint.endpoint, "not-there", endpoint.access_key, endpoint.secret_key)
    calls = (
        lambda: other.put_bytes(KEY, b"x"),
        lambda: other.get_bytes(KEY),
        lambda: list(other.list("")),
        lambda: other.exists(KEY),
        other.check,
    )
    for call in calls:
        with pytest.raises(StoreError, match=r"'not-there'.*KAFKALAB_S3_BUCKET"):
            call()


def test_an_endpoint_that_is_no_address_is_a_usage_error():
    with pytest.raises(UsageError, match="KAFKALAB_S3_ENDPOINT"):
        Store("not an address", "lab", "a", "b")


def test_the_environment_names_the_store(endpoint, monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path))
    named = Store.from_env({**endpoint.env(), "KAFKALAB_S3_BUCKET": "not-there"})
    assert (named.place.endpoint, named.bucket) == (endpoint.endpoint, "not-there")
    assert named.data_dir is None  # another home's server
    aws = Store.from_env({"KAFKALAB_S3_ENDPOINT": "aws", "AWS_REGION": "eu-west-1"})
    assert aws.place == s3.Place(None, "kafkalab")


def test_the_environment_of_this_home_needs_no_keys(endpoint, monkeypatch):
    monkeypatch.setenv("KAFKALAB_HOME", str(endpoint.data_dir.parents[1]))
    here = Store.from_env({"KAFKALAB_S3_ENDPOINT": endpoint.endpoint})
    here.check()
    assert here.data_dir == endpoint.data_dir


def test_an_object_that_was_damaged_on_disk_is_never_handed_out(store, tmp_path):
    store.put_bytes(KEY, b"one")
    path = store.local_path(KEY)
    with path.open("r+b") as file:
        file.write(b"two")
    copy = tmp_path / "copy"
    for read in (store.get_bytes, store.get_with_etag, lambda key: store.get_file(key, copy)):
        with pytest.raises(StoreError, match=f"{path.name} is damaged"):
            read(KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_cannot_be_written_is_not_the_stores_fault(store, tmp_path):
    store.put_bytes(KEY, b"one")
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match=r"could not write .*file/copy") as caught:
        store.get_file(KEY, tmp_path / "file" / "copy")
    assert not isinstance(caught.value, StoreError)


def test_an_object_copied_without_its_attributes_reads_but_is_not_replaced(store):
    store.put_bytes(KEY, b"one")
    path = store.local_path(KEY)
    for name in os.listxattr(path):
        os.removexattr(path, name)
    assert store.get_bytes(KEY) == b"one"
    with pytest.raises(StoreError, match="has no ETag"):
        store.get_with_etag(KEY)
