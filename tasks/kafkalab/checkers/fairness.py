"""Does every partition get its share while there is something to share? `starved-partition`.

Operations: `poll` with what it gave out, acknowledged `send`s.

The window is the first half of all deliveries from the measured partitions: late enough that each
had its turn, early enough that a backlog is still there. A partition's expected share of it is
the mean over the measured partitions, or what had been acknowledged in it by the end of the
window where that is less: who was given all there was is not starved.

    starved-partition  a partition was given less than fairness_ratio_min of its expected share.

Partitions with an expected share of fewer than ENOUGH records are not judged. Without a bound (0)
and with fewer than two partitions to compare the verdict is unknown: the claim was asked for, and
nothing can be said.

Not checked: fairness between groups or between members; loops, which do not record.
"""

from __future__ import annotations

from kafkalab.checkers.protocol import HistoryView, Relation, decided, unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

ENOUGH = 20

_SHARES = """
WITH measured AS (
    SELECT s.topic, s.part, s.ack_ns, s.ack_idx FROM sends s, context c
    WHERE s.acknowledged AND s.part IS NOT NULL AND (len(c.measured_partitions) = 0
        OR list_contains(c.measured_partitions, s.topic || '/' || s.part))
), parts AS (
    SELECT DISTINCT topic, part FROM measured
), given AS (
    SELECT d.topic, d.part, d.time_ns, row_number() OVER (ORDER BY d.idx) AS number,
           count(*) OVER () AS total
    FROM deliveries d JOIN parts USING (topic, part) WHERE NOT d.misplaced
), half AS (
    SELECT topic, part, time_ns FROM given WHERE number <= ceil(total / 2)
), counted AS (
    SELECT p.topic, p.part,
           (SELECT count(*) FROM half h WHERE h.topic = p.topic AND h.part = p.part) AS delivered,
           (SELECT count(*) FROM measured m WHERE m.topic = p.topic AND m.part = p.part
            AND m.ack_ns <= (SELECT max(time_ns) FROM half)) AS available,
           (SELECT min(m.ack_idx) FROM measured m
            WHERE m.topic = p.topic AND m.part = p.part) AS acked_idx
    FROM parts p
)
SELECT topic, part, delivered, available, acked_idx,
       least(available, avg(delivered) OVER ()) AS expected FROM counted
"""

RELATIONS: dict[str, Relation] = {"shares": Relation(("sends", "deliveries"), _SHARES)}

_STARVED = """
SELECT s.topic, s.part AS "partition", s.delivered, s.available, s.expected,
       s.delivered / s.expected AS share, s.acked_idx AS row_first_acked
FROM shares s, context c
WHERE s.expected >= 20 AND s.delivered / s.expected < c.fairness_ratio_min ORDER BY share
"""


def starved_partition(view: HistoryView, context: CheckContext) -> ClaimVerdict:
    """A partition got far less than its fair share of deliveries."""
    claim = "starved-partition"
    if context.fairness_ratio_min <= 0:
        return unknown(claim, "no bound: fairness_ratio_min is 0")
    view.use("shares")
    judged = view.rows(
        "SELECT count(*) AS n, min(delivered / expected) AS least FROM shares WHERE expected >= 20"
    )[0]
    if judged["n"] < 2:
        return unknown(claim, f"fewer than two partitions had {ENOUGH} records to share")
    bound = context.fairness_ratio_min
    return decided(
        claim,
        view.find(_STARVED),
        f"{{count}} partitions got less than {bound:.0%} of their fair share",
        f"least share {judged['least']:.0%} of what is fair over {judged['n']} partitions",
    )
