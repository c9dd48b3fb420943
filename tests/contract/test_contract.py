"""The contract suite: what docs/driver-contract.md promises, tried on a real broker.

`pytest tests/contract --driver NAME@VERSION` runs it against one driver. The fixture `session`
checks every event of every test against the schema, and that each command was answered once.
"""

from __future__ import annotations

import threading
import time
import uuid
import zlib

import pytest
from confluent_kafka import Producer
from hdrh.histogram import HdrHistogram

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

VALUE_MAX = 2**64 - 1


def test_hello_says_what_is_loaded(session):
    hello = session.driver.hello
    session.happened.validate(hello)
    assert hello["client"]["version"] == session.subject.version
    assert hello["driver"] == session.subject.name
    assert hello["pid"] == session.driver.pid
    assert abs(hello["wall_ns"] - time.time_ns()) < 300e9


def test_clock_is_the_hosts(session):
    before, wall_before = time.monotonic_ns(), time.time_ns()
    reply = session.must("clock")
    after, wall_after = time.monotonic_ns(), time.time_ns()
    assert before <= reply.time_ns <= after
    assert wall_before <= reply.raw["wall_ns"] <= wall_after


@pytest.mark.parametrize("writer", ["subject", "other"])
def test_payload_is_read_by_another_client(session, other, bootstrap, topic, writer):
    source, reader = (session, other) if writer == "subject" else (other, session)
    sent = [[0, 0, 32], [1, 1, 33], [0, 2**63, 5000], [1, VALUE_MAX, 100_000], [None, 7, 100]]
    producer = source.open("producer", bootstrap, acks=-1)
    reply = source.must("send", producer, topic=topic, records=sent)
    results = reply.raw["results"]
    assert [result[0] for result in results] == ["ok"] * len(sent)
    assert [result[1] for result in results[:4]] == [0, 1, 0, 1]
    consumer = reader.open("consumer", bootstrap)
    reader.must("assign", consumer, partitions=[[topic, 0, 0], [topic, 1, 0]])
    read = {(r[1], r[2]): r for r in reader.poll_all(consumer, len(sent))}
    for (partition, value, size), (_, landed, offset, _error) in zip(sent, results, strict=True):
        intended = -1 if partition is None else partition
        assert read[landed, offset] == [
            topic, landed, offset, value, size, None, intended, zlib.crc32(topic.encode()),
        ]  # fmt: skip
    source.must("close", producer, timeout_ms=5000)
    reader.must("close", consumer, timeout_ms=5000)


def test_foreign_and_broken_payloads_are_named(session, bootstrap, topic):
    producer = session.open("producer", bootstrap)
    session.must("send", producer, topic=topic, records=[[0, 42, 64]])
    consumer = session.open("consumer", bootstrap)
    session.must("assign", consumer, partitions=[[topic, 0, 0]])
    session.poll_all(consumer, 1)
    header = b"KLB1" + (9).to_bytes(8, "big") + bytes(8) + b"\xff\xff\xff\xff" + bytes(4)
    strange = [b"short", b"x" * 40, header + b"filler" + bytes(4), None, b""]
    raw = Producer({"bootstrap.servers": bootstrap})
    for value in strange:
        raw.produce(topic, value, partition=0)
    assert raw.flush(10) == 0
    seen = [(r[3], r[5]) for r in session.poll_all(consumer, len(strange))]
    assert seen == [
        (None, "short"), (None, "foreign"), (9, "checksum"), (None, "null-value"), (None, "short"),
    ]  # fmt: skip


CONTENTS = [
    {"key": "payload", "value": None},
    {"key": "payload", "value": ""},
    {"key": "", "value": "payload"},
    {"key": "k", "headers": [["a", "1"], ["b", ""]]},
    {"value": "other", "headers": [["id", "payload"], ["\u00ff", "\u0000\u00ff"]]},
]
NOTHING = {"key": None, "value": None, "headers": [["h", "payload"]]}
RARE = {
    "null-headers": {"headers": [["a", None]]},
    "repeated-headers": {"headers": [["a", "1"], ["b", "2"], ["a", "3"]]},
}


