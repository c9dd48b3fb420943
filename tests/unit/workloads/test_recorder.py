"""Events expanded into rows: one row per record, with what the driver did not repeat."""

from __future__ import annotations

import json
import zlib

from kafkalab.checkers import history
from kafkalab.model.history import COLUMNS, Row
from kafkalab.workloads import judging
from kafkalab.workloads.recorder import Recorder

CRC = zlib.crc32(b"t")


def recorded(*events, commands=()):
    recorder = Recorder()
    for op_id, fields in commands:
        recorder.command("d0", op_id, fields)
    listen = recorder.listener("d0")
    for event in events:
        listen(event)
    columns = recorder.columns()
    return [Row(*values) for values in zip(*(columns[n] for n, _ in COLUMNS), strict=True)]


def test_a_send_is_one_row_a_record_with_its_own_outcome():
    rows = recorded(
        {"type": "invoke", "t": 1, "id": 7, "op": "send", "client": "p0"},
        {
            "type": "info", "t": 2, "id": 7, "op": "send", "client": "p0",
            "results": [["ok", 0, 41, None], ["info", None, None, {"name": "TIMED_OUT"}]],
        },
        commands=[(7, {"op": "send", "topic": "t", "records": [[0, 100, 64], [1, 101, 64]]})],
    )  # fmt: skip
    assert [(r.type, r.value, r.partition, r.offset, r.error) for r in rows] == [
        ("invoke", 100, 0, None, None),
        ("invoke", 101, 1, None, None),
        ("ok", 100, 0, 41, None),
        ("info", 101, 1, None, "TIMED_OUT"),
    ]
    assert [r.index for r in rows] == [0, 1, 2, 3]


def test_a_poll_names_where_the_payload_was_meant_to_go():
    records = [
        ["t", 2, 5, 9, 64, None, 2, CRC],
        ["t", 2, 6, 10, 64, None, -1, CRC],
        ["t", 2, 7, 11, 64, None, 1, 1],
        ["t", 2, 8, None, 64, "checksum", -1, None],
    ]
    rows = recorded(
        {"type": "invoke", "t": 1, "id": 1, "op": "poll", "client": "c0"},
        {"type": "ok", "t": 2, "id": 1, "op": "poll", "client": "c0", "records": records},
        commands=[(1, {"op": "poll", "max_records": 10})],
    )
    delivered = [r for r in rows if r.type == "ok"]
    assert [r.intended for r in delivered] == ["t/2", "t/2", "crc32:00000001/1", None]
    assert [r.problem for r in delivered] == [None, None, None, "checksum"]


def test_offsets_keep_group_and_mode():
    rows = recorded(
        {"type": "invoke", "t": 1, "id": 1, "op": "commit", "client": "c0"},
        {"type": "ok", "t": 2, "id": 1, "op": "commit", "client": "c0", "offsets": [["t", 0, 5]]},
        commands=[(1, {"op": "commit", "mode": "sync", "offsets": [["t", 0, 5]]})],
    )
    assert [(r.type, r.offset, json.loads(r.detail)) for r in rows] == [
        ("invoke", 5, {"mode": "sync"}),
        ("ok", 5, {"mode": "sync"}),
    ]


def test_the_steps_of_a_transaction_say_which_they_are():
    step = {"id": 1, "op": "txn", "client": "p0"}
    rows = recorded(
        {"type": "invoke", "t": 1, **step},
        {"type": "ok", "t": 2, **step},
        {"type": "invoke", "t": 3, **step, "id": 2},
        {"type": "fail", "t": 4, **step, "id": 2, "error": {"name": "PRODUCER_FENCED"}},
        commands=[
            (1, {"op": "txn", "action": "send_offsets", "group_of": "c0",
                 "offsets": [["t", 0, 5], ["t", 1, 7]]}),
            (2, {"op": "txn", "action": "commit"}),
        ],
    )  # fmt: skip
    assert [(r.type, r.partition, r.offset) for r in rows] == [
        ("invoke", 0, 5), ("invoke", 1, 7), ("ok", 0, 5), ("ok", 1, 7),
        ("invoke", None, None), ("fail", None, None),
    ]  # fmt: skip
    assert json.loads(rows[0].detail) == {"action": "send_offsets", "group_of": "c0"}
    assert (json.loads(rows[5].detail), rows[5].error) == ({"action": "commit"}, "PRODUCER_FENCED")


def test_what_the_lab_does_is_there_and_the_table_is_well_formed():
    recorder = Recorder()
    listen = recorder.listener("d0")
    recorder.command("d0", 1, {"op": "open", "role": "consumer", "config": {"group": "g"}})
    listen({"type": "hello", "t": 0})
    listen({"type": "invoke", "t": 1, "id": 1, "op": "open", "client": "c0"})
    listen({"type": "ok", "t": 2, "id": 1, "op": "open", "client": "c0"})
    listen({"type": "assigned", "t": 3, "client": "c0", "partitions": [["t", 0], ["t", 1]]})
    recorder.note(4, "c0", "kill", {"driver": "d0"})
    table = judging.history_table(recorder)
    assert not history.validate(table)
    assert table["op"].to_pylist() == ["open", "open", "assigned", "assigned", "kill"]
    assert json.loads(table["detail"][0].as_py())["config"] == {"group": "g"}


def test_what_a_process_does_is_noted_for_each_client_that_lives_in_it():
    recorder = Recorder()
    for driver, client in (("d0", "c0"), ("d0", "c1"), ("d1", "c2")):
        listen = recorder.listener(driver)
        listen({"type": "invoke", "t": 1, "id": 1, "op": "open", "client": client})
    listen = recorder.listener("d0")
    listen({"type": "invoke", "t": 2, "id": 2, "op": "close", "client": "c0"})
    recorder.note_process(3, "d0", "sample", {"cpu_ms": 5})
    listen({"type": "ok", "t": 4, "id": 2, "op": "close", "client": "c0"})
    recorder.note_process(5, "d0", "sample", {"cpu_ms": 6})
    recorder.note_process(6, "never", "sample", {"cpu_ms": 7})
    columns = recorder.columns()
    rows = zip(
        columns["time_ns"], columns["process"], columns["op"], columns["detail"], strict=True
    )
    assert [(row[0], row[1], json.loads(row[3])) for row in rows if row[2] == "sample"] == [
        (3, "c0", {"cpu_ms": 5, "clients": 2}),
        (3, "c1", {"cpu_ms": 5, "clients": 2}),
        (5, "c1", {"cpu_ms": 6, "clients": 1}),
    ]
