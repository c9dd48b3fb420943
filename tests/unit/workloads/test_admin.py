"""The lab's admin: it asks again while metadata spreads, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkalab.clients.contract import Command, Reply
from kafkalab.model.errors import InfrastructureError
from kafkalab.workloads.admin import Admin, RefusedError
from kafkalab.workloads.recorder import Recorder


class Scripted:
    """A driver whose answers are given: a real broker does not lose its metadata on demand."""

    name, log = "admin", Path("admin.log")

    def __init__(self, *answers):
        self.answers = [{}, *answers]  # the first is for `open`
        self.asked = []
        self.clients = []

    def submit(self, op, client=None, **fields):
        self.asked.append(op)
        self.clients.append(client)
        answer = self.answers.pop(0)
        error = answer.get("error")
        command = Command(len(self.asked))
        kind = "fail" if error else "ok"
        command.set_result(Reply(kind, command.op_id, {"type": kind, **answer}, error, 0))
        return command


def refused(name):
    return {"error": {"name": name, "code": name, "message": name}}


def admin_with(*answers):
    driver = Scripted(*answers)
    return Admin(driver, Recorder(), "b:9092"), driver


OFFSETS = {"offsets": [["t", 0, 7]]}


def test_a_leader_that_is_not_known_yet_is_asked_for_again():
    admin, driver = admin_with(refused("_NOENT"), refused("LEADER_NOT_AVAILABLE"), OFFSETS)
    assert admin.end_offsets("t", 1) == {0: 7}
    assert driver.asked == ["open", "end_offsets", "end_offsets", "end_offsets"]


def test_what_is_refused_for_good_is_raised_at_once():
    admin, driver = admin_with(refused("TOPIC_AUTHORIZATION_FAILED"))
    with pytest.raises(RefusedError, match="TOPIC_AUTHORIZATION_FAILED"):
        admin.end_offsets("t", 1)
    assert driver.asked == ["open", "end_offsets"]


def test_a_topic_that_an_unanswered_request_created_is_taken_as_it_is():
    admin, driver = admin_with(refused("_TIMED_OUT"), refused("TOPIC_ALREADY_EXISTS"), OFFSETS)
    with pytest.raises(RefusedError, match="_TIMED_OUT"):
        admin.create_topic("t", 1, {})
    admin.create_topic("t", 1, {})
    assert driver.asked == ["open", "create_topic", "create_topic", "end_offsets"]


def test_a_topic_that_somebody_else_created_is_refused():
    admin, _ = admin_with(refused("TOPIC_ALREADY_EXISTS"))
    with pytest.raises(RefusedError, match="TOPIC_ALREADY_EXISTS"):
        admin.create_topic("t", 1, {})


def test_a_new_topic_whose_leaders_are_not_known_yet_is_waited_for():
    admin, driver = admin_with(refused("_NOENT"), refused("_NOENT"), OFFSETS)
    admin.create_topic("t", 1, {})
    assert driver.asked == ["open", "create_topic", "end_offsets", "end_offsets"]


def test_a_roundtrip_that_failed_is_not_in_the_way_of_the_next():
    sent, record = {"results": []}, {"records": [["t", 0, 0, 1, 64, None, 0, 0]]}
    first = [{}, {}, refused("NOT_ENOUGH_REPLICAS"), {}, {}]
    admin, driver = admin_with(*first, {}, {}, sent, {}, record, {}, {})
    with pytest.raises(InfrastructureError, match="NOT_ENOUGH_REPLICAS"):
        admin.roundtrip("t")
    admin.roundtrip("t")
    assert driver.asked[1:] == [
        "open", "open", "send", "close", "close",
        "open", "open", "send", "assign", "poll", "close", "close",
    ]  # fmt: skip
    assert not set(driver.clients[1:6]) & set(driver.clients[6:])
