"""Clients in JavaScript: the driver's folder with the client in its node_modules, on Node's wheel.

A checkout is built as its own project says (`npm install`, `npm run build` where there is one) in a
copy, packed, and installed like a release: what is tested is what would be published.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from kafkalab.clients import builds, toolchain, versions
from kafkalab.clients.builds import FOLDER, Builder, Made, Order
from kafkalab.clients.command import BuildLog, run
from kafkalab.model.errors import InfrastructureError

_QUIET = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
_UNWANTED = shutil.ignore_patterns("node_modules", ".git")


def identity(_order: Order) -> str:
    """The wheel that Node comes from."""
    return toolchain.pinned("node")


def make(order: Order, folder: Path, log: BuildLog) -> Made:
    """Install the client beside the driver."""
    builds.copy_sources(order, folder)
    if order.source.folder:
        client = str(_packed(order, order.source.folder, folder, log))
    else:
        client = f"{order.package}@{order.source.release}"
    install = ["install", "--save-exact", *_QUIET, client, *order.extra]
    if _npm(log, install, folder):
        raise builds.absent(order, BUILDER, log)
    node = str(toolchain.node())
    return Made((node, f"{FOLDER}/driver.mjs"), (node,))


def known_versions(package: str) -> list[str]:
    """Versions that the registry has, oldest first.

    Raises:
        InfrastructureError: it does not answer.
    """
    log = BuildLog()
    done = run(log, [*toolchain.npm(), "view", package, "versions", "--json"], env=_env())
    try:
        listed = json.loads(done.stdout)
    except ValueError:
        listed = None
    if done.returncode or not isinstance(listed, list):
        raise InfrastructureError(
            f"{package}: expected the package registry to list its versions, found:\n{log.tail()}\n"
            "Check the network and try again; versions that were built before need none."
        )
    return versions.ordered(listed)


def _packed(order: Order, source: Path, folder: Path, log: BuildLog) -> Path:
    if not (source / "package.json").is_file():
        raise log.failure(f"cannot build {order.subject}: {source} has no package.json.")
    copy = folder / ".source"
    shutil.copytree(source, copy, ignore=_UNWANTED, symlinks=True)
    for arguments in (
        ["install", *_QUIET, "--ignore-scripts"],
        ["run", "build", "--if-present"],
        ["pack", "--pack-destination", str(folder)],
    ):
        if _npm(log, arguments, copy):
            raise log.failure(
                f"cannot build {order.subject}: `npm {arguments[0]}` fails in its checkout."
            )
    shutil.rmtree(copy)
    return next(folder.glob("*.tgz"))


def _npm(log: BuildLog, arguments: Sequence[str], folder: Path) -> int:
    return run(log, [*toolchain.npm(), *arguments], cwd=folder, env=_env()).returncode


def _env() -> dict[str, str]:
    """Scripts of packages must find the Node that will run them."""
    beside = str(toolchain.node().parent)
    return {"PATH": os.pathsep.join([beside, os.environ.get("PATH", "")])}


BUILDER = Builder(identity, make, known_versions)
