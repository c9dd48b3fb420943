"""A cell on the page; above all that it looks up its baseline where the gate does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafkalab.gate import envelopes
from kafkalab.model.scenario import Cell
from kafkalab.report.cells import anchor, host_line, lane_of


@pytest.mark.parametrize(
    ("planned", "reported"),
    [
        (("confluent-kafka@2.16.1",), ("confluent-kafka@2.16.1",)),
        (("confluent-kafka@2.11.1",), ("confluent-kafka@2.11.1", "confluent-kafka@2.16.1")),
        (("defect:slow",), ("confluent-kafka@2.16.1",)),
        (("kafka-clients@3.9.2", "confluent-kafka@2.16.1"), ("confluent-kafka@2.16.3",)),
        (("sarama@v1.46.2",), ("sarama@v1.46.2",)),
    ],
)
def test_lane_is_the_gates(samples, planned, reported):
    made = samples["green"]
    cell = Cell("P02", planned, "kafka@3.9.2")
    run = replace(made.run, cells={"benchmark/pinned": (cell,)})
    verdict = replace(made.cells[3], cell=cell.id, clients=reported)
    assert lane_of(run, verdict) == envelopes.lane_of(run, verdict)


def test_anchors_are_safe_and_differ_even_for_equal_cells():
    assert anchor(3, 'C01-"><script>') == "cell-3-C01-script"
    assert anchor(1, "same") != anchor(2, "same")


def test_host_noise_is_one_line():
    noise = {"steal_ratio": 0.00412, "noisy": False, "cpu": {"count": 2}}
    assert host_line(noise) == "steal_ratio 0.00412 · noisy no · cpu (count 2)"