@pytest.mark.parametrize("writer", ["subject", "other"])
def test_content_is_written_and_read_as_it_is(session, needs, other, bootstrap, topic, writer):
    needs("headers")
    source, reader = (session, other) if writer == "subject" else (other, session)
    able = set(session.driver.hello["capabilities"]) & set(other.driver.hello["capabilities"])
    if "headers" not in able:
        pytest.skip(f"{other.subject} does not declare headers")
    contents = [*CONTENTS, *(content for name, content in RARE.items() if name in able)]
    producer = source.open("producer", bootstrap)
    if "key-or-value" in source.driver.hello["capabilities"]:
        refused = source.call("send", producer, topic=topic, records=[[0, 97, 64, NOTHING]])
        assert refused.type == "fail", refused.raw
    else:
        contents.append(NOTHING)
    plain = [[0, 98, 64], [0, 99, 64, {}]]
    sent = [[0, n, 64, content] for n, content in enumerate(contents)]
    source.must("send", producer, topic=topic, records=[*sent, *plain])
    consumer = reader.open("consumer", bootstrap)
    reader.must("assign", consumer, partitions=[[topic, 0, 0]])
    read = reader.poll_all(consumer, len(sent) + len(plain))
    assert [record[3] for record in read] == [*range(len(contents)), 98, 99]
    assert [record[5] for record in read] == [None] * len(read)
    assert [len(record) for record in read[-2:]] == [8, 8]
    whole = [{"key": None, "value": "payload", "headers": [], **content} for content in contents]
    assert [record[8] for record in read[:-2]] == whole
    sizes = {"payload": 64, None: 0, "": 0, "other": 5}
    assert [record[4] for record in read[:-2]] == [sizes[each["value"]] for each in whole]
    source.must("close", producer, timeout_ms=5000)
    reader.must("close", consumer, timeout_ms=5000)


def test_what_the_client_refuses_is_a_fail_among_results(session, bootstrap, topic):
    limit = {"max_message_bytes": 50_000}
    producer, settings = "limited", {"role": "producer", "bootstrap": bootstrap, "config": limit}
    opened = session.call("open", producer, **settings)
    if opened.type == "fail" and "max_message_bytes" in opened.error["message"]:
        pytest.skip(f"{session.subject} has no limit of its own for the size of a record")
    mixed = session.call("send", producer, topic=topic, records=[[0, 1, 100], [0, 2, 60_000]])
    assert mixed.type == "info"
    assert [result[0] for result in mixed.raw["results"]] == ["ok", "fail"]
    assert mixed.raw["results"][1][3]["name"] in ("MESSAGE_TOO_LARGE", None)
    assert session.call("send", producer, topic=topic, records=[[0, 3, 60_000]]).type == "fail"
    lingering = session.must("send", producer, topic=topic, records=[[0, 4, 99]], linger=True)
    assert lingering.raw["results"][0][:3] == ["ok", 0, 1]


def test_what_no_broker_takes_is_a_fail(session, bootstrap, topic):
    producer = session.open("producer", bootstrap)
    refused = session.call("send", producer, topic=topic, records=[[0, 1, 2_000_000]])
    assert refused.type == "fail", refused.raw
    assert refused.error["name"] in ("MESSAGE_TOO_LARGE", None)
    assert refused.raw["results"][0][:3] == ["fail", 0, None]
    lingering = session.must("send", producer, topic=topic, records=[[0, 2, 99]], linger=True)
    assert lingering.raw["results"] == [["ok", 0, 0, None]]


def test_poll_waits_for_the_first_record_only(session, bootstrap, topic):
    producer, consumer = session.open("producer", bootstrap), session.open("consumer", bootstrap)
    session.must("assign", consumer, partitions=[[topic, 0, 0]])
    began = time.monotonic()
    assert session.must("poll", consumer, max_records=10, timeout_ms=300).raw["records"] == []
    assert 0.25 < time.monotonic() - began < 5
    waiting = session.submit("poll", consumer, max_records=10, timeout_ms=20_000)
    # another client works meanwhile
    session.must("send", producer, topic=topic, records=[[0, 1, 64]])
    assert len(waiting.result(10).raw["records"]) == 1


# Clients that may join before they know a new topic: their first assignment is of nothing.
JOINS_BEFORE_IT_KNOWS = {"kafka-python"}


