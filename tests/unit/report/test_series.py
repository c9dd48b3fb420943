"""What the plots show, and above all that nothing worth seeing is averaged away."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from kafkalab.model.series import COLUMNS
from kafkalab.report.series import BUCKETS, MARKS_MAX, read

S = 1_000_000_000


def table(rows):
    columns = list(zip(*rows, strict=True)) if rows else [[]] * len(COLUMNS)
    kinds = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string()}
    return pa.table(
        {name: pa.array(columns[i], kinds[kind]) for i, (name, kind) in enumerate(COLUMNS)}
    )


def lines(series, title):
    panel = next(p for p in series.panels if p.spec.title == title)
    return {line.label: line for line in panel.lines}


def test_an_empty_series_has_nothing_to_plot():
    assert read(table([])).panels == ()


def test_time_counts_from_the_first_row_and_bytes_become_mebibytes():
    series = read(
        table(
            [
                (7 * S, "driver:d0", "rss_bytes", 2.0 * 2**20, None),
                (5 * S, "lab", "mark", 0.0, "warm-up"),
                (6 * S, "driver:d0", "rss_bytes", 1.0 * 2**20, None),
            ]
        )
    )
    line = lines(series, "Memory")["RSS driver:d0"]
    assert line.x.tolist() == [1, 2]  # in order of time, although the rows are not
    assert line.y.tolist() == [1, 2]


def test_many_clients_are_drawn_as_their_total():
    rows = [
        (at * S + p * 1_000, f"client:p{p}", "produce_records_per_s", 10.0, None)
        for at in range(3)
        for p in range(64)
    ]
    (line,) = lines(read(table(rows)), "Throughput").values()
    assert line.label == "produced client: total of 64"
    assert line.y.tolist() == [640, 640, 640]


def test_many_processes_are_drawn_as_maximum_and_median():
    rows = [
        (at * S, f"broker:b{b}", "cpu_ratio", float(b), None) for at in range(2) for b in (1, 2, 9)
    ]
    found = lines(read(table(rows)), "CPU")
    assert found["CPU broker: max of 3"].y.tolist() == [9, 9]
    assert found["CPU broker: median of 3"].y.tolist() == [2, 2]


def test_a_spike_of_one_second_survives_on_the_plot_of_a_week():
    seconds = 7 * 24 * 3_600
    values = np.ones(seconds)
    values[123_456] = 5_000.0
    series = read(
        pa.table(
            {
                "time_ns": np.arange(seconds) * S,
                "source": ["client:p0"] * seconds,
                "metric": ["latency_ms_p99"] * seconds,
                "value": values,
                "text": pa.nulls(seconds, pa.string()),
            }
        )
    )
    (line,) = lines(series, "Latency").values()
    assert len(line.x) <= 2 * BUCKETS
    assert line.y.max() == 5_000
    assert line.x[line.y.argmax()] == 123_456


def test_values_that_are_not_numbers_are_left_out():
    rows = [
        (S, "client:p0", "latency_ms_p50", float("nan"), None),
        (2 * S, "client:p0", "latency_ms_p50", float("inf"), None),
        (3 * S, "client:p0", "latency_ms_p50", 4.0, None),
    ]
    (line,) = lines(read(table(rows)), "Latency").values()
    assert line.y.tolist() == [4.0]


def test_phases_and_faults_are_told_apart_and_kept_in_order():
    marks = read(
        table(
            [
                (9 * S, "lab", "mark", 0.0, "drain"),
                (0, "lab", "mark", 0.0, "load"),
                (5 * S, "lab", "mark", 0.0, "fault kill b1"),
                (7 * S, "lab", "mark", 0.0, "heal kill b1"),
            ]
        )
    ).marks
    assert [(m.key, m.x, m.is_fault) for m in marks] == [
        ("1", 0, False),
        ("F1", 5, True),
        ("F2", 7, True),
        ("2", 9, False),
    ]


def test_too_many_marks_are_counted_not_drawn():
    series = read(table([(i * S, "lab", "mark", 0.0, f"phase {i}") for i in range(MARKS_MAX + 5)]))
    assert len(series.marks) == MARKS_MAX
    assert series.marks_left_out == 5


def test_a_quiet_host_gets_no_plot_of_stolen_time():
    quiet = [(i * S, "host", "steal_ratio", 0.001, None) for i in range(5)]
    assert read(table(quiet)).panels == ()
    noisy = [*quiet, (6 * S, "host", "steal_ratio", 0.2, None)]
    assert len(read(table(noisy)).panels) == 1
