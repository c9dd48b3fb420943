"""The relations that checkers share, as SQL.

The argument behind each stands here once, so that every claim reads a history alike:

events      the history, columns renamed so that none is an SQL keyword: idx, part, off.
actions     the rows of it that are neither of `send` nor of `poll`: few, so look there first.
places      one row a partition: whether it is `suspect`, and counters, see screen/marks.py. Where a
            client was to choose the partition, part is −1.
quiet       the counters of all partitions that are not suspect, in one row.
idle        see stall.py; lulled: see watermark.py.
waited      partitions in which somebody may have waited too long, if a claim asks for that.
suspects    the suspect partitions: those of the screen, and of `waited`, and all where the lab
            noted faults or samples (progress.py); and −1 for each of their topics.
records     those rows of `send`, and of `poll` with a record, that concern suspect partitions.
            `sends`, `deliveries` and all that is made of them are about these only.
polls, given, placed, first_sends
            in short, of all partitions: see screen/runs.py.
clients     one row a client name: `grp` the consumer group it was opened with (the empty string
            where none was recorded), `scope` the reader that it belongs to. Whether it `polls`,
            was `given` records, `sends`. Members of a group
            that subscribe share one position a partition, so they are one reader; a client that
            assigns partitions by hand reads for itself. `ordered`: it was opened idempotent or
            transactional, so its records keep their order. `from_start` says that it begins at
            the first record (offset_reset earliest, or no `open` was recorded at all).
sends       one row a value. `outcome` is that of the completion, and `info` while there is none.
            `acked`: the broker has it; acks=0 says nothing. `acknowledged`: it promised to keep it,
            so where it was sent in a transaction, `txn`, that was committed, too.
deliveries  one row a record that `poll` gave out. `misplaced`: it came from another topic or
            partition than its send asked for, or was acknowledged in, or its payload names; such
            a record is wrong-topic's alone and proves nothing about the place it came from.
            `sent_ns` and `txn` are those of its send.
conflicts   offsets at which more than one value was seen (acknowledged or delivered).
spans       per reader and partition: `start`, the first offset that it was due to read, and
            `top`, the highest that it was given. With offset_reset latest (or unset) the first
            offset due is the first one given: what came before is not owed.
skips       offsets [low, high] that a reader did not read because it was told so, by a `seek` or
            an `assign` further on: further than what any member of its group was given last.
restarts    offsets [low, high] that a group which begins at the end passed over where it began
            there anew: a member was assigned the partition, and nothing was known to be committed
            by then. They lie between what any member was given last before that and what this one
            was given, or told to seek, first after it; without such, all above.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import Relation

_EVENTS = """
SELECT "index" AS idx, time_ns, process::client_name AS process, type, op, op_id,
       topic::topic_name AS topic, "partition" AS part, "offset" AS off, value, intended, problem,
       error, generation, detail
FROM history
"""

_ACTIONS = """
SELECT "index" AS idx, time_ns, process::client_name AS process, type, op, op_id,
       topic::topic_name AS topic, "partition" AS part, "offset" AS off, value, intended, problem,
       error, generation, detail
FROM seen_actions
"""

_OF_CLIENT = "SELECT * REPLACE (process::client_name AS process) FROM seen_{}"
_OF_PLACE = """
SELECT * REPLACE (process::client_name AS process, topic::topic_name AS topic) FROM seen_{}
"""

_WAITED = "SELECT topic, part FROM idle UNION SELECT topic, part FROM lulled"
NOBODY_ASKS = Relation(("places",), "SELECT topic, part FROM places WHERE false")

_SUSPECTS = """
WITH marked AS (
    SELECT topic, part FROM places WHERE suspect UNION SELECT topic, part FROM waited
    UNION SELECT topic, part FROM places, context
    WHERE (list_contains(claims, 'deadlock') AND EXISTS (FROM actions WHERE op = 'sample'))
       OR (list_contains(claims, 'unrecovered') AND EXISTS (FROM actions WHERE op = 'fault'))
), whole AS (
    SELECT DISTINCT p.topic, p.part FROM places p JOIN marked m ON m.topic = p.topic AND m.part < 0
)
SELECT topic, part FROM marked UNION SELECT topic, part FROM whole
UNION SELECT DISTINCT topic, -1 FROM marked
"""

_QUIET = """
SELECT coalesce(sum(acknowledged), 0) AS acknowledged, coalesce(sum(failed), 0) AS failed,
       coalesce(sum(delivered), 0) AS delivered,
       coalesce(sum(delivered_after), 0) AS delivered_after,
       coalesce(sum(sends_after), 0) AS sends_after,
       coalesce(sum(ordered_after), 0) AS ordered_after,
       coalesce(sum(pairs), 0) AS pairs, coalesce(sum(pairs_apart), 0) AS pairs_apart