def test_group_commits_and_positions(session, admin, bootstrap, topic):
    producer, group = session.open("producer", bootstrap), f"g-{topic}"
    session.must("send", producer, topic=topic, records=[[0, n, 64] for n in range(5)])
    begun = time.monotonic_ns()
    settings = {"group": group, "offset_reset": "earliest", "auto_commit": False}
    consumer = session.open("consumer", bootstrap, **settings)
    session.must("subscribe", consumer, topics=[topic])
    assert len(session.poll_all(consumer, 5)) == 5
    both = [[topic, 0], [topic, 1]]
    late = session.subject.name in JOINS_BEFORE_IT_KNOWS
    assigned = session.wait_for(
        lambda e: (
            e["type"] == "assigned" and e["client"] == consumer and (e["partitions"] or not late)
        )
    )
    assert sorted(assigned["partitions"]) == both
    if "position" in session.driver.hello["capabilities"]:
        position = session.must("position", consumer, partitions=[[topic, 0]])
        assert position.raw["offsets"] == [[topic, 0, 5]]
    assert [topic, 0, 5] in session.must("commit", consumer, mode="sync").raw["offsets"]
    explicit = session.must("commit", consumer, mode="sync", offsets=[[topic, 0, 3]])
    assert explicit.raw["offsets"] == [[topic, 0, 3]]
    later = session.submit("commit", consumer, mode="async", offsets=[[topic, 0, 4]])
    session.must("poll", consumer, max_records=1, timeout_ms=300)
    assert later.result(10).raw["offsets"] == [[topic, 0, 4]]
    committed = session.must("committed", consumer, partitions=[[topic, 0]]).raw["offsets"]
    lab, name = admin
    found = lab.must("group_offsets", name, group=group, partitions=[[topic, 0]]).raw["offsets"]
    assert committed == found == [[topic, 0, 4]]
    stored = lab.must("offset_commits", name, group=group).raw["commits"]
    assert [row[:3] for row in stored if row[1] == 0] == [[topic, 0, n] for n in (5, 3, 4)]
    taken = [row[3] for row in stored]
    assert taken == sorted(taken)
    assert begun - 1_000_000 <= taken[0] <= taken[-1] <= time.monotonic_ns()
    session.must("close", consumer, timeout_ms=5000)

    def is_taken(event) -> bool:
        revoked = event["type"] == "revoked" and event["client"] == consumer
        return revoked and event["partitions"] != []

    if "silent-close" in session.driver.hello["capabilities"]:
        assert not any(map(is_taken, session.events))
    else:
        assert sorted(session.wait_for(is_taken)["partitions"]) == both


def test_a_second_member_takes_its_share(session, needs, bootstrap, topic):
    needs("cooperative")
    settings = {"group": f"g-{topic}", "assignor": "cooperative-sticky"}
    first, second = (session.open("consumer", bootstrap, **settings) for _ in range(2))
    session.must("subscribe", first, topics=[topic])
    stop = threading.Event()

    def keep_polling() -> None:
        while not stop.is_set():
            session.must("poll", first, max_records=1, timeout_ms=100)

    thread = threading.Thread(target=keep_polling)
    thread.start()
    try:
        session.wait_for(lambda e: e["type"] == "assigned" and len(e["partitions"]) == 2)
        session.must("subscribe", second, topics=[topic])
        until = time.monotonic() + 20
        while time.monotonic() < until:
            session.must("poll", second, max_records=1, timeout_ms=200)
            if any(
                e["type"] == "assigned" and e["client"] == second and e["partitions"]
                for e in session.events
            ):
                break
    finally:
        stop.set()
        thread.join(20)
    moved = session.wait_for(
        lambda e: e["type"] == "assigned" and e["client"] == second and e["partitions"]
    )
    taken = session.wait_for(
        lambda e: e["type"] == "revoked" and e["client"] == first and e["partitions"]
    )
    assert moved["partitions"] == taken["partitions"]
    if "generation" in session.driver.hello["capabilities"]:
        assert moved["generation"] >= 2
    for name in (first, second):
        session.must("close", name, timeout_ms=5000)


