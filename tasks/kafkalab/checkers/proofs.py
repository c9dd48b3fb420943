"""What a screen could not rule out, asked of the rows themselves, in SQL.

Each function returns problems in words. They are dear (hash tables over commands or values), so
`history.validate` calls them only with suspects, or where a screen could not look.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from kafkalab.checkers.wellformed import WITHOUT_CLIENT

_SEQUENCE = """
SELECT count(*) FROM (
    SELECT "index"::HUGEINT - row_number() OVER (ORDER BY "index") + 1 AS d FROM history
) WHERE d <> 0
"""

_NAMED = """
CREATE TEMP TABLE commands AS
SELECT unnest(CAST(? AS VARCHAR[])) AS process, unnest(CAST(? AS BIGINT[])) AS op_id
"""

# the rows of suspects, each in its client's life; an id may come again in another life
_RUNS = """
CREATE TEMP TABLE suspects AS
WITH looked_at AS (
    SELECT h.process, h.type, h.op, h.op_id, h."index" AS idx FROM history h
    SEMI JOIN commands c ON c.process = h.process AND c.op_id = h.op_id
    WHERE h.type IN ('invoke', 'ok', 'fail', 'info')
), opens AS (
    SELECT process, "index" AS life FROM history WHERE op = 'open' AND type = 'invoke'
)
SELECT l.*, coalesce(o.life, -1) AS life
FROM looked_at l ASOF LEFT JOIN opens o ON o.process = l.process AND o.life <= l.idx
"""

_NEVER = """
SELECT count(*) FROM (
    SELECT process, op_id FROM suspects GROUP BY ALL
    HAVING bool_or(type <> 'invoke') AND coalesce(
        min(idx) FILTER (type <> 'invoke') < min(idx) FILTER (type = 'invoke'), true)
)
"""

_OTHERWISE = """
SELECT count(*) FROM (
    SELECT DISTINCT process, op_id, op FROM suspects WHERE type <> 'invoke'
) d
ANTI JOIN (SELECT * FROM suspects WHERE type = 'invoke') i USING (process, op_id, op)
SEMI JOIN (SELECT * FROM suspects WHERE type = 'invoke') a USING (process, op_id)
"""

_TWICE = """
WITH asked AS (
    SELECT process, life, op_id, min(idx) AS first, max(idx) AS last, min(op) <> max(op) AS differ
    FROM suspects WHERE type = 'invoke' AND op NOT IN ({apart}) GROUP BY ALL
)
SELECT count(*) FROM asked a
WHERE differ OR (a.last > a.first AND EXISTS (
    SELECT 1 FROM suspects d WHERE d.process = a.process AND d.op_id = a.op_id
    AND d.type <> 'invoke' AND d.idx > a.first AND d.idx < a.last AND d.life = a.life))
"""

_BOTH_WAYS = """
SELECT count(*) FROM (
    SELECT process, life, op_id FROM suspects
    WHERE type <> 'invoke' AND op NOT IN ('send', {apart})
    GROUP BY ALL HAVING min(type) <> max(type)
)
"""

_COMMANDS = (
    (_NEVER, "{n:,} operations completed that were never invoked, or only later"),
    (_OTHERWISE, "{n:,} operations completed as another op than they were invoked as"),
    (_TWICE, "{n:,} times a client invoked an id again: ids must be unique in a client's life"),
    (_BOTH_WAYS, "{n:,} operations ended in more than one way"),
)

_VALUES = (
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
)


def sequence(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Whether `index` counts, in whatever order the rows lie."""
    text = "{n:,} rows out of sequence: `index` must count 0, 1, 2, ...; some were lost or doubled"
    return _asked(connection, ((_SEQUENCE, text),))


def commands(
    connection: duckdb.DuckDBPyConnection, suspects: Sequence[tuple[str, int]]
) -> tuple[str, ...]:
    """Whether commands were invoked once and ended as they may.

    Args:
        connection: has the relation `history`.
        suspects: client and id of those to look at.
    """
    columns = ([client for client, _ in suspects], [op_id for _, op_id in suspects])
    connection.execute(_NAMED, columns)
    connection.execute(_RUNS)
    apart = ", ".join(f"'{name}'" for name in WITHOUT_CLIENT)
    return _asked(connection, [(sql.format(apart=apart), text) for sql, text in _COMMANDS])


def values(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Whether each value was sent once and ended at most once."""
    return _asked(connection, _VALUES)


def _asked(
    connection: duckdb.DuckDBPyConnection, questions: Sequence[tuple[str, str]]
) -> tuple[str, ...]:
    found = []
    for sql, text in questions:
        ((count,),) = connection.execute(sql).fetchall()
        if count:
            found.append(text.format(n=count))
    return tuple(found)
