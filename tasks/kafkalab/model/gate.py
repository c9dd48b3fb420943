"""What the gate decided and why; stored as `gate/gate.json`, read by the report and by people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from kafkalab.model.run import Envelope
from kafkalab.model.verdict import Outcome, Skipped

FailureKind = Literal["evidence", "claim", "envelope"]


@dataclass(frozen=True)
class Finding:
    """One reason why the gate is red (or warns), complete enough to act on."""

    kind: FailureKind  # not enough evidence | a claim is broken | outside its envelope
    outcome: Outcome  # FAIL or UNKNOWN; PASS for a warning
    scenario: str
    cell: str  # "" when the whole run is meant
    name: str  # claim, metric or data-quality rule
    summary: str  # one sentence for a person
    value: float | str | None = None
    bound: str = ""  # "≥ 120,000 records/s (−15 % of 141,176)"
    baseline_run: str = ""
    evidence: str = ""  # URI
    replay: str = ""  # command
    why: str = ""  # why the rule exists, from the suite


@dataclass(frozen=True)
class GateResult:
    """The verdict of a run."""

    run_id: str
    outcome: Outcome
    summary: str
    failures: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    proposals: tuple[Envelope, ...] = ()  # what `kafka_baseline` may accept
    lanes_without_baseline: tuple[str, ...] = ()
    suites: Mapping[str, Any] = field(default_factory=dict)  # suite → evaluated, failed
    data_docs: str = ""  # key of the Great Expectations Data Docs index

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> GateResult:
        """Inverse of `to_dict` after a JSON round trip."""

        def findings(key: str) -> tuple[Finding, ...]:
            return tuple(Finding(**{**f, "outcome": Outcome(f["outcome"])}) for f in raw[key])

        return cls(
            run_id=raw["run_id"],
            outcome=Outcome(raw["outcome"]),
            summary=raw["summary"],
            failures=findings("failures"),
            warnings=findings("warnings"),
            skipped=tuple(Skipped(**s) for s in raw["skipped"]),
            proposals=tuple(Envelope.from_dict(e) for e in raw["proposals"]),
            lanes_without_baseline=tuple(raw["lanes_without_baseline"]),
            suites=dict(raw["suites"]),
            data_docs=raw["data_docs"],
        )
