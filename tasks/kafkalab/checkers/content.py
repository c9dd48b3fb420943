"""Is what was read what was sent, where it was sent, once? The claims on records and places.

Operations: `send` with its outcome, `poll` with what it gave out, and what may move a reader's
position: `seek`, `assign`, `open`, and the event `assigned`. Values are unique and every payload
carries its value, where it was sent to and a checksum, so each record can be recognised.

    corrupt-value         a delivered payload is damaged (the driver found `problem`: checksum,
                          short, foreign, null-value), or its value is one that nobody sent. The
                          latter is left out when the history holds a `produce` loop, whose values
                          are not recorded, and where the offset's own value was acknowledged
                          (inconsistent-offsets, if judged).
    wrong-topic           a value was delivered from a topic or partition other than its send asked
                          for or was acknowledged in, or other than the payload itself names.
    null-becomes-empty    key, value and headers of a delivered record are those of its send but for
                          null that came as empty bytes, or empty bytes that came as null: a
                          tombstone that is none, or a value that deletes.
    changed-content       key, value or headers differ in any other way. Both are judged on records
                          whose value was recognised; the history keeps content where it is not
                          plain (model/history.py).
    inconsistent-offsets  one offset of a partition, two values: among those acknowledged there
                          and those delivered from there. A log never changes what it holds.
    duplicate             one value at several offsets: delivered ones, and the acknowledged one.
                          The producer (or its retry) appended twice. With duplicates_allowed
                          (no idempotence) that is reported, and legal.
    delivered-twice       one reader was given one offset again without an allowed reason.
                          Allowed: after a `seek` or `assign` of that partition by the client (or
                          another member: the group's position moved), or a new `open` of a client
                          that reads for itself; and, where the context says redelivery_allowed,
                          once per (re)assignment of the partition.

Each broken record is counted once: a misplaced one is wrong-topic's alone; an offset with two
values is inconsistent-offsets' alone; two offsets are a duplicate, one offset twice is not; what
came twice because a member read what was not its own, or began too low, is the group family's.

Not checked: order within a partition (the order family).

Source: Jepsen's Kafka workload, https://github.com/jepsen-io/redpanda (duplicate,
inconsistent-offsets).
"""

from __future__ import annotations

from dataclasses import replace

from kafkalab.checkers.protocol import NOTHING, HistoryView, Relation, decided, unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome

_CORRUPT = """
SELECT d.value, d.topic, d.part AS "partition", d.off AS "offset", d.process AS reader,
       d.idx AS row_read, coalesce(d.problem, 'never sent') AS problem
FROM deliveries d
ANTI JOIN (SELECT idx FROM markers, context WHERE list_contains(claims, 'control-batch-leak')) m
  ON m.idx = d.idx
WHERE d.problem IS NOT NULL
   OR (NOT d.known AND NOT d.misplaced
       AND NOT EXISTS (SELECT 1 FROM actions e WHERE e.op = 'produce')
       AND NOT EXISTS (SELECT 1 FROM conflicts c, context x
           WHERE c.topic = d.topic AND c.part = d.part AND c.off = d.off
             AND list_contains(x.claims, 'inconsistent-offsets')))
ORDER BY d.idx
"""

_WRONG_TOPIC = """
SELECT d.value, s.topic AS sent_topic, s.requested AS sent_partition,
       s.part AS acknowledged_partition, d.topic, d.part AS "partition", d.off AS "offset",
       d.process AS reader, d.idx AS row_read
FROM deliveries d LEFT JOIN sends s ON s.value = d.value
WHERE d.misplaced ORDER BY d.idx
"""

_INCONSISTENT = """
WITH seen AS (
    SELECT topic, part, off, value, idx FROM deliveries SEMI JOIN conflicts USING (topic, part, off)
    WHERE problem IS NULL AND NOT misplaced
    UNION ALL
    SELECT topic, part, off, value, ack_idx FROM sends SEMI JOIN conflicts USING (topic, part, off)
    WHERE outcome = 'ok'
)
SELECT c.topic, c.part AS "partition", c.off AS "offset", c.one AS value, c.other AS other_value,
       min(s.idx) FILTER (WHERE s.value = c.one) AS row_value,
       min(s.idx) FILTER (WHERE s.value = c.other) AS row_other_value
FROM conflicts c JOIN seen s USING (topic, part, off)
GROUP BY c.topic, c.part, c.off, c.one, c.other ORDER BY c.topic, c.part, c.off
"""

_DUPLICATE = """
WITH places AS (
    SELECT value, topic, part, off, idx FROM deliveries
    WHERE problem IS NULL AND NOT misplaced
    UNION ALL
    SELECT value, topic, part, off, ack_idx FROM sends WHERE outcome = 'ok' AND off IS NOT NULL
), several AS (
    SELECT value FROM places ANTI JOIN conflicts USING (topic, part, off) GROUP BY value
    HAVING min(off) <> max(off) OR min(part) <> max(part) OR min(topic) <> max(topic)
), firsts AS (
    SELECT value, topic || '/' || part || '@' || off AS place, min(idx) AS idx
    FROM places JOIN several USING (value) ANTI JOIN conflicts USING (topic, part, off)
    GROUP BY ALL
)
SELECT value, list(place ORDER BY idx) AS places, list(idx ORDER BY idx) AS rows
FROM firsts GROUP BY value ORDER BY value
"""

