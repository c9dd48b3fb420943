"""Does a client get on, and get on again after a fault? Claims deadlock and unrecovered.

Operations: whatever was in flight, what the lab noted beside it (model/history.py): `sample` (CPU
of a client's process), `thread_dump`, `fault` (injected, healed), and what stall.py looks at.

*Progress* of a client is any of its operations that ended, other than a poll that gave nothing, and
partitions that came or went. *In flight* is an operation of its between invocation and completion,
or the end of its life, and a client's polling where stall.py says that records waited for it: a
poll that has nothing to give may wait for ever. Not counted: `open` (startup's), an asynchronous
commit (it may wait for the next poll), loops (they last), the lab's admin client.

    deadlock     an operation was in flight for all of deadlock_ns, in which its client made no
                 progress and its process used less than deadlock_cpu_ratio of one core for each
                 client in it (an idle one heartbeats and ticks): between two samples that lie so
                 far apart. One finding a client; the thread dump taken after that, if there was
                 one, is its evidence. A client that was never usable is startup's, if judged. What
                 a deadlock explains is not counted by stall, hung-close and unrecovered.
    unrecovered  after a fault was healed a client tried for longer than recovery_ns and had no
                 success: a producer that was sending, with one second between two sends
                 forgiven, and no send ended as ok; or a reader that stall.py says was waiting,
                 since before the fault was healed or since it was recovering. Faults that overlap
                 are healed when the last one is; the time to recover ends where the next begins.

From the injection of a fault until recovery_ns after it was healed nobody is blamed: time in it is
no time of a deadlock or a stall. A stall that lasts recovery_ns beyond the healing belongs to
unrecovered, if judged; what a stall has left beyond such times is its own.

Too little is unknown: no sample of any client, or an operation in flight for deadlock_ns of a
client no two of whose samples lie so far apart; no fault that was healed, or nobody who tried
afterwards. A client that never had an operation in flight for so long did not stand still, however
short it was looked at.

Not checked: a client that shares its process with busy ones (the CPU is the process's, told off in
equal shares); one that waits in an asynchronous commit; recovery of anything but sends and reading
(an `open` after a fault is startup's, a `close` hung-close's); whether a fault had its effect (the
fault ledger says that).

The relations behind it stand in progress_tables.py.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, decided, decided_where, unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

_SAMPLED = """
SELECT count(DISTINCT process) FROM actions WHERE op = 'sample' AND process IN (
    SELECT process FROM actions WHERE type = 'invoke' UNION SELECT process FROM sends)
"""
_UNREAD = """
SELECT process AS client, list(DISTINCT op ORDER BY op) AS in_flight,
       max(to_ns - from_ns) / 1e6 AS flight_ms
FROM flights ANTI JOIN cpu_use USING (process) GROUP BY process ORDER BY process
"""

_STUCK = """
WITH found AS (
    SELECT process, list(DISTINCT op ORDER BY op) AS in_flight, min(idx) AS row_invoked,
           min(from_ns) AS from_ns, max(to_ns) AS to_ns, min(used_ms) AS cpu_ms,
           min(row_from) AS row_first_sample, min(row_to) AS row_second_sample
    FROM deadlocks GROUP BY process
), dumps AS (
    SELECT process, time_ns, idx, coalesce(detail ->> '$.text', detail ->> '$.uri') AS dump
    FROM actions WHERE op = 'thread_dump'
)
SELECT f.process AS client, f.in_flight, f.row_invoked, (f.to_ns - f.from_ns) / 1e6 AS idle_ms,
       f.cpu_ms, f.row_first_sample, f.row_second_sample, d.idx AS row_thread_dump,
       d.dump AS thread_dump
FROM found f ASOF LEFT JOIN dumps d ON d.process = f.process AND d.time_ns >= f.from_ns
ORDER BY f.row_first_sample
"""

_TRIED = """
SELECT count(*) FROM (
    SELECT process, healed_ns FROM recoveries WHERE ok_ns = to_ns
    UNION
    SELECT d.process, o.healed_ns FROM (SELECT DISTINCT process, time_ns FROM deliveries) d
    ASOF JOIN outages o ON o.healed_ns < d.time_ns WHERE d.time_ns < o.until_ns
    UNION
    SELECT client, healed_ns FROM unrecovered
)
"""

_WITHOUT_SUCCESS = """
SELECT client, op, faults, asked_ns / 1e6 AS tried_ms, row_sent,
       (SELECT max(idx) FROM actions WHERE op = 'fault' AND time_ns = healed_ns) AS row_healed
FROM unrecovered ORDER BY healed_ns, client
"""


def deadlock(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """No progress and no CPU for the bound, with operations in flight."""
    claim = "deadlock"
    bound = context.deadlock_ns / 1e9
    view.use("sends")
    sampled = view.number(_SAMPLED)
    if not sampled:
        return unknown(claim, "no client's CPU (op sample) was read")
    view.use("deadlocks")
    stuck = view.find(_STUCK)
    unread = view.find(_UNREAD)
    if unread.count and not stuck.count:
        names = ", ".join(each["client"] for each in unread.evidence)
        lacking = f"had operations in flight for {bound:g} s in which nobody read its CPU"
        return unknown(claim, f"{unread.count:,} clients ({names}) {lacking}", unread.evidence)
    return decided(
        claim,
        stuck,
        f"{{count}} clients stood still for {bound:g} s, without CPU, with operations in flight",
        f"none of {sampled:,} clients stood still for {bound:g} s with operations in flight",
    )


def unrecovered(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """No progress within the bound after a fault was healed."""
    claim = "unrecovered"
    bound = context.recovery_ns / 1e9
    view.use("outages")
    if not view.number("SELECT count(*) FROM outages WHERE NOT open"):
        return unknown(claim, "no fault was noted as healed: there is nothing to recover from")
    view.use("unrecovered")
    return decided_where(
        view,
        claim,
        _TRIED,
        "no client sent or was given anything after a fault was healed",
        _WITHOUT_SUCCESS,
        f"{{count}} times a client did not get on within {bound:g} s after a fault was healed",
    )
