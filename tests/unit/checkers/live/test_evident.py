"""What arrays find settled, the SQL finds settled too, with the same figures."""

import random

import pytest
from tests.simulation import batch, properties
from tests.simulation.cases import KINDS
from tests.simulation.frame import concat
from tests.simulation.plants import of_kind

from kafkalab.checkers import history
from kafkalab.checkers.live import evident, holding, tables
from kafkalab.checkers.live.judge import BUDGET, LIVE
from kafkalab.checkers.screen.arrays import plain
from kafkalab.model.history import CheckContext

EVERY = 3  # goldens: `make test-slow` has them all
COLUMNS = "value, topic, part, off, followed, ordered, acked, given"


def chosen(golden):
    return golden.claim in LIVE and golden.outcome == "fail"


def compared(table, context, pieces, monkeypatch):
    """How many records the two found settled, look by look."""
    counts = []

    def both(recs, readers, sticky):
        found = evident.settled(recs, readers, sticky)
        for statement in (*tables.FIRST_LOOK, *tables.SETTLE):
            held.store.run(statement)
        known = set(held.store.rows(f"SELECT {COLUMNS} FROM settling"))
        mine = [] if found is None else zip(*found.records.to_pydict().values(), strict=True)
        mine = set(mine)
        assert mine <= known
        if found is not None:
            assert found.records.column_names == COLUMNS.split(", ")
            assert len(found.rows) + len(found.rest) == len(recs)
            gone = {record[0] for record in mine}
            assert set(found.rows["value"].to_pylist()) == gone
            assert gone.isdisjoint(found.rest["value"].to_pylist())
        counts.append((len(mine), len(known)))
        return found

    held = holding.Holding(context, LIVE, 10**6, BUDGET)
    monkeypatch.setattr(holding, "settled", both)
    cuts = sorted(random.Random(1).sample(range(1, len(table)), min(pieces, len(table)) - 1))
    for start, end in zip([0, *cuts], [*cuts, len(table)], strict=True):
        held.take(table.slice(start, end - start))
        held.look()
    held.close()
    return counts


def test_on_the_goldens(golden, monkeypatch):
    compared(history.table(golden.rows), golden.context, 3, monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
def test_on_healthy_histories_it_finds_most(kind, monkeypatch):
    frames = [probe.frame for probe in properties.healthy(kind, 8_000_000, 30)]
    table = concat(frames).table()
    counts = compared(table, batch.context(table, kind), 5, monkeypatch)
    mine, known = (sum(numbers) for numbers in zip(*counts, strict=True))
    assert mine > known / 4


@pytest.mark.parametrize("kind", KINDS)
def test_on_planted_histories(kind, monkeypatch):
    planted = tuple(claim for claim in of_kind(kind) if claim in LIVE)
    frames = [p.frame for p in properties.broken(kind, 8_000_000, 2 * len(planted), planted)[0]]
    table = concat(frames).table()
    compared(table, batch.context(table, kind), 5, monkeypatch)


def test_offsets_far_apart_are_left_to_the_sql(write):
    rows, finished_ns = write(
        "p0 open producer\nc0 open consumer\nc0 assign t/0\n"
        "p0 send t/0 1@0 2@1 3@2 4@4611686018427387000\n"
        "c0 poll t/0 1@0 2@1 3@2 4@4611686018427387000"
    )
    held = holding.Holding(CheckContext(finished_ns), LIVE, 10**6, BUDGET)
    held.take(history.table(rows))
    held.look()
    assert evident.settled(held.store.recs, held._readers, plain(held.store.recs["value"])) is None
    held.close()
