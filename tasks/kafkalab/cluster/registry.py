"""Which engine a run uses: a literal table, and the rule for `auto`."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import cast

from kafkalab.cluster.engine import Engine
from kafkalab.model.errors import LabError, UsageError

AUTO = "auto"
# name → module:class. Imported on use: the Docker SDK costs 0.3 s that the process engine need not
# pay.
ENGINES = MappingProxyType(
    {
        "process": "kafkalab.cluster.process:ProcessEngine",
        "docker": "kafkalab.cluster.docker_engine:DockerEngine",
    }
)


def select_engine(name: str) -> Engine:
    """The engine of that name, seen to work on this host as far as that is cheap to see.

    `auto` takes docker where a daemon answers and the lab's images are built, else process.

    Raises:
        UsageError: there is no such engine, or it cannot be used on this host; says what to do.
    """
    if name == AUTO:
        return _docker_if_usable() or _load("process")
    if name not in ENGINES:
        raise UsageError(
            f"unknown engine '{name}': expected {AUTO}, {' or '.join(ENGINES)}. `{AUTO}` takes "
            f"docker where a daemon answers and the lab's images are built, else process."
        )
    engine = _load(name)
    problem = _problem(engine)
    if problem:
        raise UsageError(
            f"the {name} engine cannot be used on this host: {problem} Or take the engine "
            f"`process`, which needs Python only; `{AUTO}` does that by itself."
        )
    return engine


def _docker_if_usable() -> Engine | None:
    try:
        engine = _load("docker")
        return None if _problem(engine) else engine
    except (LabError, ImportError):
        return None  # no Docker SDK, or no daemon: the rule of `auto`


def _load(name: str) -> Engine:
    module, _, attribute = ENGINES[name].partition(":")
    return cast("Engine", getattr(import_module(module), attribute)())


def _problem(engine: Engine) -> str:
    """Why an engine cannot be used here, as a sentence; empty when it can."""
    try:
        engine.capabilities()
    except LabError as error:
        return str(error)
    return ""
