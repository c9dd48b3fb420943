"""What goes into a build context."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from kafkalab.cluster import docker_context
from kafkalab.cluster.docker_context import Entry
from kafkalab.model.errors import InfrastructureError


def packed(*entries: Entry) -> dict[str, tarfile.TarInfo]:
    stream = io.BytesIO()
    docker_context.pack(entries, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        return {member.name: member for member in archive.getmembers()}


def test_a_context_holds_no_caches_and_no_owner_of_this_host(tmp_path: Path) -> None:
    (tmp_path / "package" / "__pycache__").mkdir(parents=True)
    (tmp_path / "package" / "__pycache__" / "a.pyc").write_bytes(b"x")
    (tmp_path / "package" / "a.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "package" / "a.py").chmod(0o600)
    (tmp_path / "package" / "tool").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "package" / "tool").chmod(0o700)
    members = packed(Entry(tmp_path / "package", "app/package"))
    assert set(members) == {"app/package", "app/package/a.py", "app/package/tool"}
    assert members["app/package/a.py"].mode == 0o644
    assert members["app/package/tool"].mode == 0o755
    assert {(m.uid, m.gid, m.uname) for m in members.values()} == {(0, 0, "root")}


def test_a_link_is_packed_as_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "real.jar").write_bytes(b"jar")
    (tmp_path / "link.jar").symlink_to(tmp_path / "real.jar")
    assert packed(Entry(tmp_path / "link.jar", "libs/a.jar"))["libs/a.jar"].isfile()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    (tmp_path / "requirements.lock").write_text("packaging==24.0\n", encoding="utf-8")
    monkeypatch.setenv("KAFKALAB_ROOT", str(tmp_path))
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path / "cache"))
    return tmp_path


def fake_uv(folder: Path, script: str) -> str:
    """A program in the place of uv: what uv does has its own tests, and it needs a network."""
    path = folder / "uv"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


_LAY_OUT = """
while [ $# -gt 0 ]; do
  case $1 in --target) mkdir -p "$2"; target=$2; shift;; --constraint) constraint=$2; shift;; esac
  shift
done
echo "${constraint:-none}" > "$target/constraint"
"""


def test_packages_are_laid_out_once_per_requirements_and_lock(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", fake_uv(lab, _LAY_OUT))
    first = docker_context.site("packaging\n")
    assert (first / "constraint").read_text(encoding="utf-8").strip().endswith("requirements.lock")
    monkeypatch.setenv("UV", fake_uv(lab, "exit 1"))
    assert docker_context.site("packaging\n") == first, "kept"
    with pytest.raises(InfrastructureError):
        docker_context.site("other\n")
    (lab / "requirements.lock").write_text("packaging==25.0\n", encoding="utf-8")
    with pytest.raises(InfrastructureError):
        docker_context.site("packaging\n")


def test_a_client_under_test_is_not_held_to_the_lock(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", fake_uv(lab, _LAY_OUT))
    folder = docker_context.site("confluent-kafka==2.6.0\n", locked=False)
    assert (folder / "constraint").read_text(encoding="utf-8").strip() == "none"


def test_what_uv_says_is_told_and_nothing_half_done_stays(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", fake_uv(lab, "echo 'no such package' >&2; exit 1"))
    with pytest.raises(InfrastructureError, match="no such package"):
        docker_context.site("nowhere\n")
    assert list((lab / "cache" / "images").iterdir()) == []


def test_a_missing_uv_is_named(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(lab))
    monkeypatch.setattr("sys.executable", str(lab / "python"))
    with pytest.raises(InfrastructureError, match="expected uv"):
        docker_context.site("packaging\n")