FROM places ANTI JOIN suspects USING (topic, part)
"""

_RECORDS = """
SELECT e.* FROM events e SEMI JOIN suspects s ON s.topic = e.topic AND s.part = coalesce(e.part, -1)
WHERE e.op IN ('send', 'poll')
"""

_CLIENTS = """
WITH opened AS (
    SELECT process, bool_or(true) AS opened,
           arg_max(detail ->> '$.config.group', idx) AS grp,
           arg_max(detail ->> '$.config.offset_reset', idx) AS reset,
           bool_or(detail ->> '$.config.auto_commit' = 'true') AS auto_commit,
           bool_or(detail ->> '$.config.acks' = '0') AS promises_nothing,
           bool_or(detail ->> '$.config.idempotence' = 'true'
                   OR detail ->> '$.config.transactional_id' IS NOT NULL) AS ordered,
           max(TRY_CAST(detail ->> '$.config.session_timeout_ms' AS BIGINT)) AS session_ms
    FROM actions WHERE op = 'open' AND type = 'invoke' GROUP BY process
), seen AS (
    SELECT process, process IN (SELECT process FROM actions WHERE op = 'subscribe') AS subscribed,
           polls, given, sends
    FROM (SELECT * REPLACE (process::client_name AS process) FROM seen_processes)
)
SELECT process, coalesce(grp, '') AS grp, subscribed, polls, given, sends,
       coalesce(opened, false) AS opened,
       coalesce(auto_commit, false) AS auto_commit,
       coalesce(promises_nothing, false) AS promises_nothing, coalesce(ordered, false) AS ordered,
       coalesce(session_ms, 45000) * 1000000 AS session_ns,
       coalesce(reset, CASE WHEN opened THEN 'latest' ELSE 'earliest' END) = 'earliest'
           AS from_start,
       CASE WHEN subscribed THEN 'group:' || coalesce(grp, '') ELSE 'client:' || process END
           AS scope
FROM seen LEFT JOIN opened USING (process)
"""

_SENDS = """
SELECT i.value, i.process, i.op_id, i.topic, i.part AS requested, i.idx AS invoke_idx,
       i.time_ns AS invoke_ns, coalesce(c.type, 'info') AS outcome, c.part AS part,
       CASE WHEN c.off >= 0 THEN c.off END AS off, c.idx AS ack_idx, c.time_ns AS ack_ns,
       coalesce(c.type = 'ok' AND NOT l.promises_nothing, false) AS acked,
       acked AND coalesce(x.state = 'committed', true) AS acknowledged, x.txn
FROM (SELECT * FROM records WHERE op = 'send' AND type = 'invoke') i
JOIN clients l ON l.process = i.process
LEFT JOIN (SELECT * FROM records WHERE op = 'send' AND type <> 'invoke') c ON c.value = i.value
LEFT JOIN txn_sends x ON x.value = i.value
"""

_DELIVERIES = """
SELECT d.idx, d.time_ns, d.process, d.op_id, l.scope, l.grp, d.topic, d.part, d.off, d.value,
       d.problem, s.value IS NOT NULL AS known, s.invoke_ns AS sent_ns, s.txn,
       coalesce(s.topic <> d.topic OR coalesce(s.part, s.requested) <> d.part, false)
           OR coalesce(s.requested <> d.part, false)
           OR coalesce(d.intended <> d.topic || '/' || d.part, false) AS misplaced
