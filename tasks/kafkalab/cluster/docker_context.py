"""Build contexts: what the host resolved, packed so that the same content is the same layer.

An image is built from a context that already holds wheels' content and jars, because a build must
not depend on what a container can reach: behind a company's proxy or on an isolated runner the host
reaches the registries and a container does not. Python packages are laid out by uv for the image's
Python, not the host's. Owner and permissions are normalized in the archive, so that two checkouts
share Docker's cache.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import paths

PYTHON = "3.11"  # of the base images
_GLIBC = "manylinux_2_28"  # the base images have 2.36
_INSTALL_S = 900
_SKIPPED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


@dataclass(frozen=True)
class Entry:
    """One file or folder of the host and its place in the context."""

    source: Path
    target: str


def pack(entries: Iterable[Entry], stream: IO[bytes]) -> None:
    """Write the entries as a tar archive, without caches and without this host's owners."""
    with tarfile.open(fileobj=stream, mode="w", dereference=True) as archive:
        for entry in entries:
            archive.add(entry.source, arcname=entry.target, filter=_normalized)


def site(requirements: str, *, locked: bool = True) -> Path:
    """A folder with packages for the image's Python, laid out once per requirements and lock.

    Args:
        requirements: lines of a requirements file.
        locked: take versions from requirements.lock; False: the lines carry the versions, as those
            of a client under test do, which need not be the lab's own.

    Raises:
        InfrastructureError: uv is missing, or the packages cannot be installed.
    """
    lock = paths.root() / "requirements.lock" if locked else None
    machine = platform.machine()
    locks = lock.read_text(encoding="utf-8") if lock else ""
    key = "\0".join((requirements, locks, machine, PYTHON))
    folder = paths.cache() / "images" / f"site-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".site-", dir=folder.parent))
    try:
        wanted = scratch / "requirements.txt"
        wanted.write_text(requirements, encoding="utf-8")
        _install(wanted, lock, scratch / "site", f"{machine}-{_GLIBC}")
        try:
            (scratch / "site").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster with the same content
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _install(wanted: Path, lock: Path | None, target: Path, machine: str) -> None:
    command = [_uv(), "pip", "install", "--quiet", "--target", str(target), "--link-mode", "copy"]
    command += ["--python-version", PYTHON, "--python-platform", machine]
    command += ["--only-binary", ":all:", "--requirement", str(wanted)]
    command += ["--constraint", str(lock)] if lock else []
    done = subprocess.run(
        [*command, "--python", sys.executable],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
        check=False,
    )
    if done.returncode != 0:
        raise InfrastructureError(
            f"expected uv to lay out the packages of an image, it says:\n{done.stderr.strip()}\n"
            "Check the network and requirements.lock."
        )


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = os.environ.get("UV") or shutil.which("uv") or (str(beside) if beside.exists() else None)
    if found is None:
        raise InfrastructureError(
            "expected uv, which lays out the Python packages of an image, found none on PATH or "
            "beside "
            f"{sys.executable}. Install it (`pip install uv`) or name it in the variable UV."
        )
    return found


def _normalized(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if Path(member.name).name in _SKIPPED:
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
