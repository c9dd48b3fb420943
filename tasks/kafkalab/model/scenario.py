"""A scenario of the catalogue: load, configuration and the claims that it checks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafkalab.model.errors import UsageError

_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
STEPS = ("correctness", "backpressure", "memory", "benchmark", "compat")


@dataclass(frozen=True)
class Scenario:
    """One YAML file of `scenarios/catalogue/`, validated."""

    id: str  # "C01"
    title: str
    why: str  # what broke in the wild, or would
    step: str  # one of STEPS
    workload: str  # a key of workloads.WORKLOADS
    claims: tuple[str, ...]  # names from model.claim.CLAIMS
    metrics: tuple[str, ...] = ()  # names from model.metric.METRICS
    load: Mapping[str, Any] = field(default_factory=dict)  # arguments of the workload's Load
    needs: tuple[str, ...] = ()  # capabilities of driver or engine
    # client → role → options by the client's own names, for what the portable ones cannot say
    options: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    live_s: float = 0.0  # seconds between two verdicts on what is recorded so far; 0: none
    seconds_max: int = 120  # the cell is stopped and unknown after this

    def with_load(self, overrides: Mapping[str, Any]) -> Scenario:
        """The same scenario under another load; unknown keys are a `UsageError`."""
        unknown = set(overrides) - set(self.load)
        if unknown:
            raise UsageError(
                f"{self.id}: load has no '{sorted(unknown)[0]}'; it has {', '.join(self.load)}."
            )
        return Scenario(**{**self.__dict__, "load": {**self.load, **overrides}})


@dataclass(frozen=True)
class Cell:
    """One scenario on one broker with one client (or several in one group)."""

    scenario: str
    clients: tuple[str, ...]  # subjects, resolved
    broker: str  # subject, resolved

    @property
    def id(self) -> str:
        """Identifier that is unique in a run and safe in an object key."""
        text = "+".join(map(_short, self.clients))
        return f"{self.scenario}-{text}-{self.broker}".replace("@", "-").replace(":", "-")


def _short(client: str) -> str:
    """A client as a part of an identifier: where it comes from may be a long path or address."""
    name, _, version = client.partition("@")
    kind, _, where = version.partition(":")
    if not where:
        return client
    tail = _UNSAFE.sub("-", where.rstrip("/").rpartition("/")[2])[:24]
    return f"{name}-{kind}-{tail}-{hashlib.sha256(where.encode()).hexdigest()[:6]}"
