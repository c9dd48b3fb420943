"""The relations behind the transactions family, as SQL; the arguments stand in transactions.py.

txn_steps     one row a `txn` command: what was asked for, when, and how it ended.
producer_ids  when a client was opened with a transactional id.
inits         each successful `init` of such a client; `fenced_ns`: from when on another producer
              had surely taken its id over. That producer's `init` began after this one had ended,
              so it got the newer epoch, and it had ended by then.
txns          one row a transaction, named by the row of its `begin`. `until`: the first row that no
              longer belongs to it. `ended_idx`: the row that acknowledged its end. `commit_ns`:
              when its commit was first asked for, null if never.
              `end_ns`: when it was known to have ended: its own commit or abort was acknowledged,
              or the next `init` with its id was, which ends what was left open.
              `state`: committed   a commit was acknowledged;
                       unknown     a commit was asked for, and nobody knows how that ended;
                       aborted     an abort was acknowledged, or a commit refused for certain;
                       open        neither: what nobody asked to commit cannot be committed.
              A commit that is refused because the producer was fenced may follow an attempt by the
              client itself that took effect and whose answer was lost: unknown.
txn_sends     the sends of transactions: value, transaction, state.
zombies       sends that were invoked after their producer had been fenced, and were accepted.
committed_readers  clients that were opened with isolation read_committed and nothing else. Unset is
              the client's own default, and differs from client to client: nobody knows.
txn_reads     records of transactions given to such clients (zombies' apart).
visible       transactions that took effect for a reader: committed or unknown, and one of their
              records was given to a committed reader after the commit had been asked for.
torn          records of a visible transaction that no committed reader was given though one that
              was due to went past.
markers       deliveries of what must be a control record: see control-batch-leak.
held          per partition, ascending by `off`: until when a reader with isolation read_committed
              may be kept from what lies at or above it, since transactions that wrote below had not
              ended (the last stable offset). What nobody ended the broker does, TIMEOUT_NS after
              its begin. Where the offset of a record is unknown, all of the partition counts.
hidden        places whose record a reader may leave out: of transactions that did not take effect,
              or what nobody could read where such a record may lie; of torn ones and of markers
              (if those are judged).
"""

from __future__ import annotations

from kafkalab.checkers.protocol import Relation

_STEPS = """
SELECT process, op_id, action, any_value(group_of) AS group_of,
       min(idx) AS begin_idx, min(time_ns) AS begin_ns,
       max(idx) FILTER (type <> 'invoke') AS end_idx,
       max(time_ns) FILTER (type <> 'invoke') AS end_ns,
       coalesce(any_value(CAST(type AS VARCHAR)) FILTER (type <> 'invoke'), 'info') AS outcome,
       coalesce(bool_or(error IN ('PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH', '_FENCED',
                                  'TRANSACTION_COORDINATOR_FENCED')), false) AS fenced
FROM (SELECT *, detail ->> '$.action' AS action, detail ->> '$.group_of' AS group_of
      FROM actions WHERE op = 'txn')
GROUP BY process, op_id, action
"""

_PRODUCER_IDS = """
SELECT process, idx, detail ->> '$.config.transactional_id' AS id FROM actions
WHERE op = 'open' AND type = 'invoke'
"""

_INITS = """
WITH done AS (
    SELECT s.process, s.begin_ns, s.end_ns, o.id
    FROM (SELECT * FROM txn_steps WHERE action = 'init' AND outcome = 'ok') s
    ASOF JOIN producer_ids o ON o.process = s.process AND o.idx <= s.begin_idx
), later AS (
    SELECT id, begin_ns, min(end_ns) OVER (PARTITION BY id ORDER BY begin_ns DESC) AS end_ns
    FROM done
)
SELECT d.*, l.end_ns AS fenced_ns FROM done d
ASOF LEFT JOIN later l ON l.id = d.id AND l.begin_ns > d.end_ns
"""

_TXNS = """
WITH marks AS (
    SELECT process, begin_idx AS idx, begin_ns, end_idx, end_ns, action, outcome, fenced
    FROM txn_steps WHERE action IN ('commit', 'abort') OR (action = 'begin' AND outcome <> 'fail')
    UNION ALL
    SELECT process, idx, NULL, NULL, NULL, 'open', 'ok', false FROM producer_ids
    WHERE process IN (SELECT process FROM txn_steps)
), numbered AS (
    SELECT *, count(*) FILTER (action IN ('begin', 'open')) OVER
           (PARTITION BY process ORDER BY idx) AS number FROM marks
), made AS (
    SELECT process, number, min(idx) AS first, min(idx) FILTER (action = 'begin') AS txn,
           min(begin_ns) FILTER (action = 'begin') AS begin_ns,
           min(begin_ns) FILTER (action = 'commit') AS commit_ns,
           min(end_idx) FILTER (action <> 'begin' AND outcome = 'ok') AS ended_idx,
           min(end_ns) FILTER (action <> 'begin' AND outcome = 'ok') AS end_ns,
           coalesce(bool_or(action = 'commit' AND outcome = 'ok'), false) AS committed,
           coalesce(bool_or(action = 'commit' AND (outcome = 'info' OR fenced)), false) AS unsure,
           coalesce(bool_or(action = 'abort' AND outcome = 'ok'
                            OR action = 'commit' AND outcome = 'fail'), false) AS aborted
    FROM numbered GROUP BY process, number
), bounded AS (
    SELECT *, least(coalesce(ended_idx, 9223372036854775807), coalesce(lead(first) OVER
           (PARTITION BY process ORDER BY number), 9223372036854775807)) AS until FROM made
)
SELECT b.process, b.txn, b.begin_ns, b.commit_ns, b.until, b.ended_idx,
       CASE WHEN b.committed THEN 'committed' WHEN b.unsure THEN 'unknown'
            WHEN b.aborted THEN 'aborted' ELSE 'open' END AS state,
       coalesce(b.end_ns, i.fenced_ns) AS end_ns
FROM bounded b
ASOF LEFT JOIN inits i ON i.process = b.process AND i.end_ns <= b.begin_ns
WHERE b.txn IS NOT NULL
"""

