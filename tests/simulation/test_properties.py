"""A healthy history is never red, a planted anomaly is named, and order of observation is nothing.

Some hundred cases of each; `make test-properties` runs 10^5 (properties.py).
"""

import numpy as np
import pytest

from kafkalab.checkers import history
from kafkalab.checkers.registry import CHECKERS

from . import batch, properties
from .cases import KINDS, Case
from .facts import Facts
from .frame import EVENT, INVOKE
from .plants import PLANTS, of_kind, planted
from .reorder import reordered

SEED = 7_000_000
# never red (legal, and reported)
LEGAL = {"int-send-skip", "G0", "G0-process", "G0-realtime"}
# a share of all that a history holds: cases that are judged together have no shares of their own;
# and a member that idles beside a busy one; golden histories hold them
NO_PLANT = {"starved-partition", "unshared-group"}


def test_every_claim_has_a_plant():
    assert set(PLANTS) | LEGAL | NO_PLANT == set(CHECKERS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_healthy_is_never_red(kind):
    probes = properties.healthy(kind, SEED, 120)
    assert properties.check(probes, kind, screened=True) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_is_named_and_nothing_else_in_any_order(kind):
    probes, _ = properties.broken(kind, SEED, 2 * len(of_kind(kind)), each=1)
    assert {probe.plant for probe in probes} == set(of_kind(kind))
    assert properties.check(probes, kind) == []
    assert properties.check(probes, kind, order=1, screened=True) == []


def test_a_guest_owes_nothing_where_a_group_begins_at_the_end_anew():
    case = Case(40_885_144, "loose")
    frame = planted(Facts(batch.frame(case, 0)), "G1c-realtime", case.seed)
    assert batch.judged([frame], "loose").red == {0: frozenset({"G1c-realtime"})}


def test_a_case_is_the_same_every_time():
    case = Case(SEED, "loose")
    assert case.frame().table().equals(case.frame().table())
    assert not case.frame().table().equals(Case(SEED + 1, "loose").frame().table())


def test_a_case_can_be_large():
    frame = Case(3, "strict", commands=30, batch=500).frame()
    assert len(frame) > 20_000
    assert history.validate(frame.table()) == ()
    assert batch.judged([frame], "strict").red == {}


def test_another_order_keeps_what_followed():
    frame = batch.frame(Case(SEED, "loose"), 0)
    other = reordered(frame, np.random.default_rng(1))
    assert not np.array_equal(frame.process, other.process)
    assert history.validate(other.table()) == ()
    for client in np.unique(frame.process):
        mine, theirs = frame.process == client, other.process == client
        for name in ("type", "op", "op_id", "off", "value"):
            assert np.array_equal(frame.columns[name][mine], other.columns[name][theirs])
    assert np.array_equal(frame.type == INVOKE, other.type == INVOKE)
    assert np.array_equal(frame.type == EVENT, other.type == EVENT)
