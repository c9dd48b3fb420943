"""Which plant makes which claim red: name → a function from a healthy history to a broken one.

A plant returns None where the history offers no place for it (nobody was given two records of a
partition in a row, say); another seed will. It may break one thing in several places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from . import plants_group, plants_log, plants_rest, plants_txn, scenes
from .facts import Facts
from .frame import Frame

Plant = Callable[[Facts, Random], Frame | None]


def _scene(claim: str) -> Plant:
    return lambda facts, pick: scenes.played(facts, claim, pick, broken=True)


PLANTS: Mapping[str, Plant] = MappingProxyType(
    {
        # log
        "lost-write": plants_log.lost_write,
        "unseen": plants_log.unseen,
        "G1a": plants_log.aborted_read,
        "duplicate": plants_log.duplicate,
        "delivered-twice": plants_log.delivered_twice,
        "inconsistent-offsets": plants_log.inconsistent_offsets,
        "corrupt-value": plants_log.corrupt_value,
        "null-becomes-empty": plants_log.null_becomes_empty,
        "changed-content": plants_log.changed_content,
        "wrong-topic": plants_log.wrong_topic,
        # order
        "poll-skip": plants_log.poll_skip,
        "int-poll-skip": plants_log.int_poll_skip,
        "nonmonotonic-poll": plants_log.nonmonotonic_poll,
        "int-nonmonotonic-poll": plants_log.int_nonmonotonic_poll,
        "nonmonotonic-send": plants_log.nonmonotonic_send,
        "int-nonmonotonic-send": plants_log.int_nonmonotonic_send,
        # transactions
        "precommitted-read": plants_txn.precommitted_read,
        "torn-transaction": plants_txn.torn_transaction,
        "zombie-write": plants_txn.zombie_write,
        "control-batch-leak": plants_txn.control_batch_leak,
        "G1c": _scene("G1c"),
        "G1c-process": _scene("G1c-process"),
        "G1c-realtime": plants_log.early_read,
        # commit
        "commit-ahead": plants_rest.commit_ahead,
        "commit-behind": plants_rest.commit_behind,
        "commit-regression": plants_rest.commit_regression,
        "commit-lost": plants_rest.commit_lost,
        # group
        "double-owner": plants_group.double_owner,
        "consumed-after-revoke": plants_group.consumed_after_revoke,
        "skipped-past-commit": plants_group.skipped_past_commit,
        "reread-below-commit": plants_group.reread_below_commit,
        "orphan-partition": plants_group.orphan_partition,
        "needless-move": plants_group.needless_move,
        "rounds-to-converge": plants_group.rounds_to_converge,
        "zombie-member": _scene("zombie-member"),
        "paused-lost": plants_group.paused_lost,
        "paused-kept": _scene("paused-kept"),
        # liveness
        "startup": plants_rest.startup,
        "stall": plants_rest.stall,
        "hung-close": plants_rest.hung_close,
        "deadlock": _scene("deadlock"),
        "unrecovered": _scene("unrecovered"),
        "slow-watermark": _scene("slow-watermark"),
    }
)


# where they have a second form
OTHERS: Mapping[str, Plant] = MappingProxyType(
    {"G1a": plants_txn.aborted_read, "commit-regression": plants_rest.setback}
)

# claims that only histories of one kind have a place for
ONLY = MappingProxyType(
    {
        "precommitted-read": "txn",
        "torn-transaction": "txn",
        "zombie-write": "txn",
        "control-batch-leak": "txn",
        "G1c": "txn",
        "G1c-process": "txn",
    }
)

# claims whose plants make every partition of the batch suspect: a screen has nothing to do there
NOTED = frozenset({"deadlock", "unrecovered"})

# claims whose plants need a group that is left alone for long
LINGERING = frozenset({"orphan-partition", "needless-move", "rounds-to-converge"})

# a record above an open transaction may be late for as long as that
EXCUSED = frozenset({("stall", "txn")})


def of_kind(kind: str, *, screened: bool = False) -> tuple[str, ...]:
    """The claims whose plants have a place in histories of a kind, or in ones that are screened."""
    found = tuple(claim for claim in PLANTS if ONLY.get(claim, kind) == kind)
    left_out = NOTED if screened else frozenset()
    return tuple(c for c in found if (c, kind) not in EXCUSED and c not in left_out)


def sound(facts: Facts, kind: str, seed: int) -> Frame:
    """The history with a legal look-alike after it, of one of the claims that scenes are for."""
    pick = Random(f"sound/{seed}")
    claims = [c for c in scenes.SCENES if ONLY.get(c, kind) == kind and c not in NOTED]
    return scenes.played(facts, pick.choice(claims), pick, broken=False)


def planted(facts: Facts, claim: str, seed: int | str) -> Frame | None:
    """The history with an anomaly of this claim at a place that the seed chooses."""
    pick = Random(f"{claim}/{seed}")
    if claim in OTHERS and pick.random() < 0.5:
        other = OTHERS[claim](facts, pick)
        if other is not None:
            return other
    return PLANTS[claim](facts, pick)
