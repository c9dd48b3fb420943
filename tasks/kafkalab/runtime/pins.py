"""Every pinned version, read from docker/versions.toml: brokers, clients, artifacts, images."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kafkalab.model.errors import UsageError
from kafkalab.model.subject import Subject
from kafkalab.runtime import paths


@dataclass(frozen=True)
class Pins:
    """The content of versions.toml."""

    brokers: Mapping[str, Mapping[str, str]]  # flavour → role → version
    clients: Mapping[str, Mapping[str, Any]]  # client → {driver, runtime, package, pinned, ...}
    artifacts: Mapping[str, str]  # name → Maven coordinates
    images: Mapping[str, str]  # name → image reference
    toolchains: Mapping[str, str]  # node, go → the wheel that carries it

    def resolve(self, subject: Subject) -> Subject:
        """Replace a role by its version; an unknown client or flavour is a `UsageError`."""
        if subject.name == "defect":
            return subject
        table = self.brokers.get(subject.name) or self.clients.get(subject.name)
        if table is None:
            known = ", ".join(sorted({*self.brokers, *self.clients}))
            raise UsageError(f"unknown client or broker '{subject.name}': known are {known}.")
        return Subject(subject.name, table.get(subject.version, subject.version))

    def needs(self, path: Path) -> tuple[str, ...]:
        """What a driver needs beside its client, as a list in its folder says.

        Args:
            path: one requirement a line, `#` for comments. A line that is a name under [artifacts]
                stands for its coordinates, so that what several programs use is pinned once.

        Raises:
            UsageError: the list cannot be read.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UsageError(f"{path}: expected what the driver needs: {error}.") from error
        wanted = (line.strip() for line in lines if line.strip() and not line.startswith("#"))
        return tuple(self.artifacts.get(line, line) for line in wanted)


@cache
def load(path: Path | None = None) -> Pins:
    """Read the pins; raises `UsageError` naming the file when it cannot be read."""
    path = path or paths.root() / "docker" / "versions.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error
    names = ("brokers", "clients", "artifacts", "images", "toolchains")
    missing = set(names) - raw.keys()
    if missing:
        raise UsageError(f"{path}: expected a table [{sorted(missing)[0]}], found none.")
    return Pins(*(raw[name] for name in names))
