"""Histories as columns: rows to an Arrow table, and whether a table can be judged at all.

A verdict is worth as much as the history it rests on, so this is looked at first. Whatever
`validate` names makes every verdict on that history `unknown`: a history that is not well formed
may hide an anomaly or invent one. What is checked, and why:

- the schema version and the columns: a checker that reads a column as something else is wrong;
- `index` counts 0, 1, 2, ...: a gap is a row that got lost on the way;
- every completion has an invocation of the same process and id: else a command was not recorded;
- a value is sent once and completes at most once: values identify records;
- one client's clock does not step back: durations and real-time order rest on it. A driver stamps
  its events on several threads, so steps up to CLOCK_SLACK_NS are order of writing, not of time.
  What the lab itself notes (`kill`, ...) is stamped elsewhere and left out of this.

Not checked here: whether there was enough to judge a claim. Each checker says that for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from kafkalab.model.history import COLUMNS, SCHEMA_VERSION, Row

VERSION_KEY = b"kafkalab.history.schema"
CLOCK_SLACK_NS = 50_000_000
TYPES = ("invoke", "ok", "fail", "info", "event")
NOTED = ("kill", "fault", "sample", "thread_dump")  # by the lab, on a clock of its own

_REQUIRED = ("index", "time_ns", "process", "type", "op", "op_id")

_ROW_RULES = (
    (
        """SELECT count(*) FROM (SELECT "index" - row_number() OVER (ORDER BY "index") + 1 AS d
           FROM history) WHERE d <> 0""",
        "{n:,} rows out of sequence: `index` must count 0, 1, 2, ...; some were lost or doubled",
    ),
    (
        """SELECT count(*) FROM history
           WHERE type NOT IN ('invoke', 'ok', 'fail', 'info', 'event')""",
        "{n:,} rows have a type other than invoke, ok, fail, info, event",
    ),
    (
        """SELECT count(*) FROM (SELECT DISTINCT process, op_id FROM history
           WHERE type IN ('ok', 'fail', 'info')) ANTI JOIN
           (SELECT DISTINCT process, op_id FROM history WHERE type = 'invoke')
           USING (process, op_id)""",
        "{n:,} operations completed that were never invoked",
    ),
    (
        """SELECT count(*) FROM (SELECT value FROM history WHERE op = 'send' AND type = 'invoke'
           GROUP BY value HAVING count(*) > 1 OR value IS NULL)""",
        "{n:,} values were sent more than once (or a send has no value): values must be unique",
    ),
    (
        """SELECT count(*) FROM (SELECT value FROM history WHERE op = 'send'
           AND type IN ('ok', 'fail', 'info') GROUP BY value HAVING count(*) > 1)""",
        "{n:,} sends completed more than once",
    ),
    (
        """SELECT count(*) FROM (SELECT DISTINCT value FROM history WHERE op = 'send'
           AND type IN ('ok', 'fail', 'info')) ANTI JOIN (SELECT value FROM history
           WHERE op = 'send' AND type = 'invoke') USING (value)""",
        "{n:,} sends completed whose value was never sent",
    ),
    (
        """SELECT count(*) FROM (SELECT time_ns - lag(time_ns) OVER
           (PARTITION BY process ORDER BY "index") AS step FROM history
           WHERE op NOT IN ('kill', 'fault', 'sample', 'thread_dump'))
           WHERE step < -$slack""",
        "a client's clock steps back {n:,} times: its times cannot be compared",
    ),
)


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


def validate(history: pa.Table) -> tuple[str, ...]:
    """Reasons why no claim can be judged on this history; empty when it is well formed."""
    problems = shape_problems(history)
    if problems:
        return problems
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET enable_progress_bar = false")  # it writes to stdout
        connection.register("history", history)
        found = []
        for sql, text in _ROW_RULES:
            slack = {"slack": CLOCK_SLACK_NS} if "$slack" in sql else None
            row = connection.execute(sql, slack).fetchone()
            if row and row[0]:
                found.append(text.format(n=row[0]))
    return tuple(found)


def shape_problems(history: pa.Table) -> tuple[str, ...]:
    """What is wrong with version, columns and required fields: asked before any row is read."""
    version = (history.schema.metadata or {}).get(VERSION_KEY, b"none").decode()
    if version != str(SCHEMA_VERSION):
        return (f"the history has schema version {version}, this lab reads {SCHEMA_VERSION}",)
    expected = schema()
    wrong = [
        f"{want.name} is {history.schema.field(want.name).type}, not {want.type}"
        if want.name in history.schema.names
        else f"{want.name} is missing"
        for want in expected
        if want.name not in history.schema.names
        or history.schema.field(want.name).type != want.type
    ]
    if wrong:
        return (f"the history's columns are not those of version {version}: {'; '.join(wrong)}",)
    if history.num_rows == 0:
        return ("the history is empty: nothing was recorded",)
    nulls = [name for name in _REQUIRED if history.column(name).null_count]
    return (f"rows without {', '.join(nulls)}",) if nulls else ()
