import subprocess
from pathlib import Path

import pytest

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import java


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_shipped_jre_runs_and_is_new_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(java.VARIABLE, raising=False)

    assert java.java_binary().is_file()
    assert 'version "21.' in java.java_version()


def test_a_command_has_heap_options_classpath_main_and_arguments() -> None:
    command = java.java_command([Path("/a.jar"), Path("/b")], "Main", "x", heap_mb=64, jvm=["-ea"])

    assert command[1:] == ["-Xmx64m", "-ea", "-cp", "/a.jar:/b", "Main", "x"]


def test_a_command_really_starts_the_jvm_with_its_heap() -> None:
    command = java.java_command([], "-version", heap_mb=32, jvm=["-XX:+PrintFlagsFinal"])
    done = subprocess.check_output([word for word in command if word not in ("-cp", "")])

    assert b"MaxHeapSize                              = 33554432" in done


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo 'openjdk version \"11.0.2\"' >&2", "found version 11"),
        ("echo 'java version \"1.8.0_202\"' >&2", "found version 8"),
        ("echo hello", "which is not a Java version"),
        ("exit 3", "it does not run"),
    ],
)
def test_a_wrong_java_is_refused_with_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    monkeypatch.setenv(java.VARIABLE, str(script(tmp_path / "java", text)))

    with pytest.raises(UsageError, match=words) as caught:
        java.java_binary()
    assert "17 or later" in str(caught.value)
    assert f"Unset {java.VARIABLE}" in str(caught.value)


def test_a_missing_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(java.VARIABLE, str(tmp_path / "none"))

    with pytest.raises(UsageError, match="found no such file"):
        java.java_binary()


def test_an_environment_without_the_jre_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(java.VARIABLE, raising=False)
    monkeypatch.setattr(java, "_shipped", lambda: tmp_path / "java")

    with pytest.raises(InfrastructureError, match="make setup"):
        java.java_binary()
