"""Subjects: what a person writes to name a build, and what the lab needs to start it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kafkalab.model.errors import UsageError

_RELEASE = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)@(?P<version>[A-Za-z0-9][A-Za-z0-9._+-]*)$")
_ORIGIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)@(?P<version>(?:path|git|image):[^\s]+)$")
_DEFECT = re.compile(r"^defect:(?P<kind>[a-z][a-z-]*)$")


@dataclass(frozen=True)
class Subject:
    """A build under test.

    `NAME@VERSION`, where the version may be a role (`oldest`, `pinned`, `newest`) until it is
    resolved from versions.toml; `NAME@path:DIR`, `NAME@git:REPO#REF` or `NAME@image:REF` for what
    is not released; or `defect:KIND`, a planted defect for the lab's tests.
    """

    name: str
    version: str

    @classmethod
    def parse(cls, text: str) -> Subject:
        """Parse a subject as a person writes it; raises `UsageError` with what is accepted."""
        text = text.strip()
        if defect := _DEFECT.match(text):
            return cls("defect", defect["kind"])
        if found := _RELEASE.match(text) or _ORIGIN.match(text):
            return cls(found["name"], found["version"])
        raise UsageError(
            f"'{text}' is not a subject: expected NAME@VERSION, for example "
            "confluent-kafka@2.16.1 or kafka@3.9.2 (roles: oldest, pinned, newest), or "
            "NAME@path:DIR, NAME@git:REPO#REF, NAME@image:REF."
        )

    def __str__(self) -> str:
        separator = ":" if self.name == "defect" else "@"
        return f"{self.name}{separator}{self.version}"


@dataclass(frozen=True)
class DriverLaunch:
    """How to start the driver of a resolved client: on a host (argv) or as a container (image)."""

    subject: Subject  # resolved: no roles left
    argv: tuple[str, ...]  # command on the host
    env: Mapping[str, str] = field(default_factory=dict)
    image: str = ""  # container image on the docker engine
    image_argv: tuple[str, ...] = ()  # command inside the image; empty: the image's own
    capabilities: frozenset[str] | None = None  # as its hello says; None: not asked yet
