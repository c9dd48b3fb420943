"""The gate on a small run: green as it is, and red for its own reason when broken in one way."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import pytest

from kafkalab.gate.envelopes import lane_of
from kafkalab.model.errors import UsageError
from kafkalab.model.gate import GateResult
from kafkalab.model.run import Bound, Manifest
from kafkalab.model.verdict import ClaimVerdict, Outcome, Skipped


def claim(name, outcome=Outcome.PASS, count=0, **rest):
    return ClaimVerdict(name, outcome, count, f"{name} was judged", **rest)


def test_a_first_run_passes_on_claims_and_proposes(world):
    result = world.judge()
    assert (result.outcome, result.failures, result.warnings) == (Outcome.PASS, (), ())
    lane = str(lane_of(world.run, world.cell("P04")))
    assert result.lanes_without_baseline == (lane,)
    (proposal,) = result.proposals
    assert {(b.scenario, b.metric) for b in proposal.bounds} == {
        ("P04", "latency_ms_p99"),
        ("P04", "rss_bytes_max"),
    }
    assert (proposal.number, proposal.accepted_by, proposal.runs) == (1, "", ("runs/now/",))
    assert "1 lane without a baseline, judged by claims only (1 proposed)" in result.summary
    assert GateResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
    assert result.suites["quality"]["evaluated"] > 10


# --- evidence


def test_an_empty_run_is_unknown(world):
    world.run = replace(world.run, cells={})
    world.cells, world.manifests = [], []
    result = world.judge()
    assert result.outcome is Outcome.UNKNOWN
    assert {f.name for f in result.failures} == {"planned", "provisioned"}


def test_all_cells_missing_is_unknown_with_the_reason_of_each(world):
    world.cells = []
    world.change_manifest("correctness", outcome=Outcome.UNKNOWN, reason="broker b2 died")
    world.manifests = [m for m in world.manifests if m.step != "benchmark"]
    result = world.judge()
    assert result.outcome is Outcome.UNKNOWN
    by_cell = {f.cell: f for f in result.failures if f.name == "verdict"}
    assert "broker b2 died" in next(f for c, f in by_cell.items() if "C01" in c).summary
    assert "no manifest" in next(f for c, f in by_cell.items() if "P04" in c).summary
    assert all(f.replay and f.why for f in by_cell.values())


def test_one_missing_cell_is_one_failure(world, one_failure):
    world.drop("C01")
    world.change_manifest("correctness", outcome=Outcome.UNKNOWN, reason="driver was silent")
    failure = one_failure(result := world.judge())
    assert result.outcome is Outcome.UNKNOWN
    assert (failure.kind, failure.name) == ("evidence", "verdict")
    assert "driver was silent" in failure.summary


def test_a_missing_cell_names_provision_when_that_failed(world):
    world.cells = []
    world.manifests = [
        Manifest("provision", 1, Outcome.UNKNOWN, reason="port 9092 is taken", host={})
    ]
    result = world.judge()
    assert all("port 9092 is taken" in f.summary for f in result.failures if f.cell)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_a_metric_that_is_no_number_is_unknown(world, one_failure, value):
    world.accept("P04", latency_ms_p99=10.0)
    world.change("P04", metrics={"latency_ms_p99": value})
    failure = one_failure(world.judge())
    assert (failure.kind, failure.outcome, failure.name) == (
        "evidence",
        Outcome.UNKNOWN,
        "metric-value",
    )
    assert "latency_ms_p99" in failure.summary


def test_a_declared_metric_that_is_missing_is_unknown(world, one_failure):
    world.change("P04", metrics={"rss_bytes_max": 1e8})
    assert "latency_ms_p99: no value" in one_failure(world.judge()).summary


def test_a_declared_claim_that_was_not_judged_is_unknown(world, one_failure):
    world.change("C01", claims=(claim("lost-write"),))
    failure = one_failure(world.judge())
    assert failure.name == "claims-complete"
    assert "stall" in failure.summary


def test_a_claim_that_was_skipped_is_listed_and_not_missed(world):
    world.change(
        "C01", claims=(claim("lost-write"),), skipped=(Skipped("claim stall", "commit-async"),)
    )
    result = world.judge()
    assert result.outcome is Outcome.PASS
    assert [s.needs for s in result.skipped] == ["commit-async"]


def test_a_skipped_cell_is_listed_and_not_missed(world):
    world.run = replace(world.run, skipped=(Skipped("C05", "kip848"),))
    world.change("C01", claims=(), metrics={}, samples={}, skipped=(Skipped("C01", "produce"),))
    result = world.judge()
    assert result.outcome is Outcome.PASS
    assert [s.needs for s in result.skipped] == ["kip848", "produce"]


def test_a_run_that_skipped_everything_is_unknown(world):
    for name in ("C01", "P04"):
        world.change(name, claims=(), metrics={}, samples={}, skipped=(Skipped(name, "produce"),))
    assert world.judge().outcome is Outcome.UNKNOWN


def test_a_cell_that_observed_nothing_is_unknown(world, one_failure):
    world.change("C01", samples={})
    assert one_failure(world.judge()).name == "observed"


@pytest.mark.parametrize("name", ["rows", "sent", "delivered", "samples", "trials"])
def test_a_count_of_zero_is_unknown(world, one_failure, name):
    world.change("C01", samples={"rows": 9, "sent": 9, "delivered": 9, name: 0})
    failure = one_failure(world.judge())
    assert (failure.name, failure.outcome) == (name, Outcome.UNKNOWN)
    assert failure.bound.startswith("≥")


def test_a_clock_that_stepped_back_is_unknown(world, one_failure):
    world.change("C01", samples={"rows": 9, "clock_steps_back": 1})
    assert one_failure(world.judge()).name == "clock"


def test_a_step_that_began_before_its_run_is_unknown(world, one_failure):
    world.change_manifest("benchmark", started_at="2026-01-02T03:00:00+00:00")
    assert one_failure(world.judge()).name == "manifest-clock"


def test_a_time_that_cannot_be_read_is_unknown(world, one_failure):
    world.change_manifest("benchmark", started_at="yesterday")
    failure = one_failure(world.judge())
    assert (failure.name, failure.outcome) == ("manifest-clock", Outcome.UNKNOWN)
    assert "could not be judged" in failure.summary


def test_two_verdicts_of_one_cell_are_unknown(world, one_failure):
    world.cells.append(world.cell("C01"))
    assert one_failure(world.judge()).name == "duplicate-verdict"


def test_a_verdict_that_nobody_planned_is_unknown(world, one_failure):
    world.cells.append(replace(world.cell("C01"), cell="C99-x", scenario="C99"))
    assert one_failure(world.judge()).name == "planned-cell"


def test_a_missing_manifest_is_unknown(world, one_failure):
    world.manifests = [m for m in world.manifests if m.step != "correctness"]
    assert one_failure(world.judge()).name == "manifest"


def test_a_missing_manifest_of_provision_is_unknown(world, one_failure):
    world.manifests = [m for m in world.manifests if m.step != "provision"]
    assert one_failure(world.judge()).name == "provisioned"


def test_noise_that_was_not_recorded_is_unknown_where_numbers_count(world, one_failure):
    world.change_manifest("benchmark", host={})
    world.change_manifest("correctness", host={})
    failure = one_failure(world.judge())
    assert (failure.name, failure.scenario) == ("noise-recorded", "P04")


def test_a_cell_that_says_why_it_is_unknown_is_one_failure(world, one_failure):
    world.change(
        "C01",
        outcome=Outcome.UNKNOWN,
        reason="the driver exited with 137",
        claims=(claim("lost-write", Outcome.UNKNOWN), claim("stall", Outcome.UNKNOWN)),
        metrics={},
        samples={},
    )
    failure = one_failure(world.judge())
    assert (failure.name, failure.outcome) == ("cell-reason", Outcome.UNKNOWN)
    assert failure.summary == "the driver exited with 137"


def test_a_failed_attempt_is_not_hidden_by_a_later_one(world, one_failure):
    first = next(m for m in world.manifests if m.step == "correctness")
    world.manifests.append(replace(first, attempt=2))
    world.change_manifest("correctness", outcome=Outcome.FAIL, reason="lost-write: 3 records")
    failure = one_failure(result := world.judge())
    assert (result.outcome, failure.kind) == (Outcome.FAIL, "claim")
    assert "lost-write: 3 records" in failure.summary


def test_an_unknown_attempt_warns_when_a_later_one_passed(world):
    first = next(m for m in world.manifests if m.step == "correctness")
    world.manifests.append(replace(first, attempt=2))
    world.change_manifest("correctness", outcome=Outcome.UNKNOWN, reason="store was down")
    result = world.judge()
    assert result.outcome is Outcome.PASS
    assert [w.name for w in result.warnings] == ["earlier-attempt-unknown"]


def test_what_a_teardown_left_behind_is_red(world, one_failure):
    world.manifests.append(Manifest("teardown", 1, Outcome.PASS))
    assert world.judge().outcome is Outcome.PASS
    world.manifests.append(Manifest("teardown", 2, Outcome.UNKNOWN, "found java 4711"))
    failure = one_failure(world.judge())
    assert (failure.name, failure.outcome) == ("torn-down", Outcome.UNKNOWN)
    assert failure.summary == "teardown is unknown: found java 4711"


def test_without_the_catalogue_the_result_says_so(world):
    result = world.judge(scenarios=None)
    assert result.outcome is Outcome.PASS
    assert [w.name for w in result.warnings] == ["catalogue"]


# --- claims


def test_a_broken_claim_is_one_failure_with_everything_to_act_on(world, one_failure):
    lost = claim("lost-write", Outcome.FAIL, 3, evidence_uri="s3://b/lost.json")
    world.change("C01", outcome=Outcome.FAIL, claims=(lost, claim("stall")))
    failure = one_failure(result := world.judge())
    assert result.outcome is Outcome.FAIL
    assert (failure.kind, failure.name, failure.value) == ("claim", "lost-write", 3)
    assert failure.evidence == "s3://b/lost.json"
    assert failure.replay == world.cell("C01").replay
    assert failure.why
    assert failure.bound


def test_an_unknown_claim_is_not_enough_evidence(world, one_failure):
    world.change(
        "C01",
        outcome=Outcome.UNKNOWN,
        claims=(claim("lost-write", Outcome.UNKNOWN), claim("stall")),
    )
    failure = one_failure(result := world.judge())
    assert result.outcome is Outcome.UNKNOWN
    assert (failure.kind, failure.name) == ("evidence", "lost-write")
    assert failure.evidence == "runs/now/correctness/verdict.json"


def test_fail_wins_over_unknown_and_both_are_named(world):
    world.change("C01", outcome=Outcome.FAIL, claims=(claim("lost-write", Outcome.FAIL, 1),))
    world.drop("P04")
    result = world.judge()
    assert result.outcome is Outcome.FAIL
    assert {f.outcome for f in result.failures} == {Outcome.FAIL, Outcome.UNKNOWN}
    assert result.failures[0].outcome is Outcome.FAIL


def test_a_claim_without_a_rule_of_its_own_is_judged_all_the_same(world, one_failure):
    world.change(
        "C01",
        outcome=Outcome.FAIL,
        claims=(claim("lost-write"), claim("stall"), claim("brand-new", Outcome.FAIL, 1)),
    )
    assert one_failure(world.judge()).name == "brand-new"


def test_a_verdict_that_fails_without_a_failing_claim_never_passes(world, one_failure):
    world.change("C01", outcome=Outcome.FAIL)
    assert one_failure(world.judge()).name == "consistent"


# --- envelopes


def test_thirty_percent_less_throughput_is_exactly_one_envelope_failure(world, one_failure):
    world.change("P04", metrics={"latency_ms_p99": 10.0, "produce_records_per_s_median": 98_824.0})
    world.accept("P04", latency_ms_p99=10.0, produce_records_per_s_median=141_176.0)
    failure = one_failure(result := world.judge())
    assert result.outcome is Outcome.FAIL
    assert (failure.kind, failure.name) == ("envelope", "produce_records_per_s_median")
    assert failure.value == 98_824.0
    assert failure.bound == "≥ 120,000 records/s (−15 % of 141,176)"
    assert "98,824 records/s, 30 % below the baseline of 141,176" in failure.summary
    assert failure.baseline_run == "runs/before/"
    assert failure.evidence == "runs/now/benchmark/verdict.json"
    assert failure.replay
    assert failure.why
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("metric", "value", "outcome", "warnings"),
    [
        ("produce_records_per_s_median", 85.0, Outcome.PASS, 1),  # at the bound: inside, warned
        ("produce_records_per_s_median", 84.999, Outcome.FAIL, 0),
        ("produce_records_per_s_median", 91.9, Outcome.PASS, 1),
        ("produce_records_per_s_median", 92.0, Outcome.PASS, 0),
        ("produce_records_per_s_median", 500.0, Outcome.PASS, 0),
        ("latency_ms_p99", 120.0, Outcome.PASS, 0),
        ("latency_ms_p99", 120.001, Outcome.FAIL, 0),
        ("rss_bytes_max", 125.0, Outcome.PASS, 0),
        ("rss_bytes_max", 125.001, Outcome.FAIL, 0),
    ],
)
def test_bounds_are_inclusive_and_warn_before_they_fail(world, metric, value, outcome, warnings):
    world.scenarios.pop("P04")
    world.change("P04", metrics={metric: value})
    world.accept("P04", **{metric: 100.0})
    result = world.judge()
    assert (result.outcome, len(result.warnings)) == (outcome, warnings)


@pytest.mark.parametrize(("lower", "upper"), [(None, None), (None, 9.0), (math.nan, None)])
def test_an_accepted_bound_that_is_null_is_unknown(world, one_failure, lower, upper):
    metric = "produce_records_per_s_median"
    world.change("P04", metrics={"latency_ms_p99": 10.0, metric: 1.0})
    lane = world.accept("P04", latency_ms_p99=10.0)
    envelope = world.accepted[lane]
    broken = Bound(metric, "P04", 100.0, lower, upper)
    world.accepted[lane] = replace(envelope, bounds=(*envelope.bounds, broken))
    failure = one_failure(world.judge())
    assert (failure.kind, failure.outcome, failure.name) == ("evidence", Outcome.UNKNOWN, metric)


def test_an_accepted_bound_of_what_was_not_measured_is_unknown(world, one_failure):
    world.accept("P04", latency_ms_p99=10.0, rss_bytes_max=1e8, consume_records_per_s_median=5.0)
    failure = one_failure(world.judge())
    assert (failure.name, failure.outcome) == ("consume_records_per_s_median", Outcome.UNKNOWN)


def test_an_accepted_bound_without_a_rule_is_unknown(world, one_failure):
    world.change("P04", metrics={"latency_ms_p99": 10.0, "drain_ms": 1.0})
    world.accept("P04", latency_ms_p99=10.0, drain_ms=1.0)
    failure = one_failure(world.judge())
    assert "benchmark.json has no rule for metric 'drain_ms'" in failure.summary


def test_a_metric_that_is_new_in_a_lane_warns_and_is_proposed(world):
    world.accept("P04", latency_ms_p99=10.0)
    result = world.judge()
    assert result.outcome is Outcome.PASS
    assert [w.name for w in result.warnings] == ["rss_bytes_max"]
    assert result.lanes_without_baseline == ()
    (proposal,) = result.proposals
    assert proposal.number == 2
    assert {b.metric for b in proposal.bounds} == {"latency_ms_p99", "rss_bytes_max"}


def test_the_envelope_of_another_lane_is_not_used(world):
    lane = world.accept("P04", latency_ms_p99=1.0)  # this run's 10 ms would fail against it
    other = replace(lane, host_class="linux-64c")
    world.accepted = {other: replace(world.accepted[lane], lane=other)}
    result = world.judge()
    assert result.outcome is Outcome.PASS
    assert result.lanes_without_baseline == (str(lane),)


def test_an_envelope_that_was_accepted_for_another_lane_is_refused(world, one_failure):
    lane = world.accept("P04", latency_ms_p99=1.0)
    world.accepted[lane] = replace(world.accepted[lane], lane=replace(lane, broker="kafka@4.3.1"))
    failure = one_failure(world.judge())
    assert (failure.name, failure.outcome) == ("envelope-lane", Outcome.UNKNOWN)


def test_two_lanes_are_judged_by_their_own_envelopes(world, one_failure):
    slow = replace(world.cell("P04").__class__(**world.cell("P04").__dict__))
    planned = world.run.cells["benchmark/pinned"][0]
    second = replace(planned, clients=("kafka-clients@3.9.2",))
    world.run = replace(world.run, cells={**world.run.cells, "benchmark/pinned": (planned, second)})
    world.cells.append(replace(slow, cell=second.id, clients=second.clients))
    manifest = next(m for m in world.manifests if m.step == "benchmark")
    world.manifests.append(replace(manifest, cell=second.id))
    first_lane = world.accept("P04", latency_ms_p99=10.0, rss_bytes_max=1e8)
    second_lane = replace(first_lane, client_line="kafka-clients@3.9")
    strict = replace(world.accepted[first_lane], lane=second_lane)
    bounds = tuple(replace(b, baseline=1.0, upper=1.2) for b in strict.bounds[:1])
    world.accepted[second_lane] = replace(strict, bounds=bounds + strict.bounds[1:])
    failure = one_failure(world.judge())
    assert (failure.cell, failure.name) == (second.id, "latency_ms_p99")


def _regression(world, outcome, evidence=()):
    metrics = {"produce_records_per_s_median": 70.0, "rss_bytes_max": 1e8, "latency_ms_p99": 1.0}
    claims = (claim("unseen"), claim("regression", outcome, 1, evidence=evidence))
    world.change("P04", claims=claims, metrics=metrics, outcome=outcome)
    world.accept("P04", produce_records_per_s_median=100.0, rss_bytes_max=1e8, latency_ms_p99=1.0)


def test_what_pairs_have_judged_the_envelope_only_warns_about(world):
    _regression(world, Outcome.PASS)
    result = world.judge()
    assert result.outcome is Outcome.PASS
    (warning,) = result.warnings
    assert (warning.kind, warning.name) == ("envelope", "produce_records_per_s_median")
    assert "paired comparison" in warning.summary


def test_a_confirmed_regression_is_one_failure_and_not_two(world, one_failure):
    _regression(world, Outcome.FAIL)
    failure = one_failure(result := world.judge())
    assert (failure.kind, failure.name) == ("claim", "regression")
    assert [w.name for w in result.warnings] == ["produce_records_per_s_median"]


def test_pairs_speak_only_for_the_metrics_that_they_compared(world, one_failure):
    _regression(world, Outcome.PASS, evidence=({"metric": "consume_records_per_s_median"},))
    failure = one_failure(world.judge())
    assert (failure.kind, failure.name) == ("envelope", "produce_records_per_s_median")


def test_undecided_pairs_leave_the_envelope_in_charge(world):
    _regression(world, Outcome.UNKNOWN)
    kinds = {(f.kind, f.outcome) for f in world.judge().failures}
    assert kinds == {("evidence", Outcome.UNKNOWN), ("envelope", Outcome.FAIL)}


@pytest.mark.parametrize("noisy", [["steal 22 %"], "steal 22 %"])
def test_a_noisy_host_makes_an_envelope_unknown_and_leaves_pairs_their_verdict(world, noisy):
    _regression(world, Outcome.FAIL, evidence=({"metric": "other"},))
    world.change_manifest("benchmark", host={"noisy": noisy})
    result = world.judge()
    found = {f.name: f for f in result.failures}
    assert set(found) == {"regression", "produce_records_per_s_median"}
    assert found["regression"].outcome is Outcome.FAIL
    envelope = found["produce_records_per_s_median"]
    assert (envelope.kind, envelope.outcome) == ("evidence", Outcome.UNKNOWN)
    assert "steal 22 %" in envelope.summary


def test_a_noisy_host_excuses_no_lost_record_and_proposes_nothing(world, one_failure):
    world.change_manifest("correctness", host={"noisy": ["steal 22 %"]})
    world.change_manifest("benchmark", host={"noisy": ["steal 22 %"]})
    lost = claim("lost-write", Outcome.FAIL, 3)
    world.change("C01", outcome=Outcome.FAIL, claims=(lost, claim("stall")))
    failure = one_failure(result := world.judge())
    assert (result.outcome, failure.name) == (Outcome.FAIL, "lost-write")
    assert result.proposals == ()
    # C01 measures nothing that a baseline would hold, so its noise is nobody's concern
    assert [(w.name, w.scenario) for w in result.warnings] == [("noisy-host", "P04")]
    assert "(no proposed)" in result.summary


# --- suites


def test_a_missing_suite_is_a_usage_error_that_names_the_file(world, tmp_path):
    shutil.copytree(world.suites.parent, tmp_path / "expectations")
    world.suites = tmp_path / "expectations" / "suites"
    (world.suites / "benchmark.json").unlink()
    with pytest.raises(UsageError, match=r"benchmark\.json: expected the suite 'benchmark' here"):
        world.judge()


def test_a_suite_without_its_rules_cannot_make_an_empty_run_pass(world, tmp_path):
    shutil.copytree(world.suites.parent, tmp_path / "expectations")
    world.suites = tmp_path / "expectations" / "suites"
    path = world.suites / "quality.json"
    raw = json.loads(path.read_text())
    raw["expectations"] = [e for e in raw["expectations"] if e["meta"]["rule"] == "cell-time"]
    path.write_text(json.dumps(raw))
    world.cells = []
    result = world.judge()
    assert (result.outcome, [f.name for f in result.failures]) == (Outcome.UNKNOWN, ["judged"])
