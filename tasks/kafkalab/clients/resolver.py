"""From a subject to something that runs: `NAME@VERSION` → the command that starts its driver.

Each client has one way to get any released version: a virtual environment for confluent-kafka,
Maven for kafka-clients. On the docker engine nothing is built here: images carry the version in
their tag. What a driver needs beside its client stands in the driver's folder, so that the image
and the host use the same.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from kafkalab.clients import venv
from kafkalab.model.errors import UsageError
from kafkalab.model.subject import DriverLaunch, Subject
from kafkalab.runtime import java, maven, paths
from kafkalab.runtime.pins import Pins

_HEAP_MB = 512
_JVM = ("-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")


def resolve_client(subject: Subject, pins: Pins, engine: str) -> DriverLaunch:
    """Make a client runnable and say how to start its driver.

    Args:
        subject: `NAME@VERSION`, a role in place of the version, or `defect:KIND`.
        pins: versions.toml.
        engine: `process` or `docker`.

    Raises:
        UsageError: no such client, version or defect; the nearest that exist are named.
        InfrastructureError: a registry cannot be reached.
    """
    if subject.name == "defect":
        return _defect(subject)
    if subject.name not in pins.clients:
        raise UsageError(_unknown(subject.name, list(pins.clients)))
    if subject.name not in _LAUNCHERS:
        raise UsageError(
            f"'{subject.name}' stands in versions.toml, but nothing here makes it runnable: "
            f"expected one of {', '.join(_LAUNCHERS)}. See docs/adding-a-client.md."
        )
    resolved = pins.resolve(subject)
    if resolved.version in ("oldest", "newest", "pinned"):
        raise UsageError(
            f"{subject}: versions.toml gives '{subject.name}' no role '{subject.version}': "
            f"use a version, for example {subject.name}@{pins.clients[subject.name]['pinned']}."
        )
    if engine == "docker":
        return DriverLaunch(resolved, (), image=_image(resolved, pins))
    return _LAUNCHERS[subject.name](resolved, pins)


def _confluent(subject: Subject, pins: Pins) -> DriverLaunch:
    driver = _driver_file(subject, pins)
    if _installed("confluent-kafka") == subject.version:
        python = Path(sys.executable)
    else:
        client = f"confluent-kafka=={subject.version}"
        python = venv.python_with(client, pins.needs(driver.parent / "requirements.txt"))
    return DriverLaunch(subject, (str(python), str(driver)))


def _kafka_clients(subject: Subject, pins: Pins) -> DriverLaunch:
    source = _driver_file(subject, pins).parent
    libraries = pins.needs(source / "libraries.txt")
    # Compiled against the pinned version whatever runs: one set of classes, as in the image.
    pinned = f"org.apache.kafka:kafka-clients:{pins.clients[subject.name]['pinned']}"
    classes = maven.compile_java(source, maven.resolve([pinned, *libraries]))
    wanted = f"org.apache.kafka:kafka-clients:{subject.version}"
    classpath = [classes, *maven.resolve([wanted, *libraries])]
    command = java.java_command(classpath, "Driver", heap_mb=_HEAP_MB, jvm=_JVM)
    return DriverLaunch(subject, tuple(command))


def _defect(subject: Subject) -> DriverLaunch:
    driver = paths.root() / "tests" / "defects" / "driver.py"
    if not driver.is_file():
        raise UsageError(
            f"{subject}: planted defects are part of the tests, expected {driver}. Run the lab "
            "from a checkout, or set KAFKALAB_ROOT to one."
        )
    return DriverLaunch(subject, (sys.executable, str(driver), subject.version))


_LAUNCHERS: dict[str, Callable[[Subject, Pins], DriverLaunch]] = {
    "confluent-kafka": _confluent,
    "kafka-clients": _kafka_clients,
}


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"unknown client '{name}': expected one of {', '.join(sorted(known))}.{hint}"


def _image(subject: Subject, pins: Pins) -> str:
    name = f"client-{subject.name}"
    if name not in pins.images:
        raise UsageError(f"{subject}: versions.toml has no image '{name}' under [images].")
    repository, _, tag = pins.images[name].rpartition(":")
    return f"{repository}:{subject.version}-{tag}"


def _driver_file(subject: Subject, pins: Pins) -> Path:
    path = paths.root() / pins.clients[subject.name]["driver"]
    if not path.is_file():
        raise UsageError(f"{subject}: versions.toml names the driver {path}, which is not there.")
    return path


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
