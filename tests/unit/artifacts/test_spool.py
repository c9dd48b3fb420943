"""What cannot be stored stays on disk, whole, in the right order, and says so when it cannot."""

from __future__ import annotations

import pytest

from kafkalab.artifacts import spool
from kafkalab.artifacts.s3 import StoreError
from kafkalab.model.errors import InfrastructureError


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path / "home"))


def test_an_empty_spool_has_nothing_waiting():
    assert list(spool.waiting()) == []


def test_manifests_wait_until_all_else(tmp_path):
    big = tmp_path / "z.parquet"
    big.write_bytes(b"z")
    sources = {"r/a/manifest.json": b"m", "r/a/verdict.json": b"v", "r/z.parquet": big, "r/b": b"b"}
    for key, source in sources.items():
        spool.keep(key, source)
    (spool.folder() / "r" / ".partial-1").write_bytes(b"half")
    assert [key for key, _ in spool.waiting()] == [
        "r/b",
        "r/z.parquet",
        "r/a/verdict.json",
        "r/a/manifest.json",
    ]


def test_what_is_stored_leaves_no_folders_behind():
    path = spool.keep("r/a/b/x", b"x")
    other = spool.keep("r/y", b"y")
    spool.drop(path)
    assert [p.name for p in spool.folder().rglob("*")] == ["r", "y"]
    spool.drop(other)
    assert list(spool.folder().iterdir()) == []


def test_a_spool_that_cannot_be_written_names_what_is_lost(tmp_path):
    source = tmp_path / "x"
    source.write_bytes(b"x")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "spool").write_text("a file where the folder should be")
    with pytest.raises(InfrastructureError, match=f"only copy is {source}"):
        spool.keep("r/x", source)
    with pytest.raises(InfrastructureError, match="it is lost"):
        spool.keep("r/x", b"x")


def test_a_manifest_never_vouches_for_what_was_refused(tmp_path):
    stored: list[str] = []

    def put(key: str, _source: object) -> None:
        if key.endswith("history.parquet"):
            raise StoreError(f"{key} already holds other bytes")
        stored.append(key)

    at = "runs/r/correctness/attempt=1/C01"
    names = ("history.parquet", "logs/a.log", "verdict.json", "manifest.json")
    with pytest.raises(StoreError, match="2 of 4 artifacts wait on disk"):
        spool.put_all({f"{at}/{name}": b"x" for name in names}, put)
    assert stored == [f"{at}/logs/a.log", f"{at}/verdict.json"]

    spool.keep("runs/r/gate/attempt=1/manifest.json", b"m")
    stored.clear()
    with pytest.raises(StoreError, match=f"{at}/manifest.json: what it names could not be stored"):
        spool.flush(put)
    assert stored == ["runs/r/gate/attempt=1/manifest.json"], "others' manifests are none the worse"
