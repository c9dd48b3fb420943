"""Write the smallest part of a red history that is as red: `kafkalab check HISTORY --shrink OUT`.

OUT is a history like any other. What it was judged with (claims and context) stands in the metadata
of the file, so that `kafkalab check OUT` gives the same answer wherever it lies. Beside it lies its
text, `OUT.txt`: a section for `tests/histories/CLAIM.txt`.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.checkers.budget import Budget
from kafkalab.checkers.history import validate
from kafkalab.checkers.registry import CHECKERS
from kafkalab.checkers.shrinking.shrink import Case, NotRedError, Shrunk, shrink
from kafkalab.checkers.text import to_text
from kafkalab.checkers.timeline.tell import timeline
from kafkalab.cli import output
from kafkalab.model.errors import UsageError
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import CellVerdict, Outcome

SECONDS_MAX = 120
TEXT_ROWS_MAX = 5_000  # beyond it nobody reads the text
JUDGED_KEY = b"kafkalab.history.judged"
_TOLD_EVERY_S = 5.0


@dataclass(frozen=True)
class Target:
    """What is to stay red, judged with what, within what, and where the result goes."""

    claim: str
    claims: tuple[str, ...]
    context: CheckContext
    path: Path
    budget: Budget


def write(table: pa.Table, source: Path, target: Target) -> dict[str, Any]:
    """Shrink, write both files, tell; what `--json` shows of it.

    Raises:
        UsageError: the claim is not red on the history, or the result would replace the history.
    """
    if target.path.resolve() == source.resolve():
        raise UsageError(f"--shrink {target.path} is the history itself: name another file.")
    if problems := validate(table, target.budget):
        raise UsageError(f"{source} cannot be judged, and so not shrunk: {problems[0]}")
    progress = _Progress()
    try:
        case = Case(table, target.claim, target.claims, target.context, target.budget)
    except NotRedError as error:
        raise UsageError(f"nothing to shrink: {error}") from error
    found = shrink(case, go_on=progress.go_on)
    judged = {"claims": target.claims, "context": asdict(target.context)}
    metadata = {**(found.table.schema.metadata or {}), JUDGED_KEY: json.dumps(judged).encode()}
    pq.write_table(found.table.replace_schema_metadata(metadata), target.path)
    _tell(found, target, table.num_rows)
    return {
        "history": str(target.path),
        "text": _text(found, target),
        "rows": found.table.num_rows,
        "judgements": found.judgements,
        "minimal": found.minimal,
    }


def recorded(table: pa.Table) -> CellVerdict | None:
    """What a shrunk history was judged with, from its file; None for any other history."""
    raw = (table.schema.metadata or {}).get(JUDGED_KEY)
    if raw is None:
        return None
    judged = json.loads(raw)
    return CellVerdict(
        scenario="", clients=(), broker="", engine="", cell="the history it was shrunk from",
        outcome=Outcome.UNKNOWN, seconds=0.0, claims=(), metrics={},
        history_claims=tuple(judged["claims"]),
        context=CheckContext.from_dict(judged["context"]),
    )  # fmt: skip


class _Progress:
    """Says how far it is, and ends it after SECONDS_MAX."""

    def __init__(self) -> None:
        self._started = self._told = time.monotonic()
        self._judged = 0

    def go_on(self) -> bool:
        self._judged += 1
        now = time.monotonic()
        if now - self._told >= _TOLD_EVERY_S:
            self._told = now
            output.say(f"shrinking: {self._judged:,} parts judged")
        return now - self._started < SECONDS_MAX


def _text(found: Shrunk, target: Target) -> str:
    if found.table.num_rows > TEXT_ROWS_MAX:
        return ""
    path = target.path.with_suffix(".txt")
    claims = () if set(target.claims) == set(CHECKERS) else target.claims
    path.write_text(
        to_text(found.table, "shrunk", "fail", target.context, claims), encoding="utf-8"
    )
    return str(path)


def _tell(found: Shrunk, target: Target, rows: int) -> None:
    how = (
        "no operation of it can be left out"
        if found.minimal
        else "it can be made smaller: shrink the result again"
    )
    output.say(
        f"shrunk {rows:,} rows to {found.table.num_rows:,} that keep {target.claim} red, by"
        f" {found.judgements:,} judgements: {target.path}; {how}"
    )
    finding = found.part_finding
    output.tell(timeline(found.table, target.claim, finding).lines())
