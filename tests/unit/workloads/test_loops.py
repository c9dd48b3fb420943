"""A pair of loops: who ends when, so that the lab's own waiting is nobody's stall."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kafkalab.clients.contract import Command, Reply
from kafkalab.model.errors import DriverError
from kafkalab.workloads import loops, roles
from kafkalab.workloads.client import Client
from kafkalab.workloads.recorder import Recorder

TOTALS = {"bytes": 1, "errors": 0, "value_sum": 0, "interval_s": 1.0, "gap_ms_max": 5.0}


class Driver:
    """Its producing loop gets `sent` records through; its consuming loop ends when stopped."""

    name, log = "d0", "d0.log"

    def __init__(self, recorder: Recorder, sent: int, read: int) -> None:
        self.listen = recorder.listener(self.name)
        self.sent, self.read = sent, read
        self.asked: list[tuple[str, dict]] = []
        self.consuming: Command | None = None

    def submit(self, op, client=None, **fields):
        self.asked.append((op, fields))
        command = Command(len(self.asked))
        if op == "consume":
            self.consuming = command
            # `samples` knows a loop by its command, which is recorded once this has returned
            event = {"type": "sample", "t": 1, "id": command.op_id, "client": client}
            self.listen({**event, "records": self.read})
        elif op == "produce":
            self.end(command, self.sent)
        else:
            assert fields["loop"] == self.consuming.op_id
            self.end(self.consuming, self.read)
            self.end(command, 0)
        return command

    def end(self, command: Command, records: int) -> None:
        command.set_result(Reply("ok", command.op_id, {**TOTALS, "records": records}, None, 1))


def run(monkeypatch, sent: int, read: int):
    monkeypatch.setattr(roles, "SETTLE_S", 0.1)
    monkeypatch.setattr(roles, "STALL_S", 0.3)
    recorder = Recorder()
    driver = Driver(recorder, sent, read)
    lab = SimpleNamespace(
        recorder=recorder, mark=lambda _text: None, scenario=SimpleNamespace(id="M01")
    )
    producer, consumer = (Client(driver, name, recorder, "b:9092") for name in ("p0", "c0"))
    return driver, loops.run_pair(lab, producer, consumer, "t", rate=100, duration_s=1, size=64)


@pytest.mark.parametrize("read", [99, 98])
def test_a_consumer_that_cannot_reach_its_end_is_stopped(monkeypatch, read):
    driver, pair = run(monkeypatch, sent=99, read=read)
    assert [op for op, _ in driver.asked] == ["consume", "produce", "stop"]
    assert (pair.produced.records, pair.consumed.records) == (99, read)


def test_the_consumer_outlives_the_producer_by_the_stall_bound(monkeypatch):
    driver, _ = run(monkeypatch, sent=100, read=100)
    (_, consume), (_, produce) = driver.asked[:2]
    given_up_s = 1 + 2 * (roles.STALL_S + roles.SETTLE_S)  # when the producer's loop is
    assert consume["duration_s"] > given_up_s > produce["duration_s"]


def test_a_loop_that_does_not_end_is_the_drivers_fault():
    lab = SimpleNamespace(scenario=SimpleNamespace(id="M01"))
    with pytest.raises(DriverError, match="M01: expected a loop to end within"):
        loops.totals(lab, Command(1), 0.01)