FROM (SELECT * FROM records WHERE op = 'poll' AND type <> 'invoke') d
JOIN clients l ON l.process = d.process
LEFT JOIN sends s ON s.value = d.value AND d.problem IS NULL
"""

_CONFLICTS = """
SELECT topic, part, off, min(value) AS one, max(value) AS other FROM (
    SELECT topic, part, off, value FROM deliveries
    WHERE problem IS NULL AND NOT misplaced
    UNION ALL
    SELECT topic, part, off, value FROM sends WHERE outcome = 'ok' AND off IS NOT NULL
) GROUP BY topic, part, off HAVING min(value) <> max(value)
"""

_POSITIONS = """
SELECT e.idx, e.time_ns, e.process, l.scope, e.topic, e.part, e.off, e.op, l.from_start
FROM actions e JOIN clients l ON l.process = e.process
WHERE e.op IN ('seek', 'assign') AND e.type = 'ok' AND e.topic IS NOT NULL
"""

# A reader that begins at the end, was told to go elsewhere and left before it read there: whoever
# has the partition next begins at the end again.
_SPANS = """
WITH beginners AS (
    SELECT scope FROM clients GROUP BY scope HAVING bool_or(from_start)
), given_up AS (
    SELECT p.idx, p.process, p.topic, p.part, min(e.idx) AS until_idx
    FROM positions p JOIN clients l ON l.scope = p.scope
    JOIN actions e ON e.process = l.process AND e.op = 'assigned' AND e.topic = p.topic
         AND e.part = p.part AND e.idx > p.idx
    GROUP BY ALL
), touched AS (
    SELECT scope, topic, part, min(off) AS first, max(off) AS top
    FROM deliveries WHERE NOT misplaced GROUP BY ALL
    UNION ALL
    SELECT l.scope, e.topic, e.part, NULL, NULL FROM actions e JOIN clients l USING (process)
    WHERE e.op = 'assigned'
    UNION ALL
    SELECT scope, topic, part, CASE WHEN off >= 0 THEN off END, NULL FROM positions
    WHERE idx NOT IN (SELECT g.idx FROM given_up g ANTI JOIN deliveries d
                      ON d.process = g.process AND d.topic = g.topic AND d.part = g.part
                      AND d.idx > g.idx AND d.idx < g.until_idx)
)
SELECT t.scope, t.topic, t.part, max(t.top) AS top,
       min(CASE WHEN b.scope IS NOT NULL THEN 0 ELSE t.first END) AS start
FROM touched t LEFT JOIN beginners b USING (scope) GROUP BY ALL
"""

_SKIPS = """
SELECT p.scope, p.topic, p.part, coalesce(d.off, -1) + 1 AS low, p.off - 1 AS high
FROM positions p ASOF LEFT JOIN (SELECT * FROM deliveries WHERE NOT misplaced) d
  ON d.scope = p.scope AND d.topic = p.topic AND d.part = p.part AND d.idx <= p.idx
WHERE p.off > coalesce(d.off, -1) + 1
"""

_RESTARTS = """
WITH latest AS (
    SELECT scope FROM clients GROUP BY scope HAVING NOT bool_or(from_start)
), given_out AS (
    SELECT scope, process, topic, part, off, idx FROM deliveries SEMI JOIN latest USING (scope)
    WHERE NOT misplaced
), placed_at AS (
    SELECT process, topic, part, off, idx FROM given_out
    UNION ALL SELECT process, topic, part, off, idx FROM positions WHERE off >= 0
), begun AS (
    SELECT l.scope, l.grp, a.process, a.topic, a.part, a.idx, a.time_ns
    FROM actions a JOIN clients l USING (process) JOIN latest USING (scope)
    WHERE a.op = 'assigned'
)
SELECT b.scope, b.topic, b.part, coalesce(d.off, -1) + 1 AS low,
       coalesce(p.off - 1, 9223372036854775807) AS high
FROM (SELECT * FROM begun b ANTI JOIN offsets o ON o.grp = b.grp AND o.topic = b.topic
      AND o.part = b.part AND o.off >= 0 AND o.end_ns < b.time_ns) b
ASOF LEFT JOIN given_out d ON d.scope = b.scope AND d.topic = b.topic AND d.part = b.part
     AND d.idx < b.idx
ASOF LEFT JOIN placed_at p ON p.process = b.process AND p.topic = b.topic AND p.part = b.part
     AND p.idx > b.idx
"""

BASE: dict[str, Relation] = {
    "events": Relation((), _EVENTS),
    "actions": Relation((), _ACTIONS),
    "places": Relation((), "SELECT * REPLACE (topic::topic_name AS topic) FROM seen_places"),
    "polls": Relation((), _OF_CLIENT.format("polls")),
    "given": Relation((), _OF_PLACE.format("given")),
    "placed": Relation((), _OF_PLACE.format("placed")),
    "first_sends": Relation((), _OF_CLIENT.format("first_sends")),
    "clients": Relation(("actions",), _CLIENTS),
    "waited": Relation(("idle", "lulled"), _WAITED),
    "suspects": Relation(("places", "waited", "actions"), _SUSPECTS),
    "quiet": Relation(("suspects",), _QUIET),
    "records": Relation(("events", "suspects"), _RECORDS),
    "sends": Relation(("records", "clients", "txn_sends"), _SENDS),
    "deliveries": Relation(("records", "clients", "sends"), _DELIVERIES),
    "conflicts": Relation(("sends", "deliveries"), _CONFLICTS),
    "positions": Relation(("actions", "clients"), _POSITIONS),
    "spans": Relation(("deliveries", "positions"), _SPANS),
    "skips": Relation(("deliveries", "positions"), _SKIPS),
    "restarts": Relation(("deliveries", "positions", "offsets"), _RESTARTS),
}
