"""What stands on the page, before any HTML."""

from __future__ import annotations

from dataclasses import replace

from kafkalab.model.gate import Finding, GateResult
from kafkalab.model.run import Manifest
from kafkalab.model.verdict import Outcome
from kafkalab.report.cells import TIMELINE_LINES_MAX
from kafkalab.report.view import FINDINGS_MAX, build


def page(made):
    return build(
        made.run, made.gate, made.cells, made.manifests, made.repeat, envelopes=made.envelopes
    )


def metrics(view):
    return {m.name: m for m in view.metrics}


def test_claims_come_before_numbers_and_numbers_before_missing_evidence(samples):
    made = samples["red"]
    evidence = Finding("evidence", Outcome.UNKNOWN, "C02", "", "rows", "too few rows")
    gate = replace(made.gate, failures=(evidence, *made.gate.failures))
    shown = [f.kind for f in page(replace(made, gate=gate)).failures]
    assert shown == ["a claim is broken", "outside its envelope", "not enough evidence"]


def test_a_number_outside_its_envelope_reddens_its_cell(samples):
    made = samples["red"]
    slow = next(v for v in page(made).cells if v.scenario == "P02")
    assert made.cells[3].outcome is Outcome.PASS  # its claims held
    assert slow.outcome is Outcome.FAIL
    assert slow.red == ("produce_records_per_s_median",)


def test_metrics_stand_against_their_baseline(samples):
    rows = metrics(page(samples["red"]).cells[3])
    slow = rows["produce_records_per_s_median"]
    assert (slow.value, slow.baseline) == ("98,117 records/s", "141,176 records/s")
    assert (slow.change, slow.bounds) == ("−30.5 %", "≥ 120,000 records/s")
    assert (slow.judgement, slow.tone) == ("outside", "fail")
    assert rows["rss_bytes_max"].judgement == "within"
    assert rows["stall_count"].judgement == "not gated"
    assert next(iter(rows)) == "produce_records_per_s_median"  # the model's order


def test_without_an_envelope_of_its_lane_a_gated_metric_has_no_baseline(samples):
    made = samples["green"]
    lane = replace(made.envelopes[0].lane, broker="kafka@3.3.2")
    other = (replace(made.envelopes[0], lane=lane),)
    rows = metrics(page(replace(made, envelopes=other)).cells[3])
    assert rows["latency_ms_p99"].judgement == "no baseline"
    assert rows["produce_records_per_s_median"].judgement == "warning"  # the gate's word stays


def test_a_number_outside_that_the_gate_left_alone_is_not_called_within(samples):
    made = samples["red"]
    rows = metrics(page(replace(made, gate=replace(made.gate, failures=()))).cells[3])
    assert rows["produce_records_per_s_median"].judgement == "outside, not red"


def test_a_planned_cell_without_a_verdict_is_unknown_and_never_silent(samples):
    lost = page(samples["unknown"]).cells[-1]
    assert (lost.scenario, lost.outcome) == ("C13", Outcome.UNKNOWN)
    assert "left no verdict" in lost.reason
    assert lost.replay == f"kafkalab replay {samples['unknown'].run.run_id}/{lost.cell}"


def test_a_cell_that_never_got_a_verdict_shows_why_and_every_attempt(samples):
    made = samples["unknown"]
    cell = page(made).cells[-1].cell
    tried = tuple(
        Manifest("correctness", n, Outcome.UNKNOWN, f"broker b2 died ({n})", cell) for n in (1, 2)
    )
    lost = page(replace(made, manifests=(*made.manifests, *tried))).cells[-1]
    assert lost.reason == "broker b2 died (2)"
    assert [a.attempt for a in lost.attempts] == [1, 2]


def test_a_green_gate_over_a_red_cell_is_called_a_contradiction(samples):
    made = samples["red"]
    green = GateResult(made.run.run_id, Outcome.PASS, "all well")
    (text,) = page(replace(made, gate=green)).contradictions
    assert made.cells[2].cell in text
    assert page(made).contradictions == ()
    assert page(samples["green"]).contradictions == ()


def test_matrix_has_every_scenario_by_client_and_broker(samples):
    matrix = page(samples["large"]).matrix
    assert [row[0] for row in matrix.rows] == ["B04", "C01", "C13", "C22", "P02"]
    assert len(matrix.columns) == 7  # 2 clients × 3 brokers, and both clients in one group
    rows = dict(matrix.rows)
    assert sum(map(len, rows["C01"])) == 6
    assert sum(map(len, rows["C22"])) == 1


def test_no_attempt_is_hidden(samples):
    attempts = page(samples["red"]).cells[2].attempts
    assert [(a.attempt, a.outcome) for a in attempts] == [(1, Outcome.UNKNOWN), (2, Outcome.FAIL)]
    assert "noisy no" in attempts[0].host
    assert [s.step for s in page(samples["red"]).steps] == ["plan", "provision"]


def test_a_flood_of_findings_is_cut_and_counted(samples):
    made = samples["red"]
    many = made.gate.failures * FINDINGS_MAX
    shown = page(replace(made, gate=replace(made.gate, failures=many)))
    assert len(shown.failures) == FINDINGS_MAX
    assert shown.failures_left_out == FINDINGS_MAX


def test_evidence_shows_the_first_findings_and_counts_the_rest(samples):
    claim = page(samples["red"]).cells[2].claims[-1]
    assert len(claim.evidence) == 8
    assert claim.evidence_left_out == 4
    assert '"committed": 120' in claim.evidence[0]


def test_a_red_claim_shows_its_timelines_and_no_more_than_a_page_of_each(samples):
    made = samples["red"]
    claim = page(made).cells[2].claims[-1]
    assert claim.timelines == made.cells[2].claims[-1].timelines
    assert claim.timelines[0][0].startswith("commit-ahead: c13/1")
    long = replace(made.cells[2].claims[-1], timelines=(("x" * 9_999,) * 999,))
    cells = (*made.cells[:2], replace(made.cells[2], claims=(long,)))
    (lines,) = page(replace(made, cells=cells)).cells[2].claims[0].timelines
    assert len(lines) == TIMELINE_LINES_MAX
    assert len(lines[0]) < 500


def test_a_run_that_planned_nothing_still_has_a_page(samples):
    made = replace(samples["green"], cells=(), manifests=())
    empty = page(replace(made, run=replace(made.run, cells={})))
    assert empty.cells == ()
    assert empty.matrix.rows == ()
    assert empty.counts.startswith("0 cells")
