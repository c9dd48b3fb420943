"""How long the consumer of a hot partition may get nothing, counted from when it was asked."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from kafkalab.model.errors import DriverError
from kafkalab.workloads import hot_partition, roles

LOAD = hot_partition.Load(60, 20, 1, 500, 20, 0, 0.1)
IDLE_S = roles.STALL_S + roles.SETTLE_S + 1


class Consumer:
    """Gives 20 records of partition 0, then of partition 1, and so on."""

    def __init__(self) -> None:
        self.polls = 0

    def resume(self, partitions):
        assert partitions == [("t", 0), ("t", 1)]

    def poll(self, count, _timeout_ms):
        self.polls += 1
        return [["t", self.polls % 2, self.polls * 20 + n, n, 64] for n in range(count)]


LAB = SimpleNamespace(mark=lambda _text: None, check_time=lambda: None)


def test_the_time_that_it_took_to_fill_the_partitions_is_no_idleness():
    delivered = roles.Delivered()
    delivered.moved_at = time.monotonic() - IDLE_S  # nothing is delivered while they are filled
    window = hot_partition._window(LAB, LOAD, Consumer(), delivered, "t")
    assert window == {0: 20, 1: 20}


def test_nothing_for_the_stall_bound_ends_it():
    delivered, now = roles.Delivered(), time.monotonic()
    delivered.moved_at = now - IDLE_S
    assert hot_partition._moving(LAB, delivered, now)
    assert not hot_partition._moving(LAB, delivered, now - IDLE_S)


def test_a_consumer_that_cannot_be_paused_is_named():
    from kafkalab.clients.contract import Command, Reply
    from kafkalab.workloads.client import Client
    from kafkalab.workloads.recorder import Recorder

    def submit(_op, client=None, **_fields):
        assert client == "c0"
        command = Command(1)
        error = {"name": None, "code": "IllegalStateException", "message": "no assignment"}
        command.set_result(Reply("fail", 1, {"error": error}, error, 0))
        return command

    client = Client(SimpleNamespace(name="d0", submit=submit), "c0", Recorder(), "b:9092")
    with pytest.raises(DriverError, match="'pause' ended as fail: IllegalStateException"):
        client.pause([("t", 0)])
