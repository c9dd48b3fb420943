"""The table at the end of a run, and that what is copied from it is whole."""

from __future__ import annotations

import io

from rich.console import Console

from kafkalab.report.console import print_summary

REPORT, ARTIFACTS = "s3://kafkalab/runs/r/report/index.html", "s3://kafkalab/runs/r/"


def printed(made, width=80):
    out = io.StringIO()
    console = Console(file=out, width=width)
    print_summary(
        console,
        made.run,
        made.gate,
        made.cells,
        report=REPORT,
        artifacts=ARTIFACTS,
        repeat=made.repeat,
    )
    return out.getvalue()


def test_red_run_names_each_red_thing_with_value_bound_evidence_and_command(samples):
    made = samples["red"]
    text = printed(made)
    for finding in made.gate.failures:
        assert finding.summary in text
        assert finding.evidence in text
        assert f"{finding.replay}\n" in text  # whole, on one line, however narrow the terminal is
    assert "98,117 records/s" in text
    assert "commit-ahead (12)" in printed(made, 160)
    assert text.index("commit-ahead in") < text.index("produce_records_per_s_median in")
    assert "needs a schema registry" in text
    assert f"report        {REPORT}\n" in text
    assert f"artifacts     {ARTIFACTS}\n" in text
    assert "seed          1741658407" in text
    assert f"repeat        {made.repeat}\n" in text


def test_green_run_is_short_and_red_of_nothing(samples):
    text = printed(samples["green"])
    assert "verdict       pass: Every claim held" in text
    assert "fail" not in text.replace("failed", "")
    assert "warning       produce_records_per_s_median" in text


def test_first_run_of_a_lane_says_how_to_accept_its_proposal(samples):
    text = printed(samples["unknown"])
    assert "no baseline" in text
    assert "kafkalab baseline --run runs/" in text


def test_a_cell_without_a_verdict_is_a_row(samples):
    row = next(line for line in printed(samples["unknown"], 200).splitlines() if "C13" in line)
    assert "unknown" in row
    assert "left no verdict" in row


def test_hostile_text_neither_moves_the_cursor_nor_counts_as_markup(samples):
    text = printed(samples["hostile"], 400)
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "\u202e" not in text
    assert "[31m" in text  # shown, not obeyed
