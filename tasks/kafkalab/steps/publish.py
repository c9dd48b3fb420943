"""Write the report, add the run's results to the index, and tell the commit and the person."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.artifacts import baselines, index, runs
from kafkalab.artifacts.store import Store
from kafkalab.gate.envelopes import lane_of
from kafkalab.model.gate import GateResult
from kafkalab.model.run import Envelope, Run
from kafkalab.model.verdict import CellVerdict, Outcome
from kafkalab.notify import status
from kafkalab.report.render import render
from kafkalab.steps.frame import StepContext, StepResult


def run(context: StepContext) -> StepResult:
    """Render the report from what is in the store; the verdict stays the gate's."""
    store, prefix = context.store, context.run.prefix
    gate = runs.read_gate(store, prefix) or _no_gate(context.run)
    cells = runs.read_cells(store, prefix)
    context.progress(f"rendering {len(cells)} cells")
    page = render(
        context.run,
        gate,
        cells,
        {cell.cell: table for cell in cells if (table := _series(store, cell)) is not None},
        runs.read_manifests(store, prefix),
        repeat_command(context.run),
        envelopes=_envelopes(store, context.run, cells),
    )
    index.add(store, context.run, cells)
    for key in store.flush_spool():
        context.progress(f"stored what an earlier failure had left on disk: {key}")
    uri = runs.write_report(store, prefix, context.request.attempt, page.encode())
    context.progress(f"report: {store.local_path(store.key(uri)) or uri}")
    if told := status.tell(context.run, gate, store.key(uri)):
        context.progress(told)
    return StepResult(Outcome.PASS)


def _no_gate(run: Run) -> GateResult:
    """A run whose gate left nothing is unknown, and its report says so."""
    return GateResult(run.run_id, Outcome.UNKNOWN, "the gate left no result; see its log")


def repeat_command(run: Run) -> str:
    """The command that repeats the whole run."""
    subjects = " ".join(f"--subject {subject}" for subject in run.subjects)
    return f"kafkalab run {run.workflow} {subjects} --engine {run.engine} --seed {run.seed}"


def _series(store: Store, cell: CellVerdict) -> pa.Table | None:
    key = cell.series.get("metrics")
    return pq.read_table(io.BytesIO(store.get_bytes(key))) if key else None


def _envelopes(store: Store, run: Run, cells: Sequence[CellVerdict]) -> list[Envelope]:
    """The accepted envelopes of the lanes of the run's cells."""
    lanes = dict.fromkeys(lane_of(run, cell) for cell in cells)
    found = [baselines.current(store, lane) for lane in lanes]
    return [current[0] for current in found if current]
