"""Does each client come up, and go away, in bounded time? Claims startup and hung-close.

Operations: `open`, the first thing each client was asked to do after it, and `close`.

    startup     a client is usable when `open` returned and the first thing asked of it worked: for
                a producer the first `send` that ended, for a consumer the first partition assigned
                or record delivered. The time is that of `open` plus that of this first
                operation, so that a lab which waits in between does not count. It fails when
                the time exceeds startup_ns, when `open` failed, or when neither had ended after
                that long; a client that was killed or closed is not waited for any longer. A
                group member without partitions is fine as long as another member has, or had, some:
                there may be more members than partitions, until one goes.
    hung-close  a `close` must end as `ok` within close_ns. One that ended otherwise did not close
                the client; one that had not ended close_ns later hangs. A client may be closed
                several times: the life is judged by its first call and its first success.
                A client that the lab killed is not judged; nor is one whose close was still
                within its bound when the lab stopped looking, nor one that ran while its
                client was in a deadlock, if `deadlock` is judged.

The lab's own admin client (process "admin") is no subject and is not judged. Where nothing ended,
and nothing took longer than its bound, nothing can be said.

Not checked: what is left behind after a close (handle-leak).
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, decided, unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_STARTUP = """
WITH marks AS (
    SELECT process, idx, time_ns, op, type FROM actions
    UNION ALL SELECT process, idx, time_ns, 'send', type FROM first_sends
    UNION ALL SELECT process, idx, time_ns, 'given', 'ok' FROM given
), opened AS (
    SELECT i.process, i.idx, i.op_id, i.time_ns AS from_ns, c.type, c.error,
           c.time_ns - i.time_ns AS open_ns,
           lead(i.idx, 1, 9223372036854775807) OVER (PARTITION BY i.process ORDER BY i.idx) AS until
    FROM (SELECT * FROM actions WHERE op = 'open' AND type = 'invoke' AND process <> 'admin') i
    LEFT JOIN (SELECT * FROM actions WHERE op = 'open' AND type <> 'invoke') c
      ON c.process = i.process AND c.op_id = i.op_id AND c.idx > i.idx AND c.time_ns >= i.time_ns
), told AS (
    SELECT o.*, min(e.time_ns) AS asked_ns, min(e.idx) AS asked_idx
    FROM opened o LEFT JOIN marks e ON e.process = o.process AND e.idx > o.idx
         AND e.idx < o.until AND e.type = 'invoke' AND e.op IN ('send', 'subscribe', 'assign')
    GROUP BY ALL
), answered AS (
    SELECT t.*, min(e.time_ns) AS usable_ns
    FROM told t LEFT JOIN marks e ON e.process = t.process AND e.idx > t.asked_idx
         AND e.idx < t.until AND ((e.op = 'send' AND e.type = 'ok')
           OR e.op IN ('assigned', 'given')
           OR (e.op = 'assign' AND e.type = 'ok'))
    GROUP BY ALL
), ended AS (
    SELECT a.process, a.idx, min(e.time_ns) AS end_ns
    FROM answered a JOIN actions e ON e.process = a.process AND e.idx > a.idx AND e.idx < a.until
    WHERE e.op = 'kill' OR (e.op = 'close' AND e.type = 'invoke') GROUP BY ALL
), served AS (
    SELECT l.scope, a.process, min(a.usable_ns) AS usable_ns
    FROM answered a JOIN clients l USING (process)
    WHERE a.usable_ns IS NOT NULL AND l.subscribed GROUP BY ALL
)
SELECT a.process AS client, a.idx AS row_open, a.type AS open_outcome, a.error,
       a.open_ns / 1e6 AS open_ms, (a.usable_ns - a.asked_ns) / 1e6 AS first_operation_ms
FROM answered a JOIN clients l USING (process) LEFT JOIN ended n USING (process, idx), context c
WHERE a.type IN ('fail', 'info')
   OR coalesce(a.open_ns, least(c.finished_ns, n.end_ns) - a.from_ns)
      + coalesce(CASE WHEN EXISTS (SELECT 1 FROM served s WHERE s.scope = l.scope
                           AND s.process <> a.process
                           AND coalesce(s.usable_ns < a.usable_ns, true)) THEN 0
                      WHEN a.usable_ns IS NOT NULL THEN a.usable_ns - a.asked_ns
                      ELSE least(c.finished_ns, n.end_ns) - a.asked_ns END, 0) > c.startup_ns
