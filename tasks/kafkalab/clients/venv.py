"""Virtual environments with one version of a Python client each, built once and shared.

An environment is built in a scratch folder under a lock and renamed when it is complete, so a
half-finished one is never used. uv builds it where there is one, else `venv` and pip. Only wheels
of the client are taken: a build from source would link whatever library the host happens to have.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import paths

_BUILD_S = 300.0
_NEAREST = 5
_NO_NETWORK = re.compile(
    r"Failed to fetch|error sending request|Connection|Temporary failure|Name or service|timed out",
    re.IGNORECASE,
)


def python_with(client: str, others: Sequence[str] = ()) -> Path:
    """The interpreter of an environment that has `client` (NAME==VERSION) and `others`.

    Raises:
        UsageError: the version does not exist (the nearest are named) or does not install.
        InfrastructureError: the package registry cannot be reached.
    """
    key = json.dumps([sys.version, client, *sorted(others)])
    folder = paths.cache() / "clients" / hashlib.sha256(key.encode()).hexdigest()[:24]
    python = folder / "bin" / "python"
    if python.exists():
        return python
    from filelock import FileLock, Timeout

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{folder}.lock", timeout=_BUILD_S * 2)
    try:
        with lock:
            if not python.exists():
                _build(folder, client, others)
    except Timeout as error:
        raise InfrastructureError(
            f"{lock.lock_file}: expected another process to finish this environment within "
            f"{_BUILD_S * 2:g} s, it did not. End that process and try again."
        ) from error
    return python


def _build(folder: Path, client: str, others: Sequence[str]) -> None:
    name = client.partition("==")[0]
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        uv = _uv()
        if uv:
            _run([*uv, "venv", "-q", "--allow-existing", "--python", sys.executable, str(scratch)])
            install = [*uv, "pip", "install", "-q", "--python", str(scratch / "bin" / "python")]
        else:
            _run([sys.executable, "-m", "venv", str(scratch)])
            install = [str(scratch / "bin" / "python"), "-m", "pip", "install", "-q"]
        done = _run([*install, "--only-binary", name, client, *others], check=False)
        if done.returncode != 0:
            raise _failure(client, done.stderr, uv, scratch)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _failure(client: str, words: str, uv: Sequence[str], scratch: Path) -> Exception:
    if _NO_NETWORK.search(words):
        return InfrastructureError(
            f"{client}: expected the package registry to answer, found:\n{words.strip()[-1500:]}\n"
            "Check the network and try again; versions that were installed before need none."
        )
    name, _, version = client.partition("==")
    known = _available(name, uv, scratch)
    if known and version not in known:
        return UsageError(
            f"{name} has no version {version}: the nearest are {', '.join(_near(version, known))}."
        )
    return UsageError(
        f"{client}: expected it to install for Python {sys.version.split()[0]}, it does not:\n"
        f"{words.strip()[-1500:]}\nTake another version, or another Python."
    )


def _available(name: str, uv: Sequence[str], scratch: Path) -> list[str]:
    pip = [*uv, "tool", "run", "-q", "pip"] if uv else [str(scratch / "bin/python"), "-m", "pip"]
    done = _run([*pip, "index", "versions", name], check=False)
    found = re.search(r"Available versions: (.+)", done.stdout)
    return [version.strip() for version in found[1].split(",")] if found else []


def _near(version: str, known: Sequence[str]) -> list[str]:
    """The versions that stand next to a wrong one; the newest when it is no version at all."""
    ordered = sorted(known, key=Version)
    try:
        place = sum(1 for each in ordered if Version(each) < Version(version))
    except InvalidVersion:
        place = len(ordered)
    start = max(0, min(place - _NEAREST // 2, len(ordered) - _NEAREST))
    return ordered[start : start + _NEAREST]


def _uv() -> list[str]:
    """How to start uv; empty where there is none."""
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    return [program] if program else []


def _run(command: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_S,
            check=check,
        )
    except subprocess.CalledProcessError as error:
        raise InfrastructureError(
            f"{' '.join(command)}: expected it to succeed, it says:\n{error.stderr[-1500:]}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"{' '.join(command)}: expected it to end within {_BUILD_S:g} s, it did not."
        ) from error
