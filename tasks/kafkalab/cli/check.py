"""Judge a recorded history: `kafkalab check HISTORY`.

A verdict is a function of the history, the claims that are judged together and the context. All
three lie in a cell's folder, so a history there is judged as its cell judged it: `verdict.json`
beside the history says which claims and which context; a history that was shrunk (shrunk.py) says
it in its own file. A history that stands alone is judged on every claim with the default bounds;
one of another tool on the claims that its format can show.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.checkers.budget import Budget, size_bytes
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.checkers.timeline.tell import explain
from kafkalab.cli import output, shrunk
from kafkalab.imports import jepsen
from kafkalab.model.errors import ExitCode, UsageError
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome, merge

FORMATS = ("lab", "jepsen")
_ALONE = CellVerdict(
    scenario="", clients=(), broker="", engine="", cell="", outcome=Outcome.UNKNOWN, seconds=0.0,
    claims=(), metrics={},
)  # fmt: skip


@dataclass(frozen=True)
class Given:
    """A history, and where it is from."""

    source: pa.Table | Path  # a file is read where it lies: it may be larger than the memory
    rows: int
    finished_ns: int  # the last time in it stands for the end of reading
    beside: CellVerdict | None = None  # the verdict of the cell whose folder it lies in
    claims: tuple[str, ...] = tuple(CHECKERS)  # those that it can show, where nothing else says
    why: str = "all, since no verdict.json stands beside the history"
    annotated: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict  # a finding, explained

    def table(self) -> pa.Table:
        """All of it, in memory."""
        return _read(self.source) if isinstance(self.source, Path) else self.source


@dataclass(frozen=True)
class Options:
    """How a history is to be judged."""

    format: str = FORMATS[0]
    memory: str = ""
    spill: str = ""
    shrink: str = ""  # where the smallest part that is as red goes

    def budget(self) -> Budget:
        """What it may take; raises UsageError."""
        if self.spill and not Path(self.spill).is_dir():
            raise UsageError(f"--spill {self.spill}: expected a folder that exists.")
        try:
            budget = Budget(spill_folder=self.spill)
            return replace(budget, memory_bytes=size_bytes(self.memory)) if self.memory else budget
        except ValueError as error:
            raise UsageError(f"--memory: {error}.") from error


_PLAIN = Options()


def run(
    path: str, claims: tuple[str, ...], json_output: bool, options: Options = _PLAIN
) -> ExitCode:
    """Read, validate, judge, print."""
    for claim in claims:
        if claim not in CHECKERS:
            raise UsageError(f"unknown claim '{claim}': a history can show {', '.join(CHECKERS)}.")
    if options.shrink and len(claims) != 1:
        raise UsageError("--shrink keeps one claim red: name it with --claims CLAIM.")
    budget = options.budget()
    started = time.monotonic()
    given = _given(Path(path), options.format)
    wanted, why = _chosen(() if options.shrink else claims, given)
    wanted = tuple(dict.fromkeys((*claims, *wanted)))  # what a claim is shrunk with is judged too
    context, bounds = _context(given)
    output.say(f"claims: {', '.join(wanted) or 'none'}: {why}")
    output.say(f"context: {bounds}")
    try:
        verdicts = judge(given.source, wanted, context, budget=budget)
    except (OSError, pa.ArrowException, duckdb.Error) as error:
        raise _unreadable(Path(path), error) from error
    if any(verdict.outcome is Outcome.FAIL for verdict in verdicts):
        verdicts = explain(given.table(), verdicts)
    verdicts = tuple(
        replace(verdict, evidence=tuple(map(given.annotated, verdict.evidence)))
        for verdict in verdicts
    )
    outcome = merge(verdict.outcome for verdict in verdicts)
    cell = replace(
        given.beside or _ALONE,
        outcome=outcome,
        seconds=round(time.monotonic() - started, 3),
        claims=verdicts,
        metrics={},
        samples={"rows": given.rows},
    )
    replay = _replay(path, claims, options)
    document = output.document(None, outcome, [cell], "", replay)
    if options.shrink:
        target = shrunk.Target(claims[0], wanted, context, Path(options.shrink), budget)
        document["shrunk"] = shrunk.write(given.table(), Path(path), target)
    if json_output:
        output.print_json(document)
    else:
        _tell(verdicts if not options.shrink else ())
        output.say(f"{outcome}: {given.rows:,} rows")
    return outcome.exit_code


def _replay(path: str, claims: tuple[str, ...], options: Options) -> str:
    words = ["kafkalab check", path]
    words += ["--claims", ",".join(claims)] if claims else []
    words += ["--format", options.format] if options.format != FORMATS[0] else []
    words += ["--memory", options.memory] if options.memory else []
    return " ".join([*words, *(["--spill", options.spill] if options.spill else [])])


def _given(path: Path, form: str) -> Given:
    if form not in FORMATS:
        raise UsageError(f"--format {form}: expected {' or '.join(FORMATS)}.")
    if form == "lab":
        path = path / "history.parquet" if path.is_dir() else path
        with _refusing(path), pq.ParquetFile(path) as file:
            head, rows = file.schema_arrow.empty_table(), file.metadata.num_rows
            times = "time_ns" in head.column_names
            parts = file.iter_batches(columns=["time_ns"]) if times else ()
            finished_ns = max((_last(pa.table(part)) for part in parts), default=0)
        return Given(path, rows, finished_ns, shrunk.recorded(head) or _beside(path))
    path = path / "history.edn" if path.is_dir() else path
    imported = jepsen.read(_text(path))
    if imported.left_out:
        output.say(f"{imported.left_out:,} operations of no client of Kafka's were left out")
    table = imported.table
    return Given(
        table,
        table.num_rows,
        _last(table),
        claims=tuple(claim for claim in imported.claims if claim in CHECKERS),
        why="those of Jepsen's Kafka workload that this history can show",
        annotated=imported.original.annotated,
    )


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: expected a history.edn of Jepsen's store: {error}.") from error
    if data[:6] == b"JEPSEN":
        raise UsageError(
            f"{path}: expected a history in EDN, found Jepsen's binary format. Give the history.edn"
            ' that lies beside it, or write one: (spit "history.edn" (with-out-str (run! prn'
            " (:history (jepsen.store/test -1))))) in a REPL of the test."
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected EDN in UTF-8: {error}.") from error


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


def _chosen(claims: tuple[str, ...], given: Given) -> tuple[tuple[str, ...], str]:
    """The claims to judge, and why these."""
    beside = given.beside
    if claims:
        return claims, "those of --claims"
    if beside is None:
        return given.claims, given.why
    if beside.context is None:  # from before cells recorded what they judged on the history
        known = tuple(claim.claim for claim in beside.claims if claim.claim in CHECKERS)
        return known, f"those of {beside.cell}'s verdict.json that a history can show"
    others = [c.claim for c in beside.claims if c.claim not in beside.history_claims]
    why = f"those that {beside.cell} judged on its history, by the verdict.json beside it"
    if others:
        why += f"; not {', '.join(others)}, which it judged on something else"
    return beside.history_claims, why


def _context(given: Given) -> tuple[CheckContext, str]:
    """What to judge with, and where it is from."""
    beside = given.beside
    if beside is not None and beside.context is not None:
        return beside.context, f"the one that {beside.cell} was judged with"
    return CheckContext(given.finished_ns), "default bounds, since none was recorded"


def _read(path: Path) -> pa.Table:
    with _refusing(path):
        return pq.read_table(path, page_checksum_verification=True)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what a file that cannot be read raises into a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file; expected a history.parquet of a cell.") from error
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UsageError:
    what = str(error).splitlines()[0] if str(error) else repr(error)
    return UsageError(
        f"{path}: cannot be read as Parquet: {what}. It may be cut off, damaged or of another kind;"
        " a history of Jepsen needs --format jepsen."
    )


def _last(table: pa.Table) -> int:
    """The last time in a history."""
    import pyarrow.compute as pc

    if "time_ns" not in table.column_names or not pa.types.is_int64(table["time_ns"].type):
        return 0  # such a history is not judged
    return int(pc.max(table["time_ns"]).as_py() or 0)


def _tell(verdicts: tuple[ClaimVerdict, ...]) -> None:
    for verdict in verdicts:
        output.say(f"{verdict.outcome:>7}  {verdict.claim}: {verdict.summary}")
        for item in verdict.evidence[:3] if verdict.outcome is not Outcome.PASS else ():
            output.say(f"           evidence: {item}")
        output.tell(verdict.timelines[0] if verdict.timelines else ())
