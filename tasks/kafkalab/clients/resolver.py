"""From a subject to something that runs: `NAME@VERSION` → the command that starts its driver.

A client is a row of versions.toml: its driver, the name of its package, and the runtime that says
how it is built (`BUILDERS`). On the docker engine nothing is built here: images carry the version
in their tag. What a driver needs beside its client stands in the driver's folder, so that the image
and the host use the same.
"""

from __future__ import annotations

import difflib
import sys
from importlib import import_module
from types import MappingProxyType
from typing import cast

from kafkalab.clients import builds
from kafkalab.clients.builds import Builder, Order
from kafkalab.clients.sources import settle, source_of
from kafkalab.model.errors import UsageError
from kafkalab.model.subject import DriverLaunch, Subject
from kafkalab.runtime import paths
from kafkalab.runtime.pins import Pins

# runtime → module with its BUILDER, and the file of a driver's folder that lists what it needs
BUILDERS = MappingProxyType(
    {
        "python": ("kafkalab.clients.build_python", "requirements.txt"),
        "java": ("kafkalab.clients.build_java", "libraries.txt"),
        "node": ("kafkalab.clients.build_node", ""),  # package.json, which npm reads
        "go": ("kafkalab.clients.build_go", ""),  # go.mod, which go reads
    }
)
_ROLES = ("oldest", "newest", "pinned")


def resolve_client(subject: Subject, pins: Pins, engine: str) -> DriverLaunch:
    """Make a client runnable and say how to start its driver.

    Args:
        subject: `NAME@VERSION`, a role in place of the version, `NAME@path:DIR`,
            `NAME@git:REPO#REF`, `NAME@image:REF`, or `defect:KIND`.
        pins: versions.toml.
        engine: `process` or `docker`.

    Raises:
        UsageError: no such client, version or defect; the nearest that exist are named.
        BuildError: it exists, and does not install, compile or load here.
        InfrastructureError: a registry cannot be reached.
    """
    if subject.name == "defect":
        return _defect(subject)
    resolved = settled(subject, pins)
    if engine == "docker":
        return DriverLaunch(resolved, (), image=_image(resolved, pins))
    if resolved.version.startswith("image:"):
        raise UsageError(
            f"{resolved}: an image runs on the docker engine only; this run uses '{engine}'. Use "
            "--engine docker, or a version, a path or a git reference."
        )
    return builds.launch(order_of(resolved, pins), builder_of(resolved, pins))


def settled(subject: Subject, pins: Pins) -> Subject:
    """The client or broker with its role, relative path or branch replaced by what it means now."""
    if subject.name == "defect" or subject.name in pins.brokers:
        return pins.resolve(subject)
    if subject.name not in pins.clients:
        raise UsageError(_unknown(subject.name, list(pins.clients)))
    resolved = settle(pins.resolve(subject))
    if resolved.version in _ROLES:
        raise UsageError(
            f"{subject}: versions.toml gives '{subject.name}' no role '{subject.version}': "
            f"use a version, for example {subject.name}@{pins.clients[subject.name]['pinned']}."
        )
    return resolved


def order_of(subject: Subject, pins: Pins) -> Order:
    """What has to be built for a settled subject; raises `UsageError` when its row is wrong."""
    row = pins.clients[subject.name]
    driver = paths.root() / row["driver"]
    if not driver.exists():
        raise UsageError(f"{subject}: versions.toml names the driver {driver}, which is not there.")
    folder = driver if driver.is_dir() else driver.parent
    kit = folder.parent / f"kit-{row['runtime']}"
    needs_file = BUILDERS[_runtime(subject, pins)][1]
    return Order(
        subject=subject,
        package=row["package"],
        source=source_of(subject),
        driver=folder,
        pinned=row["pinned"],
        kit=kit if kit.is_dir() else None,
        needs=pins.needs(folder / needs_file) if needs_file else (),
        extra=tuple(row.get("beside", {}).get(subject.version, ())),
    )


def builder_of(subject: Subject, pins: Pins) -> Builder:
    """How clients of its runtime are built."""
    module, _ = BUILDERS[_runtime(subject, pins)]
    return cast("Builder", import_module(module).BUILDER)


def _runtime(subject: Subject, pins: Pins) -> str:
    runtime = str(pins.clients[subject.name].get("runtime"))
    if runtime not in BUILDERS:
        raise UsageError(
            f"versions.toml: [clients.{subject.name}] has the runtime '{runtime}', which nothing "
            f"here builds: expected one of {', '.join(BUILDERS)}. See docs/adding-a-client.md."
        )
    return runtime


def _defect(subject: Subject) -> DriverLaunch:
    driver = paths.root() / "tests" / "defects" / "driver.py"
    if not driver.is_file():
        raise UsageError(
            f"{subject}: planted defects are part of the tests, expected {driver}. Run the lab "
            "from a checkout, or set KAFKALAB_ROOT to one."
        )
    return DriverLaunch(subject, (sys.executable, str(driver), subject.version))


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"unknown client '{name}': expected one of {', '.join(sorted(known))}.{hint}"


def _image(subject: Subject, pins: Pins) -> str:
    kind, _, where = subject.version.partition(":")
    if kind == "image":
        return where
    if where:
        raise UsageError(
            f"{subject}: the docker engine runs images. Build one of this driver with that client "
            f"and name it ({subject.name}@image:REF), or use --engine process."
        )
    name = f"client-{subject.name}"
    if name not in pins.images:
        raise UsageError(f"{subject}: versions.toml has no image '{name}' under [images].")
    repository, _, tag = pins.images[name].rpartition(":")
    return f"{repository}:{subject.version}-{tag}"
