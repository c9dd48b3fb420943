"""Histories as columns: rows to an Arrow table, and whether a table can be judged at all.

A verdict is worth as much as the history it rests on, so this is looked at first. Whatever
`validate` names makes every verdict on that history `unknown`: a history that is not well formed
may hide an anomaly or invent one. What is checked, and why:

- the schema version and the columns: a checker that reads a column as something else is wrong;
- there are rows, and each has what every row must have: an index, a time, a client, a type, an op;
- `index` counts 0, 1, 2, ...: a gap is a row that got lost on the way;
- times, ids and offsets lie within ±2^62, so that nothing overflows;
- types are those that there are, in rows that may have them: an assignment is no command, a `send`
  no event; a command has an id;
- every completion has an invocation before it, of the same client, id and op: else a command was
  not recorded. The other way round is legal: what never completed may have happened, or not;
- a client invokes an id once between two `open`s, and what is no `send` ends in one way: else two
  commands are taken for one;
- a value is sent once and completes at most once: values identify records;
- a polled record has a partition and an offset: else nobody knows where it came from;
- one client's clock does not step back: durations and real-time order rest on it. A driver stamps
  its events on several threads, so steps up to CLOCK_SLACK_NS are order of writing, not of time.
  What the lab itself notes (`kill`, ...) is stamped elsewhere and left out of this.

One pass with cheap questions (wellformed.py) finds what is suspect, and only that is asked the dear
ones (proofs.py).

Not checked here: whether there was enough to judge a claim. Each checker says that for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.checkers import proofs
from kafkalab.checkers.budget import Budget
from kafkalab.checkers.wellformed import CLOCK_SLACK_NS, NAMES, NOTED, READS, Screen, screened
from kafkalab.model.history import COLUMNS, SCHEMA_VERSION, Row

__all__ = [
    "CLOCK_SLACK_NS",
    "NOTED",
    "TYPES",
    "VERSION_KEY",
    "from_columns",
    "schema",
    "shape_problems",
    "table",
    "validate",
]

VERSION_KEY = b"kafkalab.history.schema"

_SORTED = 'SELECT {columns} FROM history ORDER BY "index"'
_BATCH_ROWS = 2**19
_VALUES_SHARE = 8  # of the budget's memory, the part that the screen of values may take
TYPES = ("invoke", "ok", "fail", "info", "event")
_EVENTS_ONLY = ("assigned", "revoked", "lost", "kill")
_COMMANDS_ONLY = ("send", "poll")


def schema() -> pa.Schema:
    """The Arrow schema of a history, with its version as metadata."""
    fields = [pa.field(name, pa.type_for_alias(dtype)) for name, dtype in COLUMNS]
    return pa.schema(fields, metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()})


def table(rows: Iterable[Row]) -> pa.Table:
    """Rows as an Arrow table in column order.

    Raises:
        pyarrow.ArrowInvalid: a field does not fit its column.
    """
    given = list(rows)
    return from_columns({name: [getattr(row, name) for row in given] for name, _ in COLUMNS})


def from_columns(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """The same from a sequence of values for each column; raises likewise."""
    return pa.table({name: columns[name] for name, _ in COLUMNS}, schema=schema())


def validate(history: Any, budget: Budget | None = None) -> tuple[str, ...]:
    """Reasons why no claim can be judged on this history; empty when it is well formed.

    Args:
        history: an Arrow table, or the path of a Parquet file.
        budget: memory, threads and disk; default: `Budget()`.

    Raises:
        duckdb.OutOfMemoryException: the budget did not suffice.
        pyarrow.ArrowInvalid, OSError: the file is no Parquet file, or is damaged.
    """
    problems = shape_problems(history)
    if problems:
        return problems
    budget = budget or Budget()
    return problems_of(history, screened(_batches(history), new_screen(history, budget)), budget)


def new_screen(history: Any, budget: Budget) -> Screen:
    """What looks at the rows of a history of the right shape, in the order of its file."""
    return Screen(count_rows(history), budget.memory_bytes // _VALUES_SHARE)


def problems_of(history: Any, screen: Screen, budget: Budget) -> tuple[str, ...]:
    """What is wrong with the rows that `screen` was shown; returns and raises as `validate`."""
    if screen.nulls:
        return (f"rows without {', '.join(sorted(screen.nulls))}",)
    if screen.in_order and not screen.suspicious():
        return tuple(_odd_rows(screen))
    with budget.connect() as connection:
        _register(connection, history)
        if not screen.in_order:
            problems = proofs.sequence(connection)
            if problems:
                return problems
            columns = ", ".join(f'"{name}"' for name in READS)
            screen = screened(_sorted(connection, columns), new_screen(history, budget))
        return (*_odd_rows(screen), *_suspects(connection, screen))


def _odd_rows(screen: Screen) -> Iterator[str]:
    """What the screen answers for good."""
    kinds = screen.kinds.items()
    typeless = sum(n for (kind, _), n in kinds if kind not in TYPES)
    if typeless:
        yield f"{typeless:,} rows have a type other than {', '.join(TYPES)}"
    odd = {
        f"{op} of type {kind}": n
        for (kind, op), n in kinds
        if (op in _EVENTS_ONLY and kind in TYPES and kind != "event")
        or (op in _COMMANDS_ONLY and kind == "event")
    }
    if odd:
        yield f"{sum(odd.values()):,} rows are what cannot be: {', '.join(sorted(odd))}"
    if screen.beyond:
        yield f"{screen.beyond:,} times, ids or offsets lie beyond 2^62: nobody can add to them"
    if screen.without_id:
        yield f"{screen.without_id:,} rows of commands have no id"
    if screen.without_place:
        yield f"{screen.without_place:,} polled records have no partition or no offset"
    if screen.steps_back:
        yield (
            f"a client's clock steps back {screen.steps_back:,} times: its times cannot be compared"
        )


def _suspects(connection: duckdb.DuckDBPyConnection, screen: Screen) -> tuple[str, ...]:
    """What only the rows themselves can answer."""
    suspects = screen.suspects()
    found = proofs.commands(connection, suspects) if suspects else ()
    return found if screen.values.clean() else (*found, *proofs.values(connection))


def shape_problems(history: Any) -> tuple[str, ...]:
    """What is wrong with version and columns of a table, or path; asked before rows are read."""
    given = history.schema if isinstance(history, pa.Table) else pq.read_schema(str(history))
    version = (given.metadata or {}).get(VERSION_KEY, b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        return (f"the history has schema version {version}, this lab reads {SCHEMA_VERSION}",)
    wrong = [
        f"{want.name} is {given.field(want.name).type}, not {want.type}"
        if given.names.count(want.name) == 1
        else f"{want.name} is missing or there twice"
        for want in schema()
        if given.names.count(want.name) != 1 or given.field(want.name).type != want.type
    ]
    if wrong:
        return (f"the history's columns are not those of version {version}: {'; '.join(wrong)}",)
    return () if count_rows(history) else ("the history is empty: nothing was recorded",)


def count_rows(history: Any) -> int:
    """How many rows a table, or a file, has."""
    if isinstance(history, pa.Table):
        return int(history.num_rows)
    return int(pq.read_metadata(str(history)).num_rows)


def _batches(history: Any) -> Iterator[pa.RecordBatch]:
    """In the order of the file, names as dictionaries where the file has them so."""
    names = list(READS)
    if isinstance(history, pa.Table):
        yield from history.select(names).to_batches(max_chunksize=_BATCH_ROWS)
        return
    dictionaries = [*NAMES, "topic"]
    with pq.ParquetFile(
        str(history), read_dictionary=dictionaries, page_checksum_verification=True
    ) as file:
        yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=names)


def sorted_batches(connection: duckdb.DuckDBPyConnection, history: Any) -> Iterator[pa.RecordBatch]:
    """All columns in the order of `index`, on a fresh connection."""
    _register(connection, history)
    yield from _sorted(connection, "*")


def _sorted(connection: duckdb.DuckDBPyConnection, columns: str) -> Iterator[pa.RecordBatch]:
    yield from connection.sql(_SORTED.format(columns=columns)).to_arrow_reader(_BATCH_ROWS)


def _register(connection: duckdb.DuckDBPyConnection, history: Any) -> None:
    if isinstance(history, pa.Table):
        connection.register("history", history)
    else:
        connection.read_parquet(str(history)).create_view("history")
