"""Judge a recorded history: `kafkalab check HISTORY`."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.cli import output
from kafkalab.model.errors import ExitCode, UsageError
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome, merge


def run(path: str, claims: tuple[str, ...], json_output: bool) -> ExitCode:
    """Read, validate, judge, print."""
    for claim in claims:
        if claim not in CHECKERS:
            raise UsageError(f"unknown claim '{claim}': a history can show {', '.join(CHECKERS)}.")
    started = time.monotonic()
    table = _read(Path(path))
    verdicts = judge(table, claims or tuple(CHECKERS), CheckContext(finished_ns=_finished(table)))
    outcome = merge(verdict.outcome for verdict in verdicts)
    cell = CellVerdict(
        scenario="",
        clients=(),
        broker="",
        engine="",
        cell="",
        outcome=outcome,
        seconds=round(time.monotonic() - started, 3),
        claims=verdicts,
        metrics={},
        samples={"rows": table.num_rows},
    )
    replay = f"kafkalab check {path}" + (f" --claims {','.join(claims)}" if claims else "")
    if json_output:
        output.print_json(output.document(None, outcome, [cell], "", replay))
    else:
        _tell(verdicts)
        output.say(f"{outcome}: {table.num_rows:,} rows")
    return outcome.exit_code


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file; expected a history.parquet of a cell.") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path}: cannot be read as Parquet: {error}.") from error


def _finished(table: pa.Table) -> int:
    """The last time in the history stands for the end of reading."""
    import pyarrow.compute as pc

    if "time_ns" not in table.column_names or table.num_rows == 0:
        return 0
    return int(pc.max(table["time_ns"]).as_py())


def _tell(verdicts: tuple[ClaimVerdict, ...]) -> None:
    for verdict in verdicts:
        output.say(f"{verdict.outcome:>7}  {verdict.claim}: {verdict.summary}")
        for item in verdict.evidence[:3] if verdict.outcome is not Outcome.PASS else ():
            output.say(f"           evidence: {item}")
