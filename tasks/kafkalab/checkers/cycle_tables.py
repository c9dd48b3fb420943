"""The relations behind G0 and G1c, as SQL; the argument stands in cycles.py.

txn_polls  polls that are part of a transaction: by its own client between its begin and its end, or
           by the client whose offsets it sent, since that client's offsets were last sent.
early      records of transactions given to committed readers before the commit was asked for, by
           time, or to the transaction itself.
backward   deliveries that go against time: only they can close a cycle of reads (see cycles.py).
wr         one row a pair of operations: `writer` wrote what `reader` was given; with the first such
           record as evidence. `early`: all of them were. `against`: some of them go against time.
acts       the operations of wr: what, by whom, when (`main`); one row more for each client whose
           polls are part of another's transaction. `begin_ns` and `end_ns` are −1 where they are
           unknown, or not needed.
extents    per transaction and partition: its lowest and highest acknowledged offset.
cycles     what was found in the graph of reads, as far as evidence is kept: one row a step of a
           cycle, from `node` to `next`. Empty unless cycle_search.py puts something there; so are
cycle_counts  how many there are, and
cyclic     the pairs of wr on such cycles, whose early reads precommitted-read does not count again.
ww         one row a pair of transactions: `writer` wrote below what `later` wrote.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import Relation

_TXN_POLLS = """
WITH came AS (
    SELECT process, op_id, min(idx) AS idx, max(time_ns) AS end_ns FROM deliveries
    WHERE process IN (SELECT process FROM txns UNION SELECT group_of FROM txn_steps
                      WHERE group_of IS NOT NULL) GROUP BY process, op_id
), own AS (
    SELECT p.*, t.txn FROM came p
    ASOF JOIN txns t ON t.process = p.process AND t.txn <= p.idx WHERE p.idx < t.until
), sent AS (
    SELECT s.group_of, s.begin_ns, s.begin_idx, t.txn, t.until FROM (
        SELECT * FROM txn_steps WHERE action = 'send_offsets' AND outcome = 'ok') s
    ASOF JOIN txns t ON t.process = s.process AND t.txn <= s.begin_idx
), via AS (
    SELECT p.*, s.txn FROM came p
    ASOF JOIN sent s ON s.group_of = p.process AND s.begin_ns >= p.end_ns
    WHERE s.begin_idx < s.until
)
SELECT m.process, m.op_id, m.txn, m.end_ns, t.process AS producer, t.commit_ns
FROM (SELECT * FROM own UNION SELECT * FROM via) m JOIN txns t USING (txn)
WHERE t.state IN ('committed', 'unknown')
"""

_EARLY = """
SELECT r.* FROM txn_reads r
LEFT JOIN txn_polls m ON m.process = r.process AND m.op_id = r.op_id, context
WHERE (r.commit_ns IS NULL OR r.time_ns < r.commit_ns OR m.txn = r.txn)
  AND NOT (r.state = 'aborted' AND list_contains(claims, 'G1a'))
"""

_BACKWARD = """
SELECT d.idx FROM deliveries d
LEFT JOIN txn_polls m ON m.process = d.process AND m.op_id = d.op_id
WHERE d.known AND d.txn IS NULL AND NOT d.misplaced AND d.sent_ns > coalesce(m.commit_ns, d.time_ns)
UNION ALL
SELECT r.idx FROM txn_reads r
LEFT JOIN txn_polls m ON m.process = r.process AND m.op_id = r.op_id
WHERE r.state <> 'aborted'
  AND (r.commit_ns IS NULL OR r.commit_ns > coalesce(m.commit_ns, r.time_ns))
  AND m.txn IS DISTINCT FROM r.txn
"""

_WR = """
WITH came AS (
    SELECT process, op_id, min(idx) AS node FROM deliveries GROUP BY process, op_id
), commands AS (
    SELECT process, op_id, min(invoke_idx) AS node FROM sends WHERE txn IS NULL
    GROUP BY process, op_id
), given AS (
    SELECT d.idx, d.process, d.op_id, d.topic, d.part, d.off, d.value, c.node AS writer,
           false AS early
    FROM deliveries d JOIN sends s ON s.value = d.value
    JOIN commands c ON c.process = s.process AND c.op_id = s.op_id
    WHERE d.problem IS NULL AND d.txn IS NULL AND NOT d.misplaced AND s.outcome <> 'fail'
    UNION ALL
    SELECT r.idx, r.process, r.op_id, r.topic, r.part, r.off, r.value, r.txn,
           r.idx IN (SELECT idx FROM early)
    FROM txn_reads r WHERE r.state <> 'aborted'
), joined AS (
    SELECT g.writer, coalesce(m.txn, p.node) AS reader, g.* EXCLUDE (writer),
           g.idx IN (SELECT idx FROM backward) AS against
    FROM given g JOIN came p ON p.process = g.process AND p.op_id = g.op_id
    LEFT JOIN txn_polls m ON m.process = g.process AND m.op_id = g.op_id
)
SELECT writer, reader, bool_and(early) AS early, bool_or(against) AS against,
       min(idx) AS row_read, arg_min(value, idx) AS value, arg_min(topic, idx) AS topic,
       arg_min(part, idx) AS part, arg_min(off, idx) AS off
