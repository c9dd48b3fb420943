"""From what a workload left to the claims of its scenario.

Claims that the workload decided itself (loops, series, crashed clients) stand; every other claim
of the scenario is judged on the recorded history. A claim that nobody can decide is unknown,
never absent.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from kafkalab.checkers import compose, history
from kafkalab.model.scenario import Scenario
from kafkalab.model.verdict import ClaimVerdict
from kafkalab.workloads import roles
from kafkalab.workloads.lab import Driven
from kafkalab.workloads.recorder import Recorder


def history_table(recorder: Recorder) -> pa.Table:
    """The recorded history in its columnar form."""
    return history.table(recorder.rows())


def claims(
    scenario: Scenario, table: pa.Table, driven: Driven | None, crashes: Iterable[ClaimVerdict]
) -> tuple[ClaimVerdict, ...]:
    """One verdict per claim of the scenario, in its order, then what nobody asked for (crashes)."""
    done = driven or Driven(roles.context())
    given = {claim.claim: claim for claim in (*done.claims, *crashes)}
    rest = [name for name in scenario.claims if name not in given]
    found = (*given.values(), *compose.judge(table, rest, done.context))
    place = {name: index for index, name in enumerate(scenario.claims)}
    return tuple(sorted(found, key=lambda claim: place.get(claim.claim, len(place))))
