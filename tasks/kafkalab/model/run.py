"""Runs, manifests, envelopes: the documents that tie a run's artifacts together.

`run.json` says what was asked and planned. Each step ends with one `manifest.json`, written last,
so that a reader who finds it can rely on everything it names. An `Envelope` holds a lane's
accepted bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kafkalab.model.scenario import Cell
from kafkalab.model.verdict import Outcome, Skipped

SCHEMA_VERSION = 1
# "owner/name" of a GitHub repository; a name of dots would climb in a path
REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9_-]*/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}"


@dataclass(frozen=True)
class Lane:
    """A combination whose results compare with each other; a baseline belongs to one lane."""

    workflow: str  # "kafka_smoke"
    broker: str  # "kafka@3.9.2"
    client_line: str  # "confluent-kafka@2.16": the client's major.minor
    engine: str  # "process"
    host_class: str  # "linux-x86_64-2c-24g"

    def __str__(self) -> str:
        return "/".join(
            (self.workflow, self.broker, self.client_line, self.engine, self.host_class)
        )


@dataclass(frozen=True)
class Run:
    """What a run was asked to do and how it was planned; stored as `run.json`."""

    run_id: str
    workflow: str  # DAG id, or "try"
    prefix: str  # key prefix of everything this run stores
    seed: int
    engine: str  # resolved: process | docker
    subjects: tuple[str, ...]  # resolved subjects
    cells: Mapping[str, tuple[Cell, ...]]  # "step/broker role" → cells, in order
    brokers: Mapping[str, str]  # role (oldest, pinned, newest) → resolved broker subject
    skipped: tuple[Skipped, ...] = ()
    started_at: str = ""  # ISO 8601, UTC
    # branch, sha, repository ("owner/name" on GitHub), delivery, who: as far as they are known
    trigger: Mapping[str, str] = field(default_factory=dict)
    profile: str = "smoke"  # which load profile of the catalogue
    host_class: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Run:
        """Inverse of `to_dict` after a JSON round trip."""
        cells = {
            key: tuple(Cell(c["scenario"], tuple(c["clients"]), c["broker"]) for c in group)
            for key, group in raw["cells"].items()
        }
        known = {k: raw[k] for k in raw if k not in ("cells", "skipped", "subjects")}
        return cls(
            **known,
            subjects=tuple(raw["subjects"]),
            cells=cells,
            skipped=tuple(Skipped(**s) for s in raw.get("skipped", ())),
        )


@dataclass(frozen=True)
class Manifest:
    """What one attempt of one step left in the store; stored last, as `manifest.json`."""

    step: str  # provision | correctness | ... | gate | publish | teardown
    attempt: int
    outcome: Outcome
    reason: str = ""  # one sentence when the outcome is not pass
    cell: str = ""  # the cell that this step ran, where it ran one
    artifacts: Mapping[str, str] = field(default_factory=dict)  # name → key
    started_at: str = ""
    seconds: float = 0.0
    host: Mapping[str, Any] = field(default_factory=dict)  # noise measured with the step
    schema: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Manifest:
        """Inverse of `to_dict` after a JSON round trip."""
        return cls(**{**raw, "outcome": Outcome(raw["outcome"])})


@dataclass(frozen=True)
class Bound:
    """The values of one metric of one scenario that a new result must fall in."""

    metric: str
    scenario: str
    baseline: float  # the value that was accepted
    lower: float | None  # inclusive; None: open on this side
    upper: float | None


@dataclass(frozen=True)
class Envelope:
    """Accepted bounds of one lane; stored as `baselines/<lane>/current.json`."""

    lane: Lane
    number: int  # 1, 2, ...: also the name of its entry in the history
    bounds: tuple[Bound, ...]
    runs: tuple[str, ...]  # run prefixes that the bounds came from
    accepted_by: str  # who or what accepted it
    why: str
    accepted_at: str  # ISO 8601, UTC

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Envelope:
        """Inverse of `to_dict` after a JSON round trip."""
        return cls(
            lane=Lane(**raw["lane"]),
            number=int(raw["number"]),
            bounds=tuple(Bound(**b) for b in raw["bounds"]),
            runs=tuple(raw["runs"]),
            accepted_by=raw["accepted_by"],
            why=raw["why"],
            accepted_at=raw["accepted_at"],
        )