def test_seek_pause_resume(session, needs, bootstrap, topic):
    needs("seek", "pause")
    producer, consumer = session.open("producer", bootstrap), session.open("consumer", bootstrap)
    session.must("send", producer, topic=topic, records=[[0, n, 64] for n in range(3)])
    session.must("assign", consumer, partitions=[[topic, 0, 0]])
    assert [r[2] for r in session.poll_all(consumer, 3)] == [0, 1, 2]
    session.must("pause", consumer, partitions=[[topic, 0]])
    session.must("seek", consumer, offsets=[[topic, 0, 1]])
    assert session.must("poll", consumer, max_records=9, timeout_ms=400).raw["records"] == []
    session.must("resume", consumer, partitions=[[topic, 0]])
    assert [r[2] for r in session.poll_all(consumer, 2)] == [1, 2]


def test_transactions(session, needs, bootstrap, topic):
    needs("transactions")
    group = f"g-{topic}"
    reading = {"isolation": "read_committed", "group": group, "auto_commit": False}
    consumer = session.open("consumer", bootstrap, offset_reset="earliest", **reading)
    producer = session.open("producer", bootstrap, transactional_id=f"x-{topic}")
    session.must("txn", producer, action="init")
    session.must("subscribe", consumer, topics=[topic])
    session.must("poll", consumer, max_records=1, timeout_ms=200)
    for value, end in ((1, "abort"), (2, "commit")):
        session.must("txn", producer, action="begin")
        session.must("send", producer, topic=topic, records=[[0, value, 64]])
        if end == "commit":
            offsets = {"offsets": [[topic, 1, 7]], "group_of": consumer}
            session.must("txn", producer, action="send_offsets", **offsets)
        session.must("txn", producer, action=end)
    assert [r[3] for r in session.poll_all(consumer, 1)] == [2]
    committed = session.must("committed", consumer, partitions=[[topic, 1]])
    assert committed.raw["offsets"] == [[topic, 1, 7]]
    assert session.call("txn", producer, action="commit").type == "fail"
    session.must("close", consumer, timeout_ms=5000)


def test_close_ends_what_runs_and_frees_the_name(session, bootstrap, topic):
    consumer = session.open("consumer", bootstrap)
    session.must("assign", consumer, partitions=[[topic, 0, 0]])
    session.must("poll", consumer, max_records=1, timeout_ms=100)
    began = time.monotonic()
    polling = session.submit("poll", consumer, max_records=1, timeout_ms=25_000)
    session.wait_for(lambda e: e["type"] == "invoke" and e["id"] == polling.op_id)
    closing = session.submit("close", consumer, timeout_ms=3000)
    behind = session.submit("poll", consumer, max_records=1, timeout_ms=1)
    assert closing.result(30).type == "ok"
    assert time.monotonic() - began < 10
    assert polling.result(1).raw["records"] == []
    assert behind.result(5).type == "fail"
    assert session.call("poll", consumer, max_records=1, timeout_ms=1).type == "fail"
    session.must("open", consumer, role="consumer", bootstrap=bootstrap)
    session.must("close", consumer, timeout_ms=3000)


def test_close_gives_up_what_cannot_be_sent(session, topic):
    if "connects-on-open" in session.driver.hello["capabilities"]:
        nowhere = {"role": "producer", "bootstrap": "127.0.0.1:1"}
        opened = session.submit("open", "nowhere", **nowhere)  # some try for half a minute
        assert opened.result(60).type == "fail"
        pytest.skip(f"{session.subject} has no producer without a broker")
    producer = session.open("producer", "127.0.0.1:1")
    records = [[0, 1, 64]]
    sending = session.submit("send", producer, topic=topic, records=records)
    session.wait_for(lambda e: e["type"] == "invoke" and e["id"] == sending.op_id)
    began = time.monotonic()
    session.must("close", producer, timeout_ms=500)
    assert time.monotonic() - began < 10
    assert sending.result(1).type in ("fail", "info")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"\xff\xfe garbage\n", ""),
        (b"[1, 2]\n", ""),
        (b'{"op": "clock"}\n', "id"),
        (b"\n", ""),
        (b'{"id": "text", "op": "nonsense"}\n', "nonsense"),
    ],
)
def test_a_line_that_is_no_command_is_answered(session, line, words):
    session.write(line)
    error = session.wait_for(lambda e: e["type"] == "error")
    assert error["client"] is None
    assert words in error["error"]["message"]
    session.must("clock")


