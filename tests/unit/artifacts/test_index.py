"""One row per result, also when several runs add to one day at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from kafkalab.artifacts import index, keys
from kafkalab.artifacts.store import StoreError
from kafkalab.model.run import Run
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome

pytestmark = pytest.mark.system

CELL = CellVerdict(
    scenario="C01",
    clients=("a@1", "b@2"),
    broker="kafka@3.9.2",
    engine="process",
    cell="C01-a-1+b-2-kafka-3.9.2",
    outcome=Outcome.FAIL,
    seconds=1.5,
    claims=(ClaimVerdict("lost-write", Outcome.FAIL, 3, "three"),),
    metrics={"produce_records_per_s_median": 10.0},
)


def a_run(run_id: str, day: int = 2) -> Run:
    started = datetime(2026, 1, day, 23, 59, tzinfo=UTC)
    parts = keys.RunParts(
        "kafka_smoke", "main", "0123abc", "h", "kafka@3.9.2", "a@1", started, run_id
    )
    prefix = keys.run_prefix(parts)
    return Run(run_id, "kafka_smoke", prefix, 2**63 + 1, "process", (), {}, {}, profile="smoke")


def test_rows_say_what_was_found(store):
    uri = index.add(store, a_run("r1"), [CELL])
    assert uri.endswith("index/2026-01-02.parquet")
    table = index.read(store, date(2026, 1, 2))
    assert table.schema.equals(index.SCHEMA)
    rows = table.to_pylist()
    assert [(r["kind"], r["name"], r["outcome"], r["value"]) for r in rows] == [
        ("cell", "cell", "fail", 1.5),
        ("claim", "lost-write", "fail", 3.0),
        ("metric", "produce_records_per_s_median", "fail", 10.0),
    ]
    first = rows[0]
    assert (first["run_id"], first["client"], first["branch"]) == ("r1", "a@1+b@2", "main")
    assert first["seed"] == 2**63 + 1
    assert first["started"] == datetime(2026, 1, 2, 23, 59, tzinfo=UTC)


def test_runs_that_add_at_once_all_keep_their_rows(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: index.add(store, a_run(f"r{n}"), [CELL]), range(8)))
    table = index.read(store, date(2026, 1, 2))
    assert table.num_rows == 24
    assert set(table["run_id"].to_pylist()) == {f"r{n}" for n in range(8)}


def test_a_run_that_is_published_again_replaces_its_rows(store):
    index.add(store, a_run("r1"), [CELL])
    index.add(store, a_run("r2"), [CELL])
    index.add(store, a_run("r1"), [replace(CELL, outcome=Outcome.PASS, claims=(), metrics={})])
    rows = index.read(store, date(2026, 1, 2)).to_pylist()
    assert [(r["run_id"], r["kind"], r["outcome"]) for r in rows] == [
        ("r2", "cell", "fail"),
        ("r2", "claim", "fail"),
        ("r2", "metric", "fail"),
        ("r1", "cell", "pass"),
    ]


def test_days_are_read_together_and_missing_ones_are_empty(store):
    index.add(store, a_run("r1", day=2), [CELL])
    index.add(store, a_run("r2", day=4), [CELL])
    assert index.read(store, date(2026, 1, 1), date(2026, 1, 5)).num_rows == 6
    assert index.read(store, date(2026, 1, 3)).num_rows == 0


def test_a_damaged_index_is_named_and_not_overwritten(store):
    key = keys.index_day(date(2026, 1, 2))
    store.put_bytes(key, b"not parquet")
    with pytest.raises(StoreError, match=r"2026-01-02\.parquet: expected a Parquet file"):
        index.add(store, a_run("r1"), [CELL])
    assert store.get_bytes(key) == b"not parquet"
