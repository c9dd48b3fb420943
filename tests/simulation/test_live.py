"""The live form gives the batch form's verdicts on simulated histories, cut at random places.

Some dozen cases of each kind; `make test-properties` judges thousands so (properties.py). What it
must look back at, case by case, is in tests/unit/checkers/live.
"""

import pyarrow as pa
import pytest

from kafkalab.checkers.live.judge import LIVE

from . import batch, bulk, live, properties
from .cases import KINDS
from .frame import concat
from .plants import of_kind
from .rounds import Shape

SEED = 8_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_healthy_gets_the_verdicts_of_the_batch_form(kind):
    table = concat([probe.frame for probe in properties.healthy(kind, SEED, 30)]).table()
    differences, held = live.differences(table, batch.context(table, kind), SEED)
    assert differences == []
    assert held < 2 / 3 * len(table)  # else little was settled, and nothing was tried


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_gets_the_verdicts_of_the_batch_form(kind):
    planted = tuple(claim for claim in of_kind(kind) if claim in LIVE)
    probes, _ = properties.broken(kind, SEED, 2 * len(planted), planted)
    assert live.of_frames([probe.frame for probe in probes], kind, SEED) == []


def test_a_steady_history_is_settled_as_it_comes():
    shape = Shape(20_000, 3, 3, partitions=12, batch=50)
    table = pa.concat_tables(bulk.tables(shape))
    differences, held = live.differences(table, bulk.context(shape), SEED)
    assert differences == []
    assert held < len(table) / 4


def test_a_difference_is_seen(monkeypatch):
    """A judge that forgets what it let go must be found out."""
    monkeypatch.setattr("kafkalab.checkers.live.memory.Memory._tally", lambda *_: None)
    frames = [probe.frame for probe in properties.healthy("strict", SEED, 20)]
    assert live.of_frames(frames, "strict", SEED)
