"""Verdicts: three values, merged by severity, always with evidence.

`fail` means that a promise was seen broken. `unknown` means that the lab saw too little, or that a
checker crashed; it is red, because a check that did not look must never pass. The order
fail > unknown > pass is the one of DESIGN section 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from kafkalab.model.errors import ExitCode
from kafkalab.model.history import CheckContext


class Outcome(StrEnum):
    """The three values of a verdict."""

    PASS = "pass"  # noqa: S105, a verdict
    UNKNOWN = "unknown"
    FAIL = "fail"

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of a command that ends with this verdict."""
        return _EXIT_CODES[self]


_SEVERITY = {Outcome.PASS: 0, Outcome.UNKNOWN: 1, Outcome.FAIL: 2}
_EXIT_CODES = {
    Outcome.PASS: ExitCode.PASS,
    Outcome.UNKNOWN: ExitCode.UNKNOWN,
    Outcome.FAIL: ExitCode.FAIL,
}


def merge(outcomes: Iterable[Outcome]) -> Outcome:
    """Worst of the outcomes; nothing to merge is `unknown`, since nothing was seen."""
    return max(outcomes, key=_SEVERITY.__getitem__, default=Outcome.UNKNOWN)


@dataclass(frozen=True)
class ClaimVerdict:
    """One claim judged on one cell."""

    claim: str  # a name from CLAIMS
    outcome: Outcome
    count: int  # findings; 0 when it passed
    summary: str  # one sentence for a person
    evidence: tuple[Mapping[str, Any], ...] = ()  # the first findings, one JSON object each
    evidence_uri: str | None = None  # where all findings are, once stored
    timelines: tuple[tuple[str, ...], ...] = ()  # of the first findings, as lines of text

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ClaimVerdict:
        """Inverse of `dataclasses.asdict` after a JSON round trip."""
        return cls(
            claim=raw["claim"],
            outcome=Outcome(raw["outcome"]),
            count=int(raw["count"]),
            summary=raw["summary"],
            evidence=tuple(raw.get("evidence", ())),
            evidence_uri=raw.get("evidence_uri"),
            timelines=tuple(tuple(lines) for lines in raw.get("timelines", ())),
        )


def worst(verdicts: Iterable[ClaimVerdict]) -> ClaimVerdict:
    """The most severe of several verdicts on one claim; the first of equals."""
    return max(verdicts, key=lambda verdict: _SEVERITY[verdict.outcome])


@dataclass(frozen=True)
class Skipped:
    """Something that was left out, and the capability that would have been needed."""

    what: str
    needs: str


@dataclass(frozen=True)
class CellVerdict:
    """Everything that one attempt of one cell found; stored as `verdict.json`."""

    scenario: str
    clients: tuple[str, ...]  # NAME@VERSION as the drivers reported it, not as it was asked for
    broker: str
    engine: str
    cell: str  # the cell's identifier within its run
    outcome: Outcome
    seconds: float
    claims: tuple[ClaimVerdict, ...]
    metrics: Mapping[str, float]  # metric name (see metric.py) → value
    samples: Mapping[str, int] = field(
        default_factory=dict
    )  # data quality: rows, sends, polls, ...
    skipped: tuple[Skipped, ...] = ()
    reason: str = ""  # why the cell is unknown although its claims would not say so
    replay: str = ""  # the one command that repeats this cell
    series: Mapping[str, Any] = field(default_factory=dict)  # name → artifact key, for the report
    history_claims: tuple[str, ...] = ()  # judged on the history, the others on loops or series
    context: CheckContext | None = None  # what they were judged with; None: not recorded

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> CellVerdict:
        """Inverse of `to_dict` after a JSON round trip."""
        return cls(
            scenario=raw["scenario"],
            clients=tuple(raw["clients"]),
            broker=raw["broker"],
            engine=raw["engine"],
            cell=raw["cell"],
            outcome=Outcome(raw["outcome"]),
            seconds=float(raw["seconds"]),
            claims=tuple(ClaimVerdict.from_dict(c) for c in raw["claims"]),
            metrics=dict(raw["metrics"]),
            samples=dict(raw.get("samples", {})),
            skipped=tuple(Skipped(**s) for s in raw.get("skipped", ())),
            reason=raw.get("reason", ""),
            replay=raw.get("replay", ""),
            series=dict(raw.get("series", {})),
            history_claims=tuple(raw.get("history_claims", ())),
            context=CheckContext.from_dict(raw["context"]) if raw.get("context") else None,
        )
