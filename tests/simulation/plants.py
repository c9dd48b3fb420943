"""Which plant makes which claim red: name → a function from a healthy history to a broken one.

A plant returns None where the history offers no place for it (nobody was given two records of a
partition in a row, say); another seed will. It may break one thing in several places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from . import plants_log, plants_rest
from .facts import Facts
from .frame import Frame

Plant = Callable[[Facts, Random], Frame | None]

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
        # commit
        "commit-ahead": plants_rest.commit_ahead,
        "commit-behind": plants_rest.commit_behind,
        "commit-regression": plants_rest.commit_regression,
        "commit-lost": plants_rest.commit_lost,
        # liveness
        "startup": plants_rest.startup,
        "stall": plants_rest.stall,
        "hung-close": plants_rest.hung_close,
    }
)


def planted(frame: Frame, claim: str, seed: int | str) -> Frame | None:
    """The history with an anomaly of this claim at a place that the seed chooses."""
    return PLANTS[claim](Facts(frame), Random(f"{claim}/{seed}"))