_TXN_SENDS = """
SELECT e.value, t.txn, t.state
FROM (SELECT process, value, idx FROM records WHERE op = 'send' AND type = 'invoke'
      AND process IN (SELECT process FROM txns)) e
ASOF JOIN txns t ON t.process = e.process AND t.txn <= e.idx
WHERE e.idx < t.until
"""

_ZOMBIES = """
WITH late AS (
    SELECT s.*, i.id, i.fenced_ns
    FROM (SELECT * FROM sends WHERE outcome <> 'fail'
          AND process IN (SELECT process FROM inits WHERE fenced_ns IS NOT NULL)) s
    ASOF JOIN inits i ON i.process = s.process AND i.end_ns <= s.invoke_ns
    WHERE s.invoke_ns > i.fenced_ns
), given AS (
    SELECT d.value, min(d.idx) AS row_read FROM deliveries d
    WHERE d.problem IS NULL AND d.value IN (SELECT value FROM late) GROUP BY d.value
)
SELECT l.*, g.row_read FROM late l LEFT JOIN given g USING (value)
WHERE l.acked OR g.value IS NOT NULL
"""

_COMMITTED_READERS = """
SELECT process FROM (
    SELECT process, detail ->> '$.config.isolation' AS isolation FROM actions
    WHERE op = 'open' AND type = 'invoke'
) GROUP BY process HAVING bool_and(coalesce(isolation = 'read_committed', false))
"""

_TXN_READS = """
SELECT d.idx, d.time_ns, d.process, d.op_id, d.scope, d.topic, d.part, d.off, d.value, d.txn,
       t.process AS sender, t.state, t.begin_ns, t.commit_ns
FROM (SELECT * FROM deliveries WHERE NOT misplaced
      AND process IN (SELECT process FROM committed_readers)) d
JOIN txns t USING (txn)
ANTI JOIN (SELECT value FROM zombies, context WHERE list_contains(claims, 'zombie-write')) z
  ON z.value = d.value
"""

_VISIBLE = """
SELECT txn, min(idx) AS row_read, arg_min(value, idx) AS value FROM txn_reads
WHERE state IN ('committed', 'unknown') AND time_ns >= commit_ns GROUP BY txn
"""

# Spans, skips and restarts are per reader; a group whose members differ in isolation is not judged.
_TORN = """
WITH missing AS (
    SELECT s.value, s.process, s.topic, s.part, s.off, s.ack_idx, v.txn, v.row_read,
           v.value AS value_read
    FROM sends s JOIN visible v USING (txn)
    ANTI JOIN txn_reads r ON r.value = s.value
    ANTI JOIN (SELECT value FROM zombies, context WHERE list_contains(claims, 'zombie-write')) z
      ON z.value = s.value
    WHERE s.acked
), taken AS (
    SELECT topic, part, off FROM deliveries, context
    WHERE EXISTS (SELECT 1 FROM missing)
      AND ((problem IS NOT NULL AND list_contains(claims, 'corrupt-value'))
           OR (misplaced AND list_contains(claims, 'wrong-topic')))
    UNION
    SELECT topic, part, off FROM conflicts, context
    WHERE list_contains(claims, 'inconsistent-offsets')
), readers AS (
    SELECT scope FROM clients WHERE polls GROUP BY scope
    HAVING bool_and(process IN (SELECT process FROM committed_readers))
)
SELECT m.value, m.process, m.topic, m.part, m.off, m.ack_idx, m.txn, m.row_read, m.value_read,
       min(p.scope) AS reader
FROM missing m ANTI JOIN taken USING (topic, part, off)
JOIN spans p ON p.topic = m.topic AND p.part = m.part AND p.start <= m.off AND m.off < p.top
JOIN readers r ON r.scope = p.scope
LEFT JOIN skips k ON k.scope = p.scope AND k.topic = m.topic AND k.part = m.part
     AND m.off BETWEEN k.low AND k.high
ANTI JOIN restarts a ON a.scope = p.scope AND a.topic = m.topic AND a.part = m.part
     AND m.off BETWEEN a.low AND a.high
WHERE k.scope IS NULL GROUP BY ALL
"""