_TWICE = """
WITH repeated AS (
    SELECT scope, topic, part, off FROM deliveries ANTI JOIN conflicts USING (topic, part, off)
    WHERE NOT misplaced GROUP BY ALL HAVING count(*) > 1
), given AS (
    SELECT d.scope, d.topic, d.part, d.off, d.value, d.process, d.idx, d.op_id,
           lag(d.idx) OVER again AS before, lag(d.process) OVER again AS process_before,
           lag(d.op_id) OVER again AS op_before
    FROM deliveries d JOIN repeated USING (scope, topic, part, off)
    WHERE NOT d.misplaced WINDOW again AS
      (PARTITION BY d.scope, d.topic, d.part, d.off ORDER BY d.idx)
), told AS (
    SELECT scope, NULL AS process, topic, part, idx, op FROM positions
    UNION ALL
    SELECT l.scope, e.process, e.topic, e.part, e.idx, e.op FROM actions e
    JOIN clients l USING (process) WHERE e.op = 'assigned'
    UNION ALL
    SELECT l.scope, e.process, NULL, NULL, e.idx, e.op FROM actions e
    JOIN clients l USING (process)
    WHERE e.op = 'open' AND NOT l.subscribed
), judged AS (
    SELECT g.*,
           coalesce(bool_or(t.op IN ('seek', 'assign', 'open')), false) AS asked_for,
           coalesce(bool_or(t.op = 'assigned'), false) AS assigned_again
    FROM given g LEFT JOIN told t ON t.scope = g.scope AND t.idx > g.before AND t.idx < g.idx
         AND coalesce(t.process = g.process, true)
         AND (t.topic IS NULL OR (t.topic = g.topic AND t.part = g.part))
    WHERE g.before IS NOT NULL GROUP BY ALL
)
SELECT j.value, j.topic, j.part AS "partition", j.off AS "offset", j.process AS reader,
       j.idx AS row_read, j.process_before AS reader_before, j.before AS row_read_before
FROM judged j, context c
WHERE NOT j.asked_for AND NOT (c.redelivery_allowed
    AND (j.assigned_again OR j.process <> j.process_before))
  AND NOT EXISTS (SELECT 1 FROM improper i WHERE i.topic = j.topic AND i.part = j.part
    AND coalesce(j.off < i.until, true) AND ((i.process = j.process AND i.op_id = j.op_id)
         OR (i.process = j.process_before AND i.op_id = j.op_before))) ORDER BY j.idx
"""


_CHANGED = """
SELECT value, topic, part AS "partition", off AS "offset", sender, reader, idx AS row_read, sent,
       given
FROM contents
WHERE sent <> given AND (replace(sent, 'null', '""') = replace(given, 'null', '""')) = {only_null}
ORDER BY row_read
"""

# Records that are not plain, on either side; what is plain is written as the recorder would.
_CONTENTS = """
WITH plain AS (
    SELECT '{"content": {"headers": [], "key": null, "value": "payload"}}' AS content
), sent AS (
    SELECT value, detail FROM records WHERE op = 'send' AND type = 'invoke' AND detail IS NOT NULL
), given AS (
    SELECT idx, detail FROM records WHERE detail IS NOT NULL
)
SELECT d.value, d.topic, d.part, d.off, s.process AS sender, d.process AS reader, d.idx,
       coalesce(a.detail, p.content) AS sent, coalesce(b.detail, p.content) AS given
FROM plain p, deliveries d JOIN sends s USING (value)
LEFT JOIN sent a USING (value) LEFT JOIN given b ON b.idx = d.idx
WHERE d.problem IS NULL AND NOT d.misplaced AND (a.detail IS NOT NULL OR b.detail IS NOT NULL)
"""

RELATIONS: dict[str, Relation] = {
    "contents": Relation(("deliveries", "sends", "records"), _CONTENTS),
}


def corrupt_value(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A delivered payload is damaged, or is one that nobody sent."""
    del context
    broken = "{count} deliveries hold what nobody sent"
    return _judge(view, "corrupt-value", _CORRUPT, broken, "markers")


def wrong_topic(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A value came from a place that it was not sent to."""
    del context
    return _judge(
        view,
        "wrong-topic",
        _WRONG_TOPIC,
        "{count} deliveries came from a topic or partition that they were not sent to",
    )


def inconsistent_offsets(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """One offset holds several values."""
    del context
    return _judge(view, "inconsistent-offsets", _INCONSISTENT, "{count} offsets hold two values")


def duplicate(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """One value lies at several offsets; legal where duplicates_allowed, and then reported."""
    verdict = _judge(view, "duplicate", _DUPLICATE, "{count} values lie at several offsets")
    if verdict.outcome is Outcome.FAIL and context.duplicates_allowed:
        text = f"{verdict.summary}, which this producer's configuration allows"
        return replace(verdict, outcome=Outcome.PASS, count=0, summary=text)
    return verdict


def delivered_twice(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A reader was given an offset again without an allowed reason."""
    del context
    broken = "{count} offsets were delivered again without a reason"
    return _judge(view, "delivered-twice", _TWICE, broken, "improper")


def null_becomes_empty(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Null and empty bytes were exchanged."""
    del context
    return _judge(
        view,
        "null-becomes-empty",
        _CHANGED.format(only_null="true"),
        "{count} deliveries have empty bytes where null was sent, or null where empty bytes were",
        "contents",
    )


def changed_content(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """Key, value or headers are not those that were sent."""
    del context
    return _judge(
        view,
        "changed-content",
        _CHANGED.format(only_null="false"),
        "{count} deliveries have another key, value or header than was sent",
        "contents",
    )


def _judge(view: HistoryView, claim: str, sql: str, broken: str, *needs: str) -> ClaimVerdict:
    given = view.quiet("delivered")
    calm = view.calm()
    if not calm:
        view.use("actions", "sends", "deliveries", "conflicts", "positions", *needs)
        given += view.number("SELECT count(*) FROM deliveries")
    if not given:
        return unknown(claim, "nothing was delivered: there is nothing to judge")
    found = NOTHING if calm else view.find(sql)
    return decided(claim, found, broken, f"none in {given:,} deliveries")
