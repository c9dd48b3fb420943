"""What a checker is, and the view of a history that it works on.

A checker is a function `(view, context) -> ClaimVerdict`. It asks questions in SQL on an
in-memory DuckDB connection, so that 10^8 rows check on a laptop: sets, never a loop over rows.
The history is the relation `events` (see `tables.py` for its column names); the relations that
many checkers share (`sends`, `deliveries`, ...) are made the first time one asks for them. Of a
large history those with a row a record hold the suspect partitions only, see screen/onepass.py.

A claim names one cause. Where one broken record could be counted by two claims, the more specific
claim takes it, *if that one is judged as well* (`HistoryView.judges`): nothing is ever given away
to a claim that nobody looks at.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from kafkalab.checkers.budget import Budget
from kafkalab.checkers.screen.arrays import plain
from kafkalab.checkers.screen.onepass import OF_RUNS, WORTH_ROWS, Screened, runs_of, screen
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome

# With fewer, the optimizer and a second thread take longer than they save. No more than a chunk of
# DuckDB: without its optimizer, 2.0.0 failed on several ("dict-surviving cache").
SMALL_ROWS = 2_000


class Relation(NamedTuple):
    """A named, shared intermediate result: what must exist before it, and its query."""

    needs: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class Findings:
    """What a query for anomalies returned: how many there are, and the first of them."""

    count: int
    evidence: tuple[Mapping[str, Any], ...]


NOTHING = Findings(0, ())


class HistoryView:
    """One history on a DuckDB connection of its own; use it as a context manager.

    Args:
        source: the history, already validated (`history.validate`): a table or a Parquet file.
        context: what was configured, and the bounds; also there as the relation `context`.
        claims: the claims judged together on this history.
        relations: the shared relations by name.
        worth_rows: histories with fewer rows are not screened: SQL looks at all of their records.
        screened: what a pass over the history found (screen/onepass.py); made here where missing.
        settled: counter → what rows that the live form has let go add to it (live/judge.py).
        budget: memory, threads and disk; default: `Budget()`.

    Raises:
        OSError, pyarrow.ArrowInvalid: the file cannot be read as Parquet.
    """

    def __init__(
        self,
        source: pa.Table | Path,
        context: CheckContext,
        claims: Collection[str],
        relations: Mapping[str, Relation],
        *,
        worth_rows: int = WORTH_ROWS,
        screened: Screened | None = None,
        settled: Mapping[str, int] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._settled = settled or {}
        self._claims = frozenset(claims)
        self._relations = relations
        self._made: set[str] = set()
        self._failed: dict[str, Exception] = {}
        self._connection = (budget or Budget()).connect()
        if isinstance(source, Path):
            self._connection.read_parquet(str(source)).create_view("history")
        else:
            self._connection.register("history", source)
        row = _context_row(context, self._claims)
        columns = ", ".join(
            f"${name}::{_SQL_TYPES[type(value)]} AS {name}" for name, value in row.items()
        )
        self._connection.execute(f"CREATE TEMP TABLE context AS SELECT {columns}", row)
        self._source = source
        screened = screened or screen(source, worth_rows=worth(context, worth_rows))
        self._seen: set[str] = set()
        self._show(screened.tables)
        if screened.rows < SMALL_ROWS:
            self._connection.execute("PRAGMA disable_optimizer; SET threads = 1")
        self._connection.execute(_NAMES)

    def __enter__(self) -> HistoryView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection and what it spilled."""
        self._connection.close()

    def judges(self, claim: str) -> bool:
        """Whether `claim` is judged on this history too, so that it may take a finding over."""
        return claim in self._claims

    def use(self, *names: str) -> None:
        """Make the shared relations `names` and what they need, unless they are there.

        One that could not be made is not tried again: whoever needs it is told the same.
        """
        for name in names:
            if name in self._failed:
                raise self._failed[name]
            if name not in self._made:
                self._make(name)
                self._made.add(name)

    def _make(self, name: str) -> None:
        relation = self._relations[name]
        if name in OF_RUNS and name not in self._seen:
            self._show(runs_of(self._source))
        kind = "VIEW" if name in {"events", "records"} else "TABLE"
        try:
            self.use(*relation.needs)
            sql = relation.sql
            if name == "records" and self.calm():
                sql = "SELECT * FROM events WHERE false"  # spares reading the file
            self._connection.execute(f"CREATE TEMP {kind} {name} AS {sql}")
        except duckdb.Error as error:
            self._failed[name] = error
            raise

    def _show(self, tables: Mapping[str, pa.Table]) -> None:
        for name, table in tables.items():
            self._connection.register(f"seen_{name}", table)
        self._seen.update(tables)

    def put(self, name: str, table: pa.Table) -> None:
        """Make the shared relation `name` of what was computed outside of SQL."""
        self._connection.from_arrow(table).create(name)
        self._made.add(name)

    def has(self, name: str) -> bool:
        """Whether the shared relation `name` was made already."""
        return name in self._made

    def columns(self, sql: str) -> dict[str, Any]:
        """Numbers or booleans without nulls, as one numpy array a column."""
        table = self._connection.sql(sql).to_arrow_table()
        return {name: plain(table.column(name)) for name in table.column_names}

    def rows(self, sql: str, values: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """All rows of a (small) result, as dictionaries; `values` of its parameters, by name."""
        result = self._connection.execute(sql, values)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def number(self, sql: str) -> int:
        """The single number that a query returns; no row or NULL is 0."""
        rows = self._connection.execute(sql).fetchall()
        return int(rows[0][0] or 0) if rows else 0

    def calm(self) -> bool:
        """Whether no partition is suspect: then no claim about records alone can be broken."""
        self.use("suspects")
        return not self.number("SELECT count(*) FROM suspects")

    def quiet(self, counter: str) -> int:
        """How much the screen counted in partitions that are in order (screen/marks.py)."""
        self.use("quiet")
        screened = int(self.rows("SELECT * FROM quiet")[0][counter])
        return screened + self._settled.get(counter, 0)

    def find(self, sql: str) -> Findings:
        """Run a query whose rows are anomalies; keep their number and the first of them."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE found AS {sql}")
        count = self.number("SELECT count(*) FROM found")
        if not count:
            return NOTHING
        kept = self.rows("SELECT * FROM found LIMIT (SELECT evidence_max FROM context)")
        return Findings(count, tuple(kept))


def worth(context: CheckContext, rows: int) -> int:
    """With how many rows a history is worth a screen: `rows`, or never."""
    # fairness compares shares between all partitions
    return sys.maxsize if context.fairness_ratio_min > 0 else rows


_SQL_TYPES = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", list: "VARCHAR[]"}

# Names as enumerations: joins and windows then work on small integers.
_NAMES = """
CREATE TYPE client_name AS ENUM (SELECT process FROM seen_processes UNION SELECT '');
CREATE TYPE topic_name AS ENUM (SELECT topic FROM seen_places UNION SELECT '');
"""

Checker = Callable[[HistoryView, CheckContext], ClaimVerdict]


def decided(claim: str, findings: Findings, broken: str, held: str) -> ClaimVerdict:
    """`fail` with its evidence where there are findings, else `pass`.

    Args:
        claim: name from `CLAIMS`.
        findings: what was found.
        broken: summary of a fail; `{count}` is replaced.
        held: summary of a pass: what was looked at, so that the reader can weigh it.
    """
    if findings.count == 0:
        return ClaimVerdict(claim, Outcome.PASS, 0, held)
    text = broken.replace("{count}", f"{findings.count:,}")
    return ClaimVerdict(claim, Outcome.FAIL, findings.count, text, findings.evidence)


def decided_where(
    view: HistoryView,
    claim: str,
    count: str,
    lacking: str,
    find: str,
    broken: str,
    quiet: str | None = None,
    needs: tuple[str, ...] = (),
) -> ClaimVerdict:
    """`decided`, or `unknown` where nothing could be judged.

    Args:
        view: the history, with the relations that the queries need.
        claim: name from `CLAIMS`.
        count: query for the number of rows that could be judged.
        lacking: what the history lacks where that is 0.
        find: query whose rows are anomalies.
        broken: summary of a fail; `{count}` is replaced.
        quiet: the counter of what `count` leaves out, in partitions that are in order. Only for
            claims about records alone: their queries are not run where all partitions are.
        needs: relations to be made before the queries are run.
    """
    judged = view.quiet(quiet) if quiet else 0
    calm = quiet is not None and view.calm()
    if not calm:
        view.use(*needs)
        judged += view.number(count)
    if not judged:
        return unknown(claim, f"{lacking}: there is nothing to judge")
    found = NOTHING if calm else view.find(find)
    return decided(claim, found, broken, f"none in {judged:,} that could be judged")


def unknown(claim: str, why: str, evidence: tuple[Mapping[str, Any], ...] = ()) -> ClaimVerdict:
    """The claim could not be judged; `why` is shown to the person on triage."""
    return ClaimVerdict(claim, Outcome.UNKNOWN, 0, why, evidence)


def _context_row(context: CheckContext, claims: frozenset[str]) -> dict[str, object]:
    row = dataclasses.asdict(context)
    lists = {name: list(value) for name, value in row.items() if isinstance(value, tuple)}
    return {**row, **lists, "claims": sorted(claims)}
