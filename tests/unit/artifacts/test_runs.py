"""A run's documents: manifests last, attempts kept, and no result that is better than was seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kafkalab.artifacts import keys, runs
from kafkalab.artifacts.store import StoreError
from kafkalab.model.errors import UsageError
from kafkalab.model.gate import GateResult
from kafkalab.model.run import Manifest, Run
from kafkalab.model.scenario import Cell
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome

pytestmark = pytest.mark.system

CELL = Cell("C01", ("confluent-kafka@2.16.1",), "kafka@3.9.2")
STEP = "correctness"


def a_run(run_id: str = "manual__1", day: int = 1) -> Run:
    parts = keys.RunParts(
        workflow="kafka_smoke",
        branch="feature/x",
        sha="0123abc",
        runner="host-1",
        broker="kafka@3.9.2",
        client="confluent-kafka@2.16.1",
        started=datetime(2026, 1, day, tzinfo=UTC),
        run_id=run_id,
    )
    return Run(
        run_id=run_id,
        workflow="kafka_smoke",
        prefix=keys.run_prefix(parts),
        seed=7,
        engine="process",
        subjects=("confluent-kafka@2.16.1",),
        cells={f"{STEP}/pinned": (CELL,)},
        brokers={"pinned": "kafka@3.9.2"},
    )


def a_verdict(outcome: Outcome = Outcome.PASS) -> CellVerdict:
    return CellVerdict(
        scenario="C01",
        clients=CELL.clients,
        broker=CELL.broker,
        engine="process",
        cell=CELL.id,
        outcome=outcome,
        seconds=1.5,
        claims=(ClaimVerdict("lost-write", outcome, 0, "none"),),
        metrics={"produce_records_per_s_median": 10.0},
    )


def attempt(store, run, number, verdict=None, manifest=True, reason="", per_cell=True):
    """What a step leaves that got so far."""
    store.put_bytes(keys.artifact(run.prefix, STEP, number, CELL.id, "logs/x.log"), b"x")
    artifacts = {}
    if verdict is not None:
        key = keys.verdict(run.prefix, STEP, number, CELL.id)
        store.put_json(key, verdict.to_dict())
        artifacts["verdict"] = key
    if manifest:
        outcome = verdict.outcome if verdict else Outcome.UNKNOWN
        cell = CELL.id if per_cell else ""
        document = Manifest(STEP, number, outcome, reason, cell, artifacts)
        runs.write_manifest(store, run.prefix, document)


def test_a_run_reads_back_by_prefix_and_uri(store):
    run = a_run()
    uri = runs.write_run(store, run)
    assert runs.read_run(store, uri) == run
    assert runs.read_run(store, run.prefix) == run


def test_a_manifest_comes_after_what_it_names(store):
    run = a_run()
    key = keys.artifact(run.prefix, STEP, 1, CELL.id, "history.parquet")
    manifest = Manifest(STEP, 1, Outcome.PASS, cell=CELL.id, artifacts={"history": store.uri(key)})
    with pytest.raises(StoreError, match=r"'history'.*history\.parquet"):
        runs.write_manifest(store, run.prefix, manifest)
    assert runs.read_manifests(store, run.prefix) == []
    store.put_bytes(key, b"x")
    runs.write_manifest(store, run.prefix, manifest)
    assert runs.read_manifests(store, run.prefix) == [manifest]


def test_all_attempts_are_kept_and_the_latest_counts(store):
    run = a_run()
    runs.write_run(store, run)
    attempt(store, run, 1, a_verdict(Outcome.FAIL))
    attempt(store, run, 2, a_verdict())
    attempt(store, run, 10, a_verdict())
    assert [m.attempt for m in runs.read_manifests(store, run.prefix)] == [1, 2, 10]
    assert [m.attempt for m in runs.read_manifests(store, run.prefix, latest=True)] == [10]
    attempts = runs.read_attempts(store, run.prefix)
    assert [(a.attempt, a.verdict.outcome) for a in attempts] == [
        (1, Outcome.FAIL),
        (2, Outcome.PASS),
        (10, Outcome.PASS),
    ]
    assert runs.read_cells(store, run.prefix) == [a_verdict()]


@pytest.mark.parametrize("per_cell", [True, False])
def test_the_manifest_of_a_whole_step_vouches_for_its_cells(store, per_cell):
    run = a_run()
    runs.write_run(store, run)
    attempt(store, run, 1, a_verdict(), per_cell=per_cell)
    assert runs.read_cells(store, run.prefix) == [a_verdict()]


def test_an_attempt_that_did_not_finish_never_hides_behind_an_earlier_pass(store):
    run = a_run()
    runs.write_run(store, run)
    attempt(store, run, 1, a_verdict())
    attempt(store, run, 2, manifest=False)
    [cell] = runs.read_cells(store, run.prefix)
    assert cell.outcome is Outcome.UNKNOWN
    assert cell.reason == "attempt 2 of correctness did not finish: it left no manifest."
    assert (cell.scenario, cell.clients, cell.cell) == ("C01", CELL.clients, CELL.id)
    assert cell.metrics == {}


def test_a_pass_without_a_manifest_is_unknown_and_a_failure_stays_one(store):
    run = a_run()
    runs.write_run(store, run)
    attempt(store, run, 1, a_verdict(), manifest=False)
    [cell] = runs.read_cells(store, run.prefix)
    assert (cell.outcome, cell.claims) == (Outcome.UNKNOWN, a_verdict().claims)
    attempt(store, run, 2, a_verdict(Outcome.FAIL), manifest=False)
    [cell] = runs.read_cells(store, run.prefix)
    assert cell.outcome is Outcome.FAIL


def test_a_manifest_without_a_verdict_gives_its_reason(store):
    run = a_run()
    runs.write_run(store, run)
    attempt(store, run, 1, reason="the broker died.")
    [cell] = runs.read_cells(store, run.prefix)
    assert cell.outcome is Outcome.UNKNOWN
    assert cell.reason.endswith("left no verdict: the broker died.")


def test_a_run_without_cells_has_none(store):
    run = a_run()
    runs.write_run(store, run)
    assert runs.read_cells(store, run.prefix) == []


def test_each_attempt_of_the_gate_and_the_report_is_kept_and_the_last_is_current(store):
    run = a_run()
    red = GateResult(run.run_id, Outcome.FAIL, "red")
    green = replace(red, outcome=Outcome.PASS, summary="green")
    assert runs.read_gate(store, run.prefix) is None
    runs.write_gate(store, run.prefix, 1, red)
    assert runs.read_gate(store, run.prefix) == red
    runs.write_gate(store, run.prefix, 2, green)
    assert runs.read_gate(store, run.prefix) == green
    assert store.get_json(keys.gate(run.prefix, 1))["summary"] == "red"
    runs.write_report(store, run.prefix, 1, b"old")
    uri = runs.write_report(store, run.prefix, 2, b"new")
    assert store.get_bytes(store.key(uri)) == b"new"
    assert store.get_bytes(keys.report(run.prefix, 1)) == b"old"


def test_a_run_is_found_by_what_a_person_has_at_hand(store):
    first, second = a_run("manual__2026-01-01T00:00:00+00:00"), a_run("scheduled__2", day=2)
    for run in (second, first):
        runs.write_run(store, run)
    assert runs.list_runs(store) == [first.prefix, second.prefix]
    below = keys.verdict(first.prefix, STEP, 1, CELL.id)
    for text in (
        first.run_id,
        first.prefix,
        first.prefix.rstrip("/"),
        store.uri(below),
        "00:00:00",
    ):
        assert runs.find_run(store, text) == first.prefix


def test_a_run_that_is_not_found_names_the_nearest(store):
    with pytest.raises(UsageError, match="no run yet"):
        runs.find_run(store, "manual__1")
    for run in (a_run("manual__1"), a_run("manual__2", day=2)):
        runs.write_run(store, run)
    with pytest.raises(UsageError, match=r"(?s)'manual' means 2 runs.*manual__1.*manual__2"):
        runs.find_run(store, "manual")
    with pytest.raises(UsageError, match=r"Nearest: manual__2"):
        runs.find_run(store, "manul__2")
    with pytest.raises(UsageError, match="Nearest"):
        runs.find_run(store, "")
