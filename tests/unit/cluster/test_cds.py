import shutil
import subprocess
from pathlib import Path

import pytest

from kafkalab.cluster import cds
from kafkalab.runtime import java


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path / "cache"))
    return cds.archive("3.9.2", [tmp_path / "a.jar"])


def run(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [str(java.java_binary()), "-XX:+UseSerialGC", *options, "--list-modules"]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_without_an_archive_one_broker_records_and_the_others_just_start(
    shared: Path, tmp_path: Path
) -> None:
    assert cds.options(shared, tmp_path / "l") == (f"-XX:DumpLoadedClassList={tmp_path / 'l'}",)
    assert cds.options(shared, None) == ()


def test_an_archive_belongs_to_a_version_and_its_jars(shared: Path, tmp_path: Path) -> None:
    assert shared == cds.archive("3.9.2", [tmp_path / "a.jar"])
    assert shared != cds.archive("3.9.1", [tmp_path / "a.jar"])
    assert shared != cds.archive("3.9.2", [tmp_path / "b.jar"])


def test_a_recording_becomes_an_archive_that_a_jvm_uses(shared: Path, tmp_path: Path) -> None:
    listing = tmp_path / cds.LISTING
    run(*cds.options(shared, listing))
    listing.write_text(listing.read_text() + "java/util/Has")  # killed while it wrote

    assert cds.write(shared, listing, [])
    assert (
        "source: shared objects file" in run(*cds.options(shared, None), "-Xlog:class+load").stdout
    )
    assert cds.write(shared, listing, [])


def test_a_runtime_of_another_checkout_uses_the_same_archive(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*cds.options(shared, tmp_path / cds.LISTING))
    assert cds.write(shared, tmp_path / cds.LISTING, [])
    other = tmp_path / "other"
    shutil.copytree(java.java_binary().parent.parent, other)
    monkeypatch.setenv(java.VARIABLE, str(other / "bin" / "java"))
    assert cds.archive("3.9.2", [tmp_path / "a.jar"]) == shared
    told = run(*cds.options(shared, None), "-Xshare:on", "-Xlog:class+load").stdout
    assert "source: shared objects file" in told
    later = shutil.copyfile(other / "lib" / "modules", tmp_path / "modules")
    (other / "lib" / "modules").unlink()
    Path(later).rename(other / "lib" / "modules")
    assert cds.archive("3.9.2", [tmp_path / "a.jar"]) != shared


def test_without_a_recording_nothing_is_written(shared: Path, tmp_path: Path) -> None:
    assert not cds.write(shared, tmp_path / "none", [])
    assert not shared.exists()


@pytest.mark.parametrize("content", [b"", b"not an archive" * 1000])
def test_a_damaged_archive_costs_time_only(shared: Path, content: bytes) -> None:
    shared.parent.mkdir(parents=True)
    shared.write_bytes(content)

    assert "java.base" in run(*cds.options(shared, None)).stdout
