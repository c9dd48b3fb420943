"""Clients in Python: a virtual environment with one version each, built once and shared.

uv builds it where there is one, else `venv` and pip. Only wheels of a released client are taken: a
build from source would link whatever library the host happens to have. A checkout is built from
source, as its own project says.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

from kafkalab.clients import builds, versions
from kafkalab.clients.builds import FOLDER, PYTHON, Builder, Made, Order
from kafkalab.clients.command import BuildLog, run
from kafkalab.clients.once import once
from kafkalab.clients.toolchain import pip_install, uv
from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import paths


def identity(order: Order) -> str:
    """The interpreter, and whether its environment is the lab's own."""
    return f"{sys.version} {_lab_has(order)}"


def make(order: Order, folder: Path, log: BuildLog) -> Made:
    """An environment with the client, and the driver beside its kit."""
    python = PYTHON if _lab_has(order) else str(_environment(order, log))
    builds.copy_sources(order, folder)
    if order.kit:
        shutil.copytree(order.kit, folder, dirs_exist_ok=True)
    return Made((python, f"{FOLDER}/driver.py"), () if python == PYTHON else (python,))


def known_versions(package: str) -> list[str]:
    """Versions that the registry has, oldest first.

    Raises:
        InfrastructureError: it does not answer.
    """
    log, found = BuildLog(), uv()
    pip = [*found, "tool", "run", "-q", "pip"] if found else [sys.executable, "-m", "pip"]
    done = run(log, [*pip, "index", "versions", package])
    listed = re.search(r"Available versions: (.+)", done.stdout)
    if not listed:
        raise InfrastructureError(
            f"{package}: expected the package registry to list its versions, found:\n{log.tail()}\n"
            "Check the network and try again; versions that were built before need none."
        )
    return versions.ordered(version.strip() for version in listed[1].split(","))


def _lab_has(order: Order) -> bool:
    """Whether the lab's own environment has exactly what the driver needs."""
    wanted = [f"{order.package}=={order.source.release}", *order.needs, *order.extra]
    return all(_installed(*requirement.split("==")) for requirement in wanted)


def _installed(name: str, version: str = "") -> bool:
    try:
        return metadata.version(name) == version
    except metadata.PackageNotFoundError:
        return False


def _environment(order: Order, log: BuildLog) -> Path:
    """The interpreter of an environment that has the client and what the driver needs."""
    key = json.dumps(
        [sys.version, order.package, order.source.identity(), *order.needs, *order.extra]
    )
    folder = paths.cache() / "python" / hashlib.sha256(key.encode()).hexdigest()[:24]
    return once(folder, lambda scratch: _install(order, scratch, log)) / "bin" / "python"


def _install(order: Order, scratch: Path, log: BuildLog) -> None:
    found = uv()
    make_it = (
        [*found, "venv", "-q", "--allow-existing", "--python", sys.executable]
        if found
        else [sys.executable, "-m", "venv"]
    )
    if run(log, [*make_it, str(scratch)]).returncode:
        raise InfrastructureError(f"a virtual environment cannot be made:\n{log.tail()}")
    command = pip_install(scratch / "bin" / "python")
    if order.source.release:
        client = ["--only-binary", order.package, f"{order.package}=={order.source.release}"]
    else:
        # uv would take the wheel that it made of this folder before, whatever changed since
        fresh = ["--refresh-package", order.package] if found else ["--no-cache-dir"]
        client = [*fresh, str(order.source.folder)]
    if run(log, [*command, *client, *order.needs, *order.extra]).returncode:
        raise builds.absent(order, BUILDER, log)


BUILDER = Builder(identity, make, known_versions)
