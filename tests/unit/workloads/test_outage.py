"""The producer of K03 counts as recovered by a batch that began after the broker was back."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace

import pytest

from kafkalab.model.errors import UsageError
from kafkalab.workloads import outage
from kafkalab.workloads.client import FailedError

LOAD = outage.Load(
    record_bytes=100, batch_records=4, partitions=3, poll_records=10, pause_s=0.01, before_s=0,
    down_s=0, recovery_s=1,
)  # fmt: skip


class Client:
    """Answers the first batch late, and each as `answers` says."""

    def __init__(self, answers):
        self.answers, self.sent, self.release = itertools.cycle(answers), [], threading.Event()

    def send(self, topic, records, timeout_s):
        self.sent.append([partition for partition, _value, _size in records])
        self.release.wait(5)
        return SimpleNamespace(type=next(self.answers))


def sending(client, enough):
    numbers = itertools.count()
    lab = SimpleNamespace(
        check_time=lambda: None, values=lambda count: [next(numbers) for _ in range(count)]
    )
    return outage._Sending(lab, LOAD, client, "t", enough)


@pytest.mark.parametrize(("answers", "recovered"), [(["ok"], True), (["info", "fail"], False)])
def test_only_a_batch_that_began_afterwards_shows_that_it_gets_on(answers, recovered):
    client, enough = Client(answers), threading.Event()
    producer = sending(client, enough)
    thread = threading.Thread(target=producer.run)
    thread.start()
    while not client.sent:
        time.sleep(0.01)
    since = time.monotonic()  # the first batch stands since before that
    assert not producer.wait_for_success(since, 0.2)
    client.release.set()
    assert producer.wait_for_success(since, 0.5) is recovered
    enough.set()
    thread.join(5)
    assert len(client.sent) > 1
    assert client.sent[0] == [0, 1, 2, 0]


def test_a_poll_that_fails_is_asked_again_and_told_once(monkeypatch):
    monkeypatch.setattr(outage, "AGAIN_S", 0.01)
    stop, delivered, said = threading.Event(), outage.roles.Delivered(), []
    answers = [FailedError("fetch failed"), FailedError("fetch failed"), [["t", 0, 7, 1, 64]]]

    def poll(_most, _wait):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        stop.set()
        return answer

    lab = SimpleNamespace(check_time=lambda: None, progress=said.append)
    outage._read(lab, LOAD, SimpleNamespace(poll=poll), delivered, stop)
    assert (delivered.records, said) == (1, ["fetch failed"])


def test_every_broker_must_lead_something():
    with pytest.raises(UsageError, match="at least 3"):
        outage.Load(**{**LOAD.__dict__, "partitions": 2})