# A control record has a key of two 16-bit numbers, version 0 and 0 (abort) or 1 (commit).
_MARKERS = """
WITH odd AS (
    SELECT * FROM deliveries WHERE problem IN ('short', 'null-value')
    AND EXISTS (SELECT 1 FROM txns)
), unowned AS (
    SELECT o.* FROM odd o ANTI JOIN (SELECT topic, part, off FROM sends WHERE acked) s
      ON s.topic = o.topic AND s.part = o.part AND s.off = o.off
), used AS (
    SELECT topic, coalesce(part, requested) AS part, bool_or(txn IS NOT NULL) AS transactions,
           bool_or(outcome <> 'fail' AND off IS NULL) AS loose
    FROM sends WHERE EXISTS (SELECT 1 FROM odd) GROUP BY ALL
), keyed AS (
    SELECT idx, detail LIKE '%"key": "\\u0000\\u0000\\u0000\\u0000"%'
             OR detail LIKE '%"key": "\\u0000\\u0000\\u0000\\u0001"%' AS marker,
           detail IS NULL OR detail LIKE '%"key": null%' AS keyless
    FROM records WHERE idx IN (SELECT idx FROM unowned)
)
SELECT u.idx, u.process, u.topic, u.part, u.off, u.problem
FROM unowned u JOIN keyed k USING (idx)
JOIN used p ON p.topic = u.topic AND p.part = u.part
LEFT JOIN used a ON a.topic = u.topic AND a.part IS NULL
WHERE p.transactions
  AND (k.marker OR (k.keyless AND NOT p.loose AND NOT coalesce(a.loose, false)))
"""

_HIDDEN = """
WITH gone AS (
    SELECT txn FROM txns WHERE state <> 'committed' AND txn NOT IN (SELECT txn FROM visible)
)
SELECT topic, part, off FROM deliveries WHERE txn IN (SELECT txn FROM gone)
UNION
SELECT topic, part, off FROM sends WHERE txn IN (SELECT txn FROM gone)
UNION
SELECT d.topic, d.part, d.off FROM (SELECT * FROM deliveries WHERE NOT known) d
JOIN (SELECT * FROM sends WHERE off IS NULL AND txn IN (SELECT txn FROM gone)) s
  ON s.topic = d.topic AND coalesce(s.part, s.requested, d.part) = d.part
ANTI JOIN (SELECT * FROM sends WHERE off IS NOT NULL) o
  ON o.topic = d.topic AND o.part = d.part AND o.off = d.off
UNION
SELECT topic, part, off FROM torn, context WHERE list_contains(claims, 'torn-transaction')
UNION
SELECT topic, part, off FROM markers, context WHERE list_contains(claims, 'control-batch-leak')
"""

# transaction.timeout.ms is 60 s where nobody sets it (clients' defaults are that or less), and the
# coordinator looks every 10 s for what has timed out
TIMEOUT_NS = 75_000_000_000

_HELD = """
WITH first AS (
    SELECT txn, topic, coalesce(part, requested) AS part,
           CASE WHEN bool_or(off IS NULL) THEN 0 ELSE min(off) END AS off
    FROM sends WHERE outcome <> 'fail' GROUP BY ALL
)
SELECT f.topic, f.part, f.off, max(
           CASE WHEN t.ended_idx IS NOT NULL THEN t.end_ns
                ELSE least(coalesce(t.end_ns, t.begin_ns + {timeout}), t.begin_ns + {timeout}) END
       ) OVER (PARTITION BY f.topic, f.part ORDER BY f.off) AS until_ns
FROM first f JOIN txns t USING (txn)
"""

RELATIONS: dict[str, Relation] = {
    "txn_steps": Relation(("actions",), _STEPS),
    "producer_ids": Relation(("actions",), _PRODUCER_IDS),
    "inits": Relation(("txn_steps", "producer_ids"), _INITS),
    "txns": Relation(("txn_steps", "producer_ids", "inits"), _TXNS),
    "txn_sends": Relation(("records", "txns"), _TXN_SENDS),
    "zombies": Relation(("sends", "deliveries", "inits"), _ZOMBIES),
    "committed_readers": Relation(("actions",), _COMMITTED_READERS),
    "txn_reads": Relation(("deliveries", "txns", "committed_readers", "zombies"), _TXN_READS),
    "visible": Relation(("txn_reads",), _VISIBLE),
    "torn": Relation(
        (
            "visible",
            "zombies",
            "sends",
            "deliveries",
            "conflicts",
            "positions",
            "spans",
            "skips",
            "restarts",
            "clients",
        ),
        _TORN,
    ),
    "markers": Relation(("deliveries", "sends", "txns", "records"), _MARKERS),
    "held": Relation(("sends", "txns"), _HELD.format(timeout=TIMEOUT_NS)),
    "hidden": Relation(("txns", "torn", "markers"), _HIDDEN),
}
