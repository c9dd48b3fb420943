"""Clients in Go: the driver compiled with one version of the client, by the Go of a wheel.

The driver's go.mod pins what it needs beside the client; the client's own requirement is replaced
by the wanted release or checkout, and Go's minimal version selection does the rest.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kafkalab.clients import builds, toolchain, versions
from kafkalab.clients.builds import FOLDER, Builder, Made, Order
from kafkalab.clients.command import BuildLog, run
from kafkalab.model.errors import InfrastructureError

# No other toolchain is downloaded, no C compiler is asked for, go.mod may be completed.
_ENV = {
    "GOFLAGS": "-mod=mod",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    "CGO_ENABLED": "0",
    "GOROOT": "",
}
_BINARY = "driver"


def identity(_order: Order) -> str:
    """The wheel that Go comes from."""
    return toolchain.pinned("go")


def make(order: Order, folder: Path, log: BuildLog) -> Made:
    """Compile the driver."""
    builds.copy_sources(order, folder)
    if order.kit:
        shutil.copytree(order.kit, folder / "kit", dirs_exist_ok=True)
    if order.source.folder:
        got = _go(
            log, ["mod", "edit", f"-replace={order.package}={order.source.folder}"], folder
        ) or _go(log, ["mod", "tidy"], folder)
    else:
        got = _go(log, ["get", f"{order.package}@{_tag(order.source.release)}"], folder)
    if got:
        raise builds.absent(order, BUILDER, log)
    # A driver may look at the client that it was given: Go cannot ask for a function at run time.
    if _go(log, ["generate", "."], folder):
        raise log.failure(f"cannot build {order.subject}: its driver's `go generate` failed.")
    if _go(log, ["build", "-trimpath", "-o", _BINARY, "."], folder):
        raise log.failure(f"cannot build {order.subject}: its driver does not compile.")
    return Made((f"{FOLDER}/{_BINARY}",))


def known_versions(package: str) -> list[str]:
    """Versions that the module proxy has, oldest first, without their `v`.

    Raises:
        InfrastructureError: it does not answer.
    """
    log = BuildLog()
    with tempfile.TemporaryDirectory() as nowhere:
        asked = [str(toolchain.go()), "list", "-m", "-versions", package]
        done = run(log, asked, cwd=Path(nowhere), env=_ENV)
    listed = done.stdout.split()[1:]
    if done.returncode or not listed:
        raise InfrastructureError(
            f"{package}: expected the module proxy to list its versions, found:\n{log.tail()}\n"
            "Check the network and try again; versions that were built before need none."
        )
    return versions.ordered(version.removeprefix("v") for version in listed)


def _tag(release: str) -> str:
    return f"v{release}" if release[:1].isdigit() else release


def _go(log: BuildLog, arguments: Sequence[str], folder: Path) -> int:
    return run(log, [str(toolchain.go()), *arguments], cwd=folder, env=_ENV).returncode


BUILDER = Builder(identity, make, known_versions)
