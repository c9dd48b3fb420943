"""From what a workload left to the claims of its scenario.

Claims that the workload decided itself (loops, series, crashed clients) stand; every other claim
of the scenario is judged on the recorded history. A claim that nobody can decide is unknown,
never absent.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from kafkalab.checkers import compose, history
from kafkalab.checkers.timeline.tell import explain
from kafkalab.model.scenario import Scenario
from kafkalab.model.verdict import ClaimVerdict
from kafkalab.workloads.lab import Driven
from kafkalab.workloads.recorder import Recorder


def history_table(recorder: Recorder) -> pa.Table:
    """The recorded history in its columnar form."""
    return history.from_columns(recorder.columns())


def history_claims(
    scenario: Scenario, driven: Driven, crashes: Iterable[ClaimVerdict]
) -> tuple[str, ...]:
    """The claims of the scenario that are left for the history, in its order, and what is due too.

    What a workload names beside them depends on the cell: only a group of several has shares.
    """
    given = {claim.claim for claim in (*driven.claims, *crashes)}
    wanted = dict.fromkeys((*scenario.claims, *driven.also))
    return tuple(name for name in wanted if name not in given)


def claims(
    scenario: Scenario, table: pa.Table, driven: Driven, crashes: Iterable[ClaimVerdict]
) -> tuple[ClaimVerdict, ...]:
    """One verdict per claim of the scenario, in its order, then what it did not ask for itself."""
    given = {claim.claim: claim for claim in (*driven.claims, *crashes)}
    rest = history_claims(scenario, driven, given.values())
    judged = explain(table, compose.judge(table, rest, driven.context))
    found = (*given.values(), *judged)
    place = {name: index for index, name in enumerate(scenario.claims)}
    return tuple(sorted(found, key=lambda claim: place.get(claim.claim, len(place))))