FROM joined WHERE writer <> reader GROUP BY writer, reader
"""

_ACTS = """
WITH members AS (
    SELECT m.txn, m.process, min(c.time_ns) AS begin_ns FROM txn_polls m
    LEFT JOIN polls c ON c.process = m.process AND c.op_id = m.op_id AND c.type = 'invoke'
    GROUP BY m.txn, m.process
), first AS (
    SELECT txn, min(begin_ns) AS begin_ns FROM members GROUP BY txn
), whole AS (
    SELECT t.txn, t.process, least(t.begin_ns, f.begin_ns) AS begin_ns,
           CASE WHEN t.state = 'committed' THEN t.end_ns ELSE -1 END AS end_ns
    FROM txns t LEFT JOIN first f USING (txn)
    WHERE t.txn IN (SELECT writer FROM wr UNION SELECT reader FROM wr)
)
SELECT txn AS node, true AS main, 'transaction' AS what, process, begin_ns, end_ns FROM whole
UNION ALL
SELECT w.txn, false, 'transaction', m.process, coalesce(m.begin_ns, -1), w.end_ns
FROM whole w JOIN members m USING (txn) WHERE m.process <> w.process
UNION ALL
SELECT min(invoke_idx), true, 'send', process, min(invoke_ns), -1 FROM sends WHERE txn IS NULL
GROUP BY process, op_id HAVING min(invoke_idx) IN (SELECT writer FROM wr)
UNION ALL
SELECT min(idx), true, 'poll', process, -1, max(time_ns) FROM deliveries
GROUP BY process, op_id HAVING min(idx) IN (SELECT reader FROM wr)
"""

_EXTENTS = """
SELECT s.txn, s.topic, s.part, min(s.off) AS low, max(s.off) AS high
FROM sends s JOIN txns t USING (txn)
WHERE s.acked AND s.off IS NOT NULL AND t.state <> 'aborted' GROUP BY ALL
"""

# Below each lies its predecessor by lowest offset; above it whatever reaches beyond its lowest. Of
# these, the one that reaches furthest is enough: the others lie between the two by the first rule.
_WW = """
WITH laid AS (
    SELECT txn, topic, part, low, lag(txn) OVER log AS below, lag(low) OVER log AS below_low,
           arg_max(txn, high) OVER sofar AS widest, max(high) OVER sofar AS top
    FROM extents WINDOW log AS (PARTITION BY topic, part ORDER BY low),
        sofar AS (PARTITION BY topic, part ORDER BY low
                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT below AS writer, txn AS later, topic, part, below_low AS off, low AS later_off
FROM laid WHERE below IS NOT NULL
UNION ALL
SELECT txn, widest, topic, part, low, top FROM laid WHERE low < top
"""

_CYCLES = """
SELECT '' AS claim, 0 AS number, 0 AS step, CAST(0 AS BIGINT) AS node, CAST(0 AS BIGINT) AS next
WHERE false
"""

_CYCLE_COUNTS = "SELECT '' AS claim, 0 AS n WHERE false"

_CYCLIC = "SELECT CAST(0 AS BIGINT) AS writer, CAST(0 AS BIGINT) AS reader WHERE false"

_CYCLIC_READS = """
WITH came AS (
    SELECT process, op_id, min(idx) AS node FROM deliveries
    WHERE process IN (SELECT process FROM early) GROUP BY process, op_id
)
SELECT e.idx FROM early e JOIN came p ON p.process = e.process AND p.op_id = e.op_id
LEFT JOIN txn_polls m ON m.process = e.process AND m.op_id = e.op_id
JOIN cyclic c ON c.writer = e.txn AND c.reader = coalesce(m.txn, p.node)
"""

RELATIONS: dict[str, Relation] = {
    "txn_polls": Relation(("deliveries", "txns", "txn_steps"), _TXN_POLLS),
    "early": Relation(("txn_reads", "txn_polls"), _EARLY),
    "backward": Relation(("txn_reads", "txn_polls"), _BACKWARD),
    "wr": Relation(("sends", "early", "backward"), _WR),
    "acts": Relation(("wr", "polls", "txns", "txn_polls"), _ACTS),
    "extents": Relation(("sends", "txns"), _EXTENTS),
    "cycles": Relation((), _CYCLES),
    "cycle_counts": Relation((), _CYCLE_COUNTS),
    "cyclic": Relation((), _CYCLIC),
    "cyclic_reads": Relation(("early", "txn_polls", "cyclic"), _CYCLIC_READS),
    "ww": Relation(("extents",), _WW),
}
