"""Joins a run's plan with what came back: one `Facts` for each cell; pure.

The plan comes first: a cell that was planned is there whether or not anything came back from it. A
cell's `state` is `missing` (no verdict), `skipped` (the driver lacks what the scenario needs),
`unknown` (the cell says itself why it saw too little), `unplanned`, or `judged`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kafkalab.model.run import Manifest, Run
from kafkalab.model.scenario import Cell
from kafkalab.model.verdict import CellVerdict, Outcome


@dataclass(frozen=True)
class Facts:
    """One cell with everything that is known about it."""

    id: str
    step: str  # "" when the cell was not planned
    scenario: str
    verdicts: tuple[CellVerdict, ...]
    manifests: tuple[Manifest, ...]  # of its step that concern it, oldest attempt first
    reason: str  # why there is no verdict, or why it is unknown

    @property
    def verdict(self) -> CellVerdict | None:
        """The verdict, or None when there is none."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def state(self) -> str:
        """One of the states in the module's docstring."""
        if not self.step:
            return "unplanned"
        verdict = self.verdict
        if verdict is None:
            return "missing"
        if verdict.skipped and not verdict.claims:
            return "skipped"
        return "unknown" if self.reason else "judged"

    @property
    def noise(self) -> tuple[str, ...] | None:
        """Why the host was too noisy while the cell ran; empty: quiet; None: not measured."""
        return noise_of(self.manifests[-1]) if self.manifests else None

    @property
    def evidence(self) -> str:
        """Where to look first: the verdict's key, else whatever the last attempt left."""
        if not self.manifests:
            return ""
        artifacts = self.manifests[-1].artifacts
        named = (artifacts[k] for k in ("verdict", "verdict.json") if k in artifacts)
        return next(named, next(iter(artifacts.values()), ""))


def noise_of(manifest: Manifest) -> tuple[str, ...] | None:
    """Reasons in `host["noisy"]`, a list of sentences; None when noise was not measured."""
    if "noisy" not in manifest.host:
        return None
    noisy = manifest.host["noisy"]
    if isinstance(noisy, str):
        return (noisy,) if noisy else ()
    if isinstance(noisy, bool):
        return ("the host was noisy",) if noisy else ()
    return tuple(str(reason) for reason in noisy or ())


def gather(
    run: Run, manifests: Sequence[Manifest], cells: Sequence[CellVerdict]
) -> tuple[Facts, ...]:
    """Join the plan with what came back: planned cells in order, then what was not planned."""
    planned: dict[str, tuple[str, Cell]] = {}
    for key, group in run.cells.items():
        for cell in group:
            # two broker roles may resolve to one version: the same cell, which runs once
            planned.setdefault(cell.id, (key.partition("/")[0], cell))
    facts = [
        _facts(cell_id, step, cell.scenario, manifests, cells)
        for cell_id, (step, cell) in planned.items()
    ]
    strangers = dict.fromkeys(v.cell for v in cells if v.cell not in planned)
    for cell_id in strangers:
        scenario = next(v.scenario for v in cells if v.cell == cell_id)
        facts.append(_facts(cell_id, "", scenario, manifests, cells))
    return tuple(facts)


def _facts(
    cell_id: str,
    step: str,
    scenario: str,
    manifests: Sequence[Manifest],
    cells: Sequence[CellVerdict],
) -> Facts:
    own = sorted(
        (m for m in manifests if m.step == step and m.cell in ("", cell_id)),
        key=lambda m: (m.attempt, m.cell != ""),
    )
    verdicts = tuple(v for v in cells if v.cell == cell_id)
    return Facts(cell_id, step, scenario, verdicts, tuple(own), _reason(verdicts, own, manifests))


def _reason(
    verdicts: Sequence[CellVerdict], own: Sequence[Manifest], every: Sequence[Manifest]
) -> str:
    if verdicts:
        return verdicts[-1].reason
    if own:
        last = own[-1]
        return last.reason or f"its step ended as {last.outcome} without a reason"
    for manifest in every:
        if manifest.step == "provision" and manifest.outcome is not Outcome.PASS:
            return f"provision ended as {manifest.outcome}: {manifest.reason}"
    return "its step left no manifest: it was killed, or it never started"
