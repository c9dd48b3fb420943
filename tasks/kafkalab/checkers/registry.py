"""Which claim is judged by which function, the relations that they share, and the map of it all.

`docs/claims.md` is what `describe` returns; a test compares them. To write it anew:
`python -c "from kafkalab.checkers.registry import describe; print(describe(), end='')"`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Mapping
from types import MappingProxyType

from kafkalab.checkers import (
    commit_tables,
    commits,
    content,
    cycle_tables,
    cycles,
    fairness,
    group,
    handover,
    liveness,
    loss,
    order,
    ownership_tables,
    pausing,
    progress,
    progress_tables,
    rebalance,
    rebalance_tables,
    sharing,
    stall,
    stall_tables,
    tables,
    transaction_tables,
    transactions,
    watermark,
)
from kafkalab.checkers.protocol import Checker, Relation
from kafkalab.checkers.screen import onepass
from kafkalab.model.claim import CLAIMS

CHECKERS: Mapping[str, Checker] = MappingProxyType(
    {
        # log
        "lost-write": loss.lost_write,
        "unseen": loss.unseen,
        "G1a": loss.aborted_read,
        "duplicate": content.duplicate,
        "delivered-twice": content.delivered_twice,
        "inconsistent-offsets": content.inconsistent_offsets,
        "corrupt-value": content.corrupt_value,
        "null-becomes-empty": content.null_becomes_empty,
        "changed-content": content.changed_content,
        "wrong-topic": content.wrong_topic,
        # order
        "poll-skip": order.poll_skip,
        "int-poll-skip": order.int_poll_skip,
        "nonmonotonic-poll": order.nonmonotonic_poll,
        "int-nonmonotonic-poll": order.int_nonmonotonic_poll,
        "nonmonotonic-send": order.nonmonotonic_send,
        "int-nonmonotonic-send": order.int_nonmonotonic_send,
        "int-send-skip": order.int_send_skip,
        # transactions
        "precommitted-read": transactions.precommitted_read,
        "torn-transaction": transactions.torn_transaction,
        "zombie-write": transactions.zombie_write,
        "control-batch-leak": transactions.control_batch_leak,
        "G0": cycles.g0,
        "G0-process": cycles.g0_process,
        "G0-realtime": cycles.g0_realtime,
        "G1c": cycles.g1c,
        "G1c-process": cycles.g1c_process,
        "G1c-realtime": cycles.g1c_realtime,
        # commit
        "commit-ahead": commits.commit_ahead,
        "commit-behind": commits.commit_behind,
        "commit-regression": commits.commit_regression,
        "commit-lost": commits.commit_lost,
        # group
        "double-owner": group.double_owner,
        "consumed-after-revoke": group.consumed_after_revoke,
        "zombie-member": group.zombie_member,
        "skipped-past-commit": handover.skipped_past_commit,
        "reread-below-commit": handover.reread_below_commit,
        "orphan-partition": rebalance.orphan_partition,
        "needless-move": rebalance.needless_move,
        "rounds-to-converge": rebalance.rounds_to_converge,
        "unshared-group": sharing.unshared_group,
        "paused-lost": pausing.paused_lost,
        "paused-kept": pausing.paused_kept,
        # liveness
        "startup": liveness.startup,
        "stall": stall.stall,
        "hung-close": liveness.hung_close,
        "deadlock": progress.deadlock,
        "unrecovered": progress.unrecovered,
        "slow-watermark": watermark.slow_watermark,
        "starved-partition": fairness.starved_partition,
    }
)

RELATIONS: Mapping[str, Relation] = MappingProxyType(
    {
        **tables.BASE,
        **content.RELATIONS,
        **stall_tables.RELATIONS,
        **progress_tables.RELATIONS,
        **watermark.RELATIONS,
        **loss.RELATIONS,
        **order.RELATIONS,
        **transaction_tables.RELATIONS,
        **cycle_tables.RELATIONS,
        **commit_tables.RELATIONS,
        **ownership_tables.RELATIONS,
        **handover.RELATIONS,
        **rebalance_tables.RELATIONS,
        **sharing.RELATIONS,
        **pausing.RELATIONS,
        **fairness.RELATIONS,
    }
)

# claims of these modules ask nothing of polls and sends in short (screen/runs.py)
_OF_RECORDS = (loss, content, order, transactions, cycles)
# claims that ask whether somebody waited too long
_OF_WAITING = ("stall", "slow-watermark")


def asks_runs(claims: Collection[str]) -> bool:
    """Whether one of `claims` may ask for the tables of screen/runs.py.

    Where none does they are spared; asked for all the same, they take a pass of their own.
    """
    names = {module.__name__ for module in _OF_RECORDS}
    return any(CHECKERS[claim].__module__ not in names for claim in claims if claim in CHECKERS)


def relations_for(claims: Collection[str]) -> Mapping[str, Relation]:
    """RELATIONS, without the look for long waits where no claim asks for them."""
    if any(claim in claims for claim in _OF_WAITING):
        return RELATIONS
    return {**RELATIONS, "waited": tables.NOBODY_ASKS}


_HEAD = """# Claims

Generated from the docstrings of `tasks/kafkalab/checkers/` (`registry.describe`); change it there.
What a verdict means and what to do about it: [reading-a-verdict.md](reading-a-verdict.md).

A claim on records needs a history that has them. Where a driver loops by itself (M01, P02, P03,
P04) it counts, and records none: there `unseen`, `duplicate`, `corrupt-value` and `stall` are
judged on counts, sums and gaps, by `workloads/loops.py` and `workloads/paired.py`.

| claim | what must not be found | judged in |
|---|---|---|
"""

# claims that a history alone cannot decide → where they are judged
_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "leak": "measure/growth.py",
        "regression": "measure/paired.py",
        "crash": "steps/evidence.py",
        "error-in-log": "steps/evidence.py",
    }
)


def describe() -> str:
    """The page `docs/claims.md`: each claim, where it is judged, and each family's argument."""
    modules = {claim: sys.modules[checker.__module__] for claim, checker in CHECKERS.items()}
    places = {claim: f"checkers/{_file(module.__name__)}" for claim, module in modules.items()}
    rows = [
        f"| `{claim}` | {text} | `{places.get(claim) or _ELSEWHERE[claim]}` |"
        for claim, text in CLAIMS.items()
    ]
    families = [
        f"\n## checkers/{_file(module.__name__)}\n\n```text\n{inspect.getdoc(module)}\n```\n"
        for module in dict.fromkeys((*modules.values(), tables, onepass))
    ]
    return _HEAD + "\n".join(rows) + "\n" + "".join(families)


def _file(module: str) -> str:
    return module.partition(".checkers.")[2].replace(".", "/") + ".py"
