"""A history that is not well formed is named as such, and makes every verdict unknown."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.model.history import COLUMNS, CheckContext

TEXT = """
p0 open producer acks=-1
c0 open consumer group=g offset_reset=earliest
c0 subscribe t
c0 assigned t/0
p0 send t/0 1@0 2@1
c0 poll t/0 1@0 2@1
c0 close
"""


@pytest.fixture
def rows(write):
    return write(TEXT)[0]


def renumber(rows):
    return [replace(row, index=i) for i, row in enumerate(rows)]


def test_a_table_has_the_columns_of_the_schema_and_survives_parquet(rows, tmp_path):
    table = history.table(rows)
    assert [(f.name, str(f.type)) for f in table.schema] == list(COLUMNS)
    assert history.validate(table) == ()
    pq.write_table(table, tmp_path / "history.parquet")
    assert history.validate(pq.read_table(tmp_path / "history.parquet")) == ()


def test_values_use_all_64_bits(write):
    rows, _ = write(f"p0 send t/0 {2**64 - 1}@0")
    assert history.table(rows).column("value")[0].as_py() == 2**64 - 1


def problems(rows):
    return " ".join(history.validate(history.table(rows)))


def test_an_empty_history_is_named():
    assert "empty" in problems([])


def test_another_schema_version_is_named(rows):
    table = history.table(rows)
    other = table.replace_schema_metadata({history.VERSION_KEY: b"99"})
    assert history.validate(other) == ("the history has schema version 99, this lab reads 1",)
    assert "version none" in history.validate(table.replace_schema_metadata(None))[0]


def test_missing_and_wrong_columns_are_named(rows):
    table = history.table(rows)
    metadata = table.schema.metadata
    wrong = table.drop_columns("value").set_column(
        1, "time_ns", table.column("time_ns").cast(pa.string())
    )
    text = history.validate(wrong.replace_schema_metadata(metadata))[0]
    assert "value is missing" in text
    assert "time_ns is string, not int64" in text


PLANTED = {
    "out of sequence": lambda rows: rows[:3] + rows[4:],
    "never invoked": lambda rows: renumber(
        [r for r in rows if (r.op, r.type) != ("poll", "invoke")]
    ),
    "value was never sent": lambda rows: [
        replace(r, value=7) if (r.op, r.type, r.value) == ("send", "ok", 1) else r for r in rows
    ],
    "sent more than once": lambda rows: [
        replace(r, value=1) if (r.op, r.type) == ("send", "invoke") else r for r in rows
    ],
    "completed more than once": lambda rows: renumber(
        [r for row in rows for r in [row] * (1 + ((row.op, row.type) == ("send", "ok")))]
    ),
    "clock steps back": lambda rows: [
        replace(r, time_ns=r.time_ns - 10**9) if r.op == "close" else r for r in rows
    ],
    "a type other than": lambda rows: [
        replace(r, type="okay") if r.op == "poll" else r for r in rows
    ],
}


@pytest.mark.parametrize("text", PLANTED)
def test_each_planted_problem_is_named_and_makes_every_verdict_unknown(rows, text):
    broken = PLANTED[text](rows)
    assert text in problems(broken)
    verdicts = judge(history.table(broken), ["lost-write", "stall"], CheckContext(10**12))
    assert {v.outcome for v in verdicts} == {"unknown"}
    assert text in str(verdicts[0].evidence)


def test_events_of_one_client_may_be_written_slightly_out_of_order(rows):
    shifted = [
        replace(r, time_ns=r.time_ns - 20_000_000) if r.op == "assigned" else r for r in rows
    ]
    assert problems(shifted) == ""


def test_a_kill_is_noted_by_the_lab_on_another_stamp(rows, write):
    late = replace(rows[-1], op="kill", type="event", op_id=-1, time_ns=rows[-1].time_ns + 10**9)
    assert problems(renumber([*rows[:-1], late, rows[-1]])) == ""
