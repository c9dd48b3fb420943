"""One build of a client with its driver: content-addressed, made once, seen to load.

    cache()/builds/<key>/     the driver's folder, the kit of its runtime, what was compiled
        launch.json           how to start it, and the `hello` that it gave when it was built
        build.log             what the package managers and compilers said

The key covers everything that goes in: the client's release or the content of its checkout, the
driver and its kit, what the driver needs beside the client, the version of the runtime. So the
same folder serves every run, an edited driver is another build, and nothing has to be expired to
be right.

A build counts only when its driver was started and said `hello`. What does not install, compile or
load raises `BuildError`; no folder is left of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kafkalab.clients import sources
from kafkalab.clients.command import BuildLog
from kafkalab.clients.driver import Driver
from kafkalab.clients.once import once
from kafkalab.clients.sources import Source
from kafkalab.model.errors import BuildError, DriverError, UsageError
from kafkalab.model.subject import DriverLaunch, Subject
from kafkalab.runtime import java, paths
from kafkalab.runtime.files import read_json, replace_json

FORMAT = 2  # of launch.json, and of what builders leave
# In a builder's command line: the folder of the build, and what each lab has at a place of its own.
FOLDER = "{folder}"
PYTHON = "{python}"
JAVA = "{java}"
LAUNCH = "launch.json"
LOG = "build.log"
_HELLO_S = 60.0


@dataclass(frozen=True)
class Order:
    """What is to be built."""

    subject: Subject  # settled
    package: str  # name in its registry
    source: Source
    driver: Path  # folder with the driver's sources
    pinned: str  # the client's pinned version
    kit: Path | None = None  # folder of what drivers of one runtime share
    needs: tuple[str, ...] = ()  # packages beside the client
    extra: tuple[str, ...] = ()  # what this one version needs beside it, to be complete


@dataclass(frozen=True)
class Made:
    """What a builder leaves."""

    argv: tuple[str, ...]  # starts the driver; FOLDER, PYTHON and JAVA stand for what they name
    outside: tuple[str, ...] = ()  # files elsewhere in the cache that it needs


@dataclass(frozen=True)
class Builder:
    """How clients of one runtime are built: `clients/build_<runtime>.py`."""

    identity: Callable[[Order], str]  # version of everything that is not in the order
    make: Callable[[Order, Path, BuildLog], Made]  # fill a folder
    versions: Callable[[str], Sequence[str]]  # package → versions in its registry, oldest first


@dataclass(frozen=True)
class Launch:
    """The content of launch.json."""

    format: int
    key: str
    subject: str  # as it was asked for
    driver: str  # digest of the driver's sources and its kit
    argv: tuple[str, ...]
    outside: tuple[str, ...] = ()
    hello: Mapping[str, Any] = field(default_factory=dict)


def folder_of(order: Order, builder: Builder) -> Path:
    """The folder of a build, made where it is not there yet.

    Raises:
        UsageError: there is no such version; the nearest are named.
        BuildError: it does not install, compile or load.
        InfrastructureError: its registry cannot be reached.
    """
    key = _key(order, builder)
    folder = paths.cache() / "builds" / key
    if folder.is_dir() and not _whole(folder):
        shutil.rmtree(folder)
    return once(folder, lambda scratch: _make(order, builder, key, scratch))


def launch(order: Order, builder: Builder) -> DriverLaunch:
    """How to start the driver of a client; raises as `folder_of` does."""
    folder = folder_of(order, builder)
    made = read_launch(folder)
    if made is None:
        raise BuildError(f"{folder}: expected {LAUNCH} of a finished build, found none: remove it.")
    argv = _argv(made.argv, folder)
    capabilities = frozenset(made.hello.get("capabilities", ()))
    return DriverLaunch(order.subject, argv, capabilities=capabilities)


def current(order: Order) -> list[Launch]:
    """Builds in the cache of an order's client, in any version, with the driver as it is now."""
    folders = sorted((paths.cache() / "builds").glob("[!.]*/"))
    found = (read_launch(folder) for folder in folders)
    name, driver = f"{order.subject.name}@", _driver_digest(order)
    return [m for m in found if m and m.driver == driver and m.subject.startswith(name)]


def read_launch(folder: Path) -> Launch | None:
    """What a finished build says of itself; None where there is none, or one of another format."""
    raw = read_json(folder / LAUNCH)
    if raw.get("format") != FORMAT:
        return None
    return Launch(**{**raw, "argv": tuple(raw["argv"]), "outside": tuple(raw["outside"])})


def copy_sources(order: Order, folder: Path) -> None:
    """Put the driver's sources into the build folder, for builders."""
    unwanted = shutil.ignore_patterns("node_modules", "__pycache__", "Dockerfile")
    shutil.copytree(order.driver, folder, dirs_exist_ok=True, ignore=unwanted)


def absent(order: Order, builder: Builder, log: BuildLog) -> Exception:
    """Why getting a release failed: it does not exist (its neighbours are named), or else."""
    from kafkalab.clients.versions import nearest

    if order.source.release:
        known = builder.versions(order.package)
        if order.source.release not in known:
            near = ", ".join(nearest(order.source.release, known))
            return UsageError(
                f"{order.subject.name} has no version {order.source.release}: the nearest are "
                f"{near}."
            )
    return log.failure(f"cannot build {order.subject}: expected it to install, it does not.")


def _whole(folder: Path) -> bool:
    """Whether a build has all that it needs: parts of the cache may have been removed."""
    made = read_launch(folder)
    return made is not None and all(Path(path).exists() for path in made.outside)


def _argv(argv: Sequence[str], folder: Path) -> tuple[str, ...]:
    """A builder's command line for this lab: the cache is shared, its environment is not."""
    places = {FOLDER: str(folder), PYTHON: sys.executable}
    if argv[0] == JAVA:
        places[JAVA] = str(java.java_binary())
    for name, place in places.items():
        argv = [part.replace(name, place) for part in argv]
    return tuple(argv)


def _key(order: Order, builder: Builder) -> str:
    content = {
        "format": FORMAT,
        "name": order.subject.name,
        "package": order.package,
        "source": order.source.identity(),
        "driver": _driver_digest(order),
        "needs": [*order.needs, *order.extra],
        "builder": builder.identity(order),
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _driver_digest(order: Order) -> str:
    return sources.digest([order.driver, *([order.kit] if order.kit else [])])


def _make(order: Order, builder: Builder, key: str, folder: Path) -> None:
    log = BuildLog()
    log.add(f"# {order.subject}")
    made = builder.make(order, folder, log)
    hello = _hello(order, _argv(made.argv, folder), folder, log)
    driver = _driver_digest(order)
    content = Launch(FORMAT, key, str(order.subject), driver, made.argv, made.outside, hello)
    (folder / LOG).write_text(log.text, encoding="utf-8")
    replace_json(folder / LAUNCH, asdict(content))


def _hello(order: Order, argv: Sequence[str], folder: Path, log: BuildLog) -> dict[str, Any]:
    """Start the driver once: a client that does not load is not built."""
    stderr = folder / "hello.log"
    try:
        driver = Driver.start(argv, {}, f"{order.subject}", lambda _: None, stderr, _HELLO_S)
        hello = dict(driver.hello)
        driver.terminate()
    except DriverError as error:
        log.add(stderr.read_text(encoding="utf-8", errors="replace") if stderr.exists() else "")
        log.add(str(error))
        raise log.failure(
            f"cannot build {order.subject}: it installs, but its driver does not load here."
        ) from error
    for name in ("t", "pid", "wall_ns"):  # of that one process
        hello.pop(name, None)
    return hello