ORDER BY a.idx
"""

_COUNT = "SELECT count(*) FROM actions WHERE op = '{op}' AND type {how} AND process <> 'admin'"

_HUNG = """
WITH lives AS (
    SELECT process, idx, lead(idx, 1, 9223372036854775807) OVER
           (PARTITION BY process ORDER BY idx) AS until
    FROM actions WHERE op = 'open' AND type = 'invoke' AND process <> 'admin'
    UNION ALL
    SELECT process, -1, 9223372036854775807 FROM clients
    WHERE process <> 'admin' AND process NOT IN (SELECT process FROM actions WHERE op = 'open')
), called AS (
    SELECT l.process, l.idx, l.until, min(e.time_ns) AS from_ns, min(e.idx) AS row_close
    FROM lives l JOIN actions e ON e.process = l.process AND e.idx > l.idx AND e.idx < l.until
         AND e.op = 'close' AND e.type = 'invoke' GROUP BY ALL
), ended AS (
    SELECT c.*, min(e.time_ns) FILTER (e.op = 'close' AND e.type = 'ok') AS closed_ns,
           min(e.time_ns) FILTER (e.op = 'close' AND e.type IN ('fail', 'info')) AS failed_ns,
           min(e.time_ns) FILTER (e.op = 'kill') AS killed_ns,
           min(e.error) FILTER (e.op = 'close') AS error
    FROM called c LEFT JOIN actions e ON e.process = c.process AND e.idx > c.row_close
         AND e.idx < c.until GROUP BY ALL
)
SELECT e.process AS client, e.row_close, (e.closed_ns - e.from_ns) / 1e6 AS took_ms,
       (least(e.killed_ns, c.finished_ns) - e.from_ns) / 1e6 AS waited_ms, e.error,
       e.failed_ns IS NOT NULL AND e.closed_ns IS NULL AS failed
FROM ended e, context c
WHERE ((e.closed_ns IS NULL AND e.failed_ns IS NOT NULL)
   OR coalesce(e.closed_ns, least(e.killed_ns, c.finished_ns)) - e.from_ns > c.close_ns)
  AND {not_taken}
ORDER BY e.row_close
"""
_NOT_DEADLOCKED = """NOT EXISTS (SELECT 1 FROM deadlocks d WHERE d.process = e.process
    AND d.flight_ns <= coalesce(e.closed_ns, c.finished_ns) AND d.flight_end_ns >= e.from_ns)
"""


def startup(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A client was not usable within the bound."""
    view.use("clients", "first_sends", "given")
    bound = context.startup_ns / 1e9
    return _ended_in_time(
        view,
        "startup",
        "open",
        _STARTUP,
        f"{{count}} clients were not usable within {bound:g} s",
        f"each of {{judged}} clients was usable within {bound:g} s",
    )


def hung_close(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A client did not close within the bound."""
    view.use("clients")
    not_taken = "true"
    if view.judges("deadlock"):
        view.use("deadlocks")
        not_taken = _NOT_DEADLOCKED
    bound = context.close_ns / 1e9
    return _ended_in_time(
        view,
        "hung-close",
        "close",
        _HUNG.format(not_taken=not_taken),
        f"{{count}} clients did not close within {bound:g} s",
        f"each of {{judged}} closes ended within {bound:g} s",
    )


def _ended_in_time(
    view: HistoryView, claim: str, op: str, find: str, broken: str, held: str
) -> ClaimVerdict:
    if not view.number(_COUNT.format(op=op, how="= 'invoke'")):
        return unknown(claim, f"no client was asked to {op}: there is nothing to judge")
    found = view.find(find)
    ended = view.number(_COUNT.format(op=op, how="<> 'invoke'"))
    if not found.count and not ended:
        return unknown(claim, f"no {op} had ended, nor exceeded its bound, by the end")
    return decided(claim, found, broken, held.replace("{judged}", f"{ended:,}"))
