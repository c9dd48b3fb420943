"""Accept what a run proposed as the baseline of its lanes, with who and why.

The gate says whether a run, and each of its proposals, may be accepted; the store only orders
acceptances. All proposals are checked before the first is written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from kafkalab.artifacts import baselines, keys, runs
from kafkalab.artifacts.store import Store
from kafkalab.gate import proposals
from kafkalab.model.errors import ExitCode, UsageError
from kafkalab.model.run import Envelope
from kafkalab.model.verdict import Outcome
from kafkalab.steps.frame import Ended
from kafkalab.steps.progress import Progress


def accept(
    store: Store, run: str, lane: str, accepted_by: str, why: str, say: Callable[[str], None]
) -> list[Envelope]:
    """Accept the proposals of a run; `lane` picks one, empty takes all.

    Raises:
        UsageError: no such run or proposal, or one that the gate says cannot be accepted; nothing
            was written.
        Conflict: somebody else accepted an envelope of a lane meanwhile.
    """
    prefix = runs.find_run(store, run)
    gate = runs.read_gate(store, prefix)
    if gate is None:
        raise UsageError(f"run {run} has no gate result yet, so it proposes nothing.")
    proposals.check_run(gate)
    proposed = [p for p in gate.proposals if lane in ("", str(p.lane))]
    if not proposed:
        known = ", ".join(str(p.lane) for p in gate.proposals) or "none"
        raise UsageError(f"run {gate.run_id} proposes nothing for '{lane or 'any lane'}': {known}.")
    for proposal in proposed:
        _check(store, proposal, accepted_by, why)
    accepted = [baselines.accept(store, p, accepted_by, why, number=p.number) for p in proposed]
    for envelope in accepted:
        say(
            f"accepted envelope {envelope.number} of {envelope.lane}: {len(envelope.bounds)} bounds"
        )
    return accepted


def _check(store: Store, proposal: Envelope, accepted_by: str, why: str) -> None:
    before = baselines.current(store, proposal.lane)
    now = datetime.now(UTC).isoformat()
    proposals.accept(proposal, before.envelope if before else None, accepted_by, why, now)


def step(run: str, lane: str, accepted_by: str, why: str) -> ExitCode:
    """Accept, and print the last line: the manifest of an acceptance is its history entry."""
    store = Store.from_env()
    progress = Progress(os.environ.get("KAFKALAB_RUN_ID", "baseline"), "baseline")
    accepted = accept(store, run, lane, accepted_by, why, progress)
    last = accepted[-1]
    uri = store.uri(keys.baseline_entry(last.lane, last.number))
    sys.stdout.write(Ended(ExitCode.PASS, Outcome.PASS, uri).line() + "\n")
    return ExitCode.PASS
