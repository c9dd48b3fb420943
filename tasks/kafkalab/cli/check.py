"""Judge a recorded history: `kafkalab check HISTORY`.

A verdict is a function of the history, the claims that are judged together and the context. All
three lie in a cell's folder, so a history there is judged as its cell judged it: `verdict.json`
beside the history says which claims and which context. A history that stands alone is judged on
every claim with the default bounds.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.checkers.timeline import explain
from kafkalab.cli import output
from kafkalab.model.errors import ExitCode, UsageError
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome, merge

_ALONE = CellVerdict(
    scenario="", clients=(), broker="", engine="", cell="", outcome=Outcome.UNKNOWN, seconds=0.0,
    claims=(), metrics={},
)  # fmt: skip


def run(path: str, claims: tuple[str, ...], json_output: bool) -> ExitCode:
    """Read, validate, judge, print."""
    for claim in claims:
        if claim not in CHECKERS:
            raise UsageError(f"unknown claim '{claim}': a history can show {', '.join(CHECKERS)}.")
    started = time.monotonic()
    table = _read(Path(path))
    beside = _beside(Path(path))
    wanted, why = _chosen(claims, beside)
    context, bounds = _context(beside, table)
    output.say(f"claims: {', '.join(wanted) or 'none'}: {why}")
    output.say(f"context: {bounds}")
    verdicts = explain(table, judge(table, wanted, context))
    outcome = merge(verdict.outcome for verdict in verdicts)
    cell = replace(
        beside or _ALONE,
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


def _beside(history: Path) -> CellVerdict | None:
    """The verdict of the cell whose folder the history lies in; None where it lies alone."""
    path = history.with_name("verdict.json")
    if not path.exists():
        return None
    try:
        return CellVerdict.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: expected the verdict of the history's cell, found something else "
            f"({error!r}). Move it away to judge the history on its own."
        ) from error


def _chosen(claims: tuple[str, ...], beside: CellVerdict | None) -> tuple[tuple[str, ...], str]:
    """The claims to judge, and why these."""
    if claims:
        return claims, "those of --claims"
    if beside is None:
        return tuple(CHECKERS), "all, since no verdict.json stands beside the history"
    if beside.context is None:  # from before cells recorded what they judged on the history
        known = tuple(claim.claim for claim in beside.claims if claim.claim in CHECKERS)
        return known, f"those of {beside.cell}'s verdict.json that a history can show"
    others = [c.claim for c in beside.claims if c.claim not in beside.history_claims]
    why = f"those that {beside.cell} judged on its history, by the verdict.json beside it"
    if others:
        why += f"; not {', '.join(others)}, which it judged on something else"
    return beside.history_claims, why


def _context(beside: CellVerdict | None, table: pa.Table) -> tuple[CheckContext, str]:
    """What to judge with, and where it is from."""
    if beside is not None and beside.context is not None:
        return beside.context, f"the one that {beside.cell} was judged with"
    return CheckContext(finished_ns=_finished(table)), "default bounds, since none was recorded"


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
        output.tell(verdict.timelines[0] if verdict.timelines else ())
