"""What the driver of confluent-kafka says of errors, without a broker."""

from __future__ import annotations

import struct
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException


@pytest.fixture
def module(driver_modules):
    """Imports a module of the driver."""
    return driver_modules("confluent-kafka")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, "fail"),
        (KafkaError._QUEUE_FULL, "fail"),
        (KafkaError._MSG_TIMED_OUT, "info"),
        (KafkaError._PURGE_INFLIGHT, "info"),
        (KafkaError._PURGE_QUEUE, "info"),  # it may have waited for a retry
    ],
)
def test_a_record_failed_only_if_no_attempt_can_have_succeeded(module, code, outcome):
    assert module("outcomes").send_outcome(KafkaError(code)) == outcome


def test_an_answer_that_did_not_come_leaves_it_open_what_was_changed(module):
    outcomes = module("outcomes")
    assert outcomes.command_outcome("create_topic", TimeoutError()) == "info"
    assert outcomes.command_outcome("end_offsets", TimeoutError()) == "fail"
    assert outcomes.command_outcome("send", ValueError("size")) == "fail"


class Message:
    """A message of the client, which cannot be made without a broker in every version."""

    def __init__(self, error):
        self._error = error

    def error(self):
        return self._error


def test_errors_alone_do_not_end_a_gap_between_deliveries(module, monkeypatch):
    consume_loop = module("consume_loop")
    monkeypatch.setattr(consume_loop, "Message", Message)
    seen = []
    client = SimpleNamespace(max_poll_records=500, on_message_error=seen.append)
    loop = consume_loop.ConsumeLoop(client, {"id": 1, "style": "poll"})
    began_ns = loop.loop.meter._delivered_ns
    loop.look_at([Message(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))])
    assert len(seen) == loop.loop.meter.errors == 1
    assert loop.loop.meter._delivered_ns == began_ns


def test_a_coordinator_that_moved_is_looked_up_anew(module, monkeypatch):
    admin, made = module("admin"), []

    class Native:
        def __init__(self, config):
            made.append(config)

        def list_consumer_group_offsets(self, requests):
            future = Future()
            future.set_exception(KafkaException(KafkaError(KafkaError.NOT_COORDINATOR)))
            return {requests[0].group_id: future}

    monkeypatch.setattr(admin, "AdminClient", Native)
    wire = SimpleNamespace(emit=lambda *_args, **_fields: None)
    client = admin.AdminRole(wire, "a", {})
    try:
        client.op_open({"bootstrap": "b:9092"})
        with pytest.raises(KafkaException):
            client.op_group_offsets({"group": "g", "partitions": [["t", 0]]})
    finally:
        client.shut(1)
        client.join(5)
    assert len(made) == 2
    assert made[0] == made[1]


def test_only_commits_of_the_group_are_taken_from_the_offsets_topic(module):
    topic = module("offsets_topic")

    def key(version, group):
        names = b"".join(struct.pack(">h", len(name)) + name for name in (group, b"t-\xc3\xa9"))
        return struct.pack(">h", version) + names + struct.pack(">i", 7)

    assert topic._place(key(0, b"g"), "g") == topic._place(key(1, b"g"), "g") == ("t-é", 7)
    assert topic._place(key(1, b"h"), "g") is None
    assert topic._place(struct.pack(">hh", 2, 1) + b"g", "g") is None, "its members"
    assert topic._offset(struct.pack(">hqi", 3, 1 << 40, 5)) == 1 << 40


def test_each_partition_of_the_offsets_topic_is_read_to_its_end(module):
    topic = module("offsets_topic")

    class Message:
        def __init__(self, partition, value=None):
            self.partition, self.value = (lambda: partition), (lambda: value)
            self.key, self.timestamp = (lambda: b"k"), (lambda: (1, 5))
            end = None if value else KafkaError(KafkaError._PARTITION_EOF)
            self.error = lambda: end

    # partition 0 reaches its end twice, since more was written, before 1 is read at all
    told = [[Message(0)], [Message(0, b"a"), Message(0)], [Message(1, b"b"), Message(1)]]
    reader = SimpleNamespace(consume=lambda *_: told.pop(0))
    assert [value for _, value, _ in topic._to_the_end(reader, {0, 1}, 5)] == [b"a", b"b"]
    reader = SimpleNamespace(consume=lambda *_: [])
    with pytest.raises(TimeoutError, match="2 partitions of __consumer_offsets not read in 0 s"):
        list(topic._to_the_end(reader, {0, 1}, 0))
