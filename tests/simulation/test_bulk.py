"""A steady history is well formed, green in every claim that it can decide, and reproducible."""

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS

from . import bulk
from .rounds import Shape

SHAPES = {
    "steady": Shape(40_000, producers=3, consumers=4, groups=2, partitions=7, batch=50),
    "operations": bulk.operations(4_000),
    "rotating": Shape(8_000, 8, 8, partitions=8, batch=1, rotate=128),
}
# what a history without transactions, rebalances, pauses and faults is judged for
MUST_PASS = {
    "lost-write", "unseen", "G1a", "duplicate", "delivered-twice", "inconsistent-offsets",
    "corrupt-value", "null-becomes-empty", "changed-content", "wrong-topic", "poll-skip",
    "int-poll-skip", "nonmonotonic-poll", "int-nonmonotonic-poll", "nonmonotonic-send",
    "int-nonmonotonic-send", "commit-ahead", "commit-behind", "commit-regression", "commit-lost",
    "startup", "stall", "hung-close",
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_steady_history_is_green(name):
    shape = SHAPES[name]
    steady = pa.concat_tables(bulk.tables(shape))
    assert history.validate(steady) == ()
    events = duckdb.sql(
        "SELECT count(*) FROM steady WHERE value IS NOT NULL AND (op = 'poll' OR type = 'invoke')"
    ).fetchall()[0][0]
    assert shape.events <= events <= shape.events * 1.1
    verdicts = judge(steady, CHECKERS, bulk.context(shape))
    assert [v for v in verdicts if v.outcome == "fail" or "crash" in v.summary] == []
    assert {v.claim for v in verdicts if v.outcome == "pass"} >= MUST_PASS


def test_the_same_seed_writes_the_same_history(tmp_path):
    shape = Shape(2_000, 2, 2, partitions=4, batch=10, seed=7)
    first, again = tmp_path / "first.parquet", tmp_path / "again.parquet"
    assert bulk.write(first, shape) == bulk.write(again, shape) == pq.read_table(first).num_rows
    assert pq.read_table(first).equals(pq.read_table(again), check_metadata=True)
    other = Shape(2_000, 2, 2, partitions=4, batch=10, seed=8)
    assert not pa.concat_tables(bulk.tables(other)).equals(pq.read_table(first))
