"""Judge the run: data quality, claims, envelopes; Data Docs beside the result."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from kafkalab.artifacts import baselines, runs
from kafkalab.gate.judge import judge_run
from kafkalab.model.run import Envelope, Lane
from kafkalab.model.verdict import Outcome
from kafkalab.runtime import paths
from kafkalab.scenarios import loader
from kafkalab.steps.frame import StepContext, StepResult


def run(context: StepContext) -> StepResult:
    """Read every manifest and verdict of the run and decide."""
    store, prefix = context.store, context.run.prefix
    manifests, cells = runs.read_manifests(store, prefix), runs.read_cells(store, prefix)
    context.progress(f"{len(cells)} cells judged, {len(manifests)} manifests; loading the suites")

    def envelope(lane: Lane) -> Envelope | None:
        current = baselines.current(store, lane)
        return current[0] if current else None

    with tempfile.TemporaryDirectory(prefix="kafkalab-docs-") as folder:
        docs = Path(folder)
        result = judge_run(
            context.run,
            manifests,
            cells,
            envelope,
            paths.root() / "expectations" / "suites",
            docs,
            scenarios=loader.catalogue(context.run.profile),
        )
        pages: dict[str, bytes | Path] = {
            f"data-docs/{path.relative_to(docs)}": path.read_bytes()
            for path in sorted(docs.rglob("*"))
            if path.is_file()
        }
    result = dataclasses.replace(result, data_docs=context.key(f"data-docs/{result.data_docs}"))
    for finding in (*result.failures, *result.warnings):
        what = "warning" if finding.outcome is Outcome.PASS else finding.outcome
        context.progress(f"{what} {finding.kind} {finding.scenario} {finding.name}")
        context.progress(f"    {finding.summary} {finding.bound}".rstrip())
        if finding.replay:
            context.progress(f"    repeat it with: {finding.replay}")
    context.progress(f"gate: {result.outcome}: {result.summary}")
    reason = "" if result.outcome is Outcome.PASS else result.summary
    runs.write_gate(store, prefix, context.request.attempt, result)
    return StepResult(result.outcome, reason, pages)