def test_a_command_that_cannot_be_carried_out_is_a_fail(session, bootstrap):
    driver = session.driver
    consumer = session.open("consumer", bootstrap)
    for op, client, fields, words in (
        ("nonsense", consumer, {}, "nonsense"),
        ("poll", consumer, {}, "max_records"),
        ("poll", None, {"max_records": 1, "timeout_ms": 1}, "client"),
        ("poll", "nobody", {"max_records": 1, "timeout_ms": 1}, "nobody"),
        ("stats", "nobody", {}, "nobody"),
        ("send", consumer, {"topic": "t", "records": []}, "send"),
        ("consume", consumer, {"style": "teleport"}, "teleport"),
        ("open", consumer, {"role": "consumer", "bootstrap": bootstrap}, consumer),
        ("open", "x", {"role": "wizard", "bootstrap": bootstrap}, "wizard"),
        ("open", "x", {"role": "consumer", "bootstrap": "b:1", "config": {"no": 1}}, "no"),
        ("open", "x", {"role": "producer", "bootstrap": "b:1", "options": {"no": 1}}, "no"),
    ):
        reply = driver.call(op, client, **fields)
        assert reply.type == "fail", reply.raw
        assert words in reply.error["message"], reply.raw
    session.open("consumer", bootstrap)  # the driver lives on


@pytest.mark.parametrize("config", [{}, {"linger_ms": 5}])
def test_loops_count_the_same_on_both_ends(session, bootstrap, topic, config):
    producer, settings = f"looping{len(config)}", {"role": "producer", "bootstrap": bootstrap}
    opened = session.call("open", producer, **settings, config=config)
    if opened.type == "fail" and "linger_ms" in opened.error["message"]:
        pytest.skip(f"{session.subject} does not linger")
    loop = {"topic": topic, "record_bytes": 100, "max_records": 30_000, "first_value": 10}
    made = session.must("produce", producer, **loop, duration_s=30).raw
    expected = sum(range(10, 30_010))
    assert (made["records"], made["bytes"], made["errors"]) == (30_000, 3_000_000, 0)
    assert made["value_sum"] == expected
    assert sum(made["partitions"].values()) == 30_000
    assert _count(made["latency_us"]) == 30_000
    able = session.driver.hello["capabilities"]
    styles = [s for s in ("poll", "batch", "stream", "pipeline") if f"loop-consume-{s}" in able]
    assert styles
    for style in styles:
        consumer = session.open("consumer", bootstrap)
        session.must("assign", consumer, partitions=[[topic, 0, 0], [topic, 1, 0]])
        read = session.must("consume", consumer, style=style, max_records=30_000, duration_s=20).raw
        assert (read["records"], read["corrupt"], read["out_of_order"]) == (30_000, 0, 0)
        assert read["value_sum"] == expected
        assert read["partitions"] == made["partitions"]
        assert _count(read["latency_us"]) == 30_000
        session.must("close", consumer, timeout_ms=5000)


def _count(encoded: str) -> int:
    return HdrHistogram.decode(encoded).get_total_count()


def test_an_open_loop_keeps_its_rate_and_reports_each_second(session, bootstrap, topic):
    producer = session.open("producer", bootstrap)
    fields = {"topic": topic, "record_bytes": 64, "rate": 500, "duration_s": 2.5}
    reply = session.must("produce", producer, **fields, partitions=[1]).raw
    assert 1000 < reply["records"] <= 1251
    assert reply["partitions"] == {f"{topic}/1": reply["records"]}
    samples = [e for e in session.events if e["type"] == "sample" and e["id"] == reply["id"]]
    assert len(samples) >= 2
    assert all(0.5 < sample["interval_s"] < 2 for sample in samples)
    assert sum(sample["records"] for sample in samples) <= reply["records"]


def test_stop_and_close_end_a_loop(session, bootstrap, topic):
    producer = session.open("producer", bootstrap)
    consumer = session.open("consumer", bootstrap)
    session.must("assign", consumer, partitions=[[topic, 0, 0]])
    consuming = session.submit("consume", consumer, style="poll", work_us=1)
    loop = {"topic": topic, "record_bytes": 64, "rate": 200}
    producing = session.submit("produce", producer, **loop)
    session.wait_for(lambda e: e["type"] == "sample" and e["id"] == producing.op_id)
    assert session.must("stats", producer).raw["runtime"]["threads"] > 0  # while the loop runs
    session.must("stop", loop=producing.op_id)
    assert producing.result(10).raw["records"] > 0
    session.must("close", consumer, timeout_ms=5000)
    assert consuming.result(10).type == "ok"


def test_admin(session, needs, bootstrap):
    needs("admin")
    admin, name = session.open("admin", bootstrap), f"a-{uuid.uuid4().hex[:8]}"
    settings = {"partitions": 3, "replication": 1, "configs": {"retention.ms": "60000"}}
    session.must("create_topic", admin, topic=name, **settings)
    again = session.call("create_topic", admin, topic=name, **settings)
    assert (again.type, again.error["name"]) == ("fail", "TOPIC_ALREADY_EXISTS")
    cluster = session.must("describe_cluster", admin).raw
    assert cluster["controller"] in cluster["brokers"]
    offsets = session.must("end_offsets", admin, partitions=[[name, 0], [name, 2]]).raw["offsets"]
    assert sorted(offsets) == [[name, 0, 0], [name, 2, 0]]
    none = session.must("group_offsets", admin, group="none", partitions=[[name, 0]]).raw
    assert none["offsets"] == [[name, 0, -1]]
    session.must("close", admin, timeout_ms=5000)


# What ends a driver, and a lab that does not read.


def test_a_full_stdout_blocks_and_loses_nothing(start, subject, bootstrap, topic):
    session = start(subject)
    producer = session.open("producer", bootstrap)
    session.gate.clear()
    sent = [
        session.submit("send", producer, topic=topic, records=[[0, n, 64] for n in range(200)])
        for _ in range(10)
    ]
    clocks = [session.submit("clock") for _ in range(2000)]
    assert not clocks[-1].done()
    threading.Event().wait(1.5)  # by then the pipe is full
    assert not clocks[-1].done()
    session.gate.set()
    assert all(len(future.result(30).raw["results"]) == 200 for future in sent)
    assert all(future.result(30).type == "ok" for future in clocks)
    session.assert_clean()
    assert session.driver.terminate(20) == 0


def test_sigterm_closes_cleanly(start, subject, bootstrap, topic):
    session, group = start(subject), f"g-{topic}"
    producer = session.open("producer", bootstrap)
    consumer = session.open("consumer", bootstrap, group=group)
    session.must("subscribe", consumer, topics=[topic])
    session.submit("produce", producer, topic=topic, record_bytes=64, rate=100)
    _poll_until_assigned(session, consumer)
    assert session.driver.terminate(20) == 0
    # it left the group: the next member does not have to wait for its session to time out
    next_one = start(subject)
    consumer = next_one.open("consumer", bootstrap, group=group)
    next_one.must("subscribe", consumer, topics=[topic])
    _poll_until_assigned(next_one, consumer)
    assert next_one.driver.terminate(20) == 0


def _poll_until_assigned(session, consumer) -> None:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        session.must("poll", consumer, max_records=1, timeout_ms=300)
        if any(e["type"] == "assigned" and len(e["partitions"]) == 2 for e in session.events):
            return
    session.excuse_stall()
    raise AssertionError("was not assigned both partitions within 15 s")


def test_end_of_stdin_closes_cleanly(start, subject, bootstrap):
    session = start(subject)
    session.open("consumer", bootstrap, group=f"g-{uuid.uuid4().hex}")
    session.driver._commands.put(None)  # the writer closes the pipe
    assert session.driver._exited.wait(20)
    assert session.driver._process.returncode == 0


def test_sigkill_is_a_crash(start, subject, bootstrap, topic):
    session = start(subject)
    consumer = session.open("consumer", bootstrap)
    session.must("assign", consumer, partitions=[[topic, 0, 0]])
    polling = session.submit("poll", consumer, max_records=1, timeout_ms=20_000)
    assert session.driver.kill() == -9
    assert polling.exception(5) is not None
