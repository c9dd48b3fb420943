"""What is quiet, and what each doubt makes suspect: only its own partition."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from kafkalab.checkers import history
from kafkalab.checkers.screen import coded, strays
from kafkalab.checkers.screen.onepass import screen

HEAD = """
p0 open producer acks=-1 idempotence=true
c0 open consumer group=g offset_reset=earliest
c0 subscribe t
c0 assigned t/0 t/1
p0 send t/0 1@0 2@1 3@2
p0 send t/1 4@0 5@1
"""
TAIL = "c0 poll t/1 4@0 5@1\nc0 close\np0 close\n"
QUIET = {
    "in one poll": "c0 poll t/0 1@0 2@1 3@2",
    "in two polls": "c0 poll t/0 1@0\nc0 poll t/0 2@1 3@2",
    "a failed send, never read": "c0 poll t/0 1@0 2@1 3@2\np0 send t/0 9@fail",
    "an unknown send, never read": "c0 poll t/0 1@0 2@1 3@2\np0 send t/0 9@info",
    "a marker's offset is left out": "p0 send t/0 9@4\nc0 poll t/0 1@0 2@1 3@2 9@4",
    "the client chose, and kept to the topic": "p0 send t/- 9@0:3\nc0 poll t/0 1@0 2@1 3@2 t/0 9@3",
    "a new owner goes on": (
        "c0 poll t/0 1@0\nc1 open consumer group=g offset_reset=earliest\nc1 subscribe t\n"
        "c0 revoked t/0\nc1 assigned t/0\nc1 poll t/0 2@1 3@2"
    ),
}
SUSPECT = {
    "one is missing": "c0 poll t/0 1@0 3@2",
    "one is not read": "c0 poll t/0 1@0 2@1",
    "twice in a row": "c0 poll t/0 1@0 1@0 2@1 3@2",
    "twice by two members": (
        "c0 poll t/0 1@0 2@1 3@2\nc1 open consumer group=g offset_reset=earliest\nc1 subscribe t\n"
        "c0 revoked t/0\nc1 assigned t/0\nc1 poll t/0 3@2"
    ),
    "out of order": "c0 poll t/0 1@0 3@2 2@1",
    "another value": "c0 poll t/0 1@0 7@1 3@2",
    "damaged": "c0 poll t/0 1@0 2@1!checksum 3@2",
    "not plain": "c0 poll t/0 1@0 2@1~null 3@2",
    "sent with content": "c0 poll t/0 1@0 2@1 3@2\np0 send t/0 9@3~key\nc0 poll t/0 9@3",
    "meant for elsewhere": "c0 poll t/0 1@0 2@1<t/7 3@2",
    "nobody knows how it ended, and it was read": (
        "p0 send t/0 9@info\nc0 poll t/0 1@0 2@1 3@2 9@3"
    ),
    "its send failed": "p0 send t/0 9@fail\nc0 poll t/0 1@0 2@1 3@2 9@3",
    "sent out of order": "p0 send t/0 8@4\np0 send t/0 9@3\nc0 poll t/0 1@0 2@1 3@2 9@3 8@4",
    "a transaction": (
        "c0 poll t/0 1@0 2@1 3@2\nx0 open producer transactional_id=x1\nx0 send t/0 9@3\n"
        "c0 poll t/0 9@3"
    ),
}
# the payload says that it was sent to t/0
STRAYS = {
    "it is in the log there": "p0 send u/0 9@0\nc0 poll t/0 1@0 2@1 3@2 9@3 u/0 9@0",
    "it comes before what is there is told": (
        "c0 poll t/0 1@0 2@1 3@2 9@3\np0 send u/0 9@0\nc0 poll u/0 9@0"
    ),
    "its partition was suspect by then": (
        "c0 poll t/0 1@0 3@2\nc0 poll t/0 9@3\np0 send u/0 9@0\nc0 poll u/0 9@0"
    ),
    "its send failed": "p0 send u/0 8@0 9@fail\nc0 poll t/0 1@0 2@1 3@2 9@3 u/0 8@0",
    "nobody knows how its send ended": (
        "p0 send u/0 8@0 9@info\nc0 poll t/0 1@0 2@1 3@2 9@3 u/0 8@0"
    ),
    "its send never ended": (
        "p0 send u/0 8@0\np0 send u/0 9@0 -> never\nc0 poll t/0 1@0 2@1 3@2 9@3 u/0 8@0"
    ),
}


def suspects(rows, **options):
    places = screen(history.table(rows), worth_rows=0, **options).tables["places"].to_pylist()
    return {f"{p['topic']}/{p['part']}" for p in places if p["suspect"]}


def by_name(places):
    return {(place["topic"], place["part"]): place for place in places.to_pylist()}


@pytest.mark.parametrize("name", QUIET)
def test_what_is_in_order_is_quiet(name, write):
    assert suspects(write(HEAD + QUIET[name] + "\n" + TAIL)[0]) == set()


@pytest.mark.parametrize("name", SUSPECT)
def test_a_doubt_makes_its_own_partition_suspect(name, write):
    found = suspects(write(HEAD + SUSPECT[name] + "\n" + TAIL)[0])
    assert "t/0" in found
    assert "t/1" not in found


@pytest.mark.parametrize("name", STRAYS)
def test_where_a_value_was_sent_that_another_partition_gave_out_is_suspect(name, write):
    assert suspects(write(HEAD + STRAYS[name] + "\n" + TAIL)[0]) == {"t/0", "u/0"}


def test_more_strays_than_are_kept_leave_everything_to_sql(write, monkeypatch):
    rows = write(HEAD + STRAYS["it is in the log there"] + "\n" + TAIL)[0]
    monkeypatch.setattr(strays, "ROWS_MAX", 0)
    assert suspects(rows) == {"t/0", "t/1", "u/0"}


def test_a_record_that_was_given_out_before_it_was_sent_is_suspect(write):
    rows = write(HEAD.replace("p0 send t/1", "c0 poll t/0 9@3\np0 send t/0 9@3\np0 send t/1"))[0]
    assert "t/0" in suspects(rows)


def test_a_history_that_is_not_worth_it_is_suspect_as_a_whole(write):
    rows = write(HEAD + QUIET["in one poll"] + "\n" + TAIL)[0]
    places = screen(history.table(rows)).tables["places"].to_pylist()
    assert all(place["suspect"] for place in places)


@pytest.mark.parametrize("name", [*QUIET, *SUSPECT])
def test_batches_and_files_tell_the_same(name, write, monkeypatch, tmp_path):
    rows = write(HEAD + {**QUIET, **SUSPECT}[name] + "\n" + TAIL)[0]
    whole = screen(history.table(rows), worth_rows=0)
    monkeypatch.setattr(coded, "BATCH_ROWS", 3)
    parts = screen(history.table(rows), worth_rows=0)
    pq.write_table(history.table(rows), tmp_path / "h.parquet")
    file = screen(tmp_path / "h.parquet", worth_rows=0)
    for other in (parts, file):
        assert by_name(other.tables["places"]) == by_name(whole.tables["places"])
        assert other.tables["actions"].equals(whole.tables["actions"])


def test_a_poll_is_told_in_short(write):
    rows = write(HEAD + "c0 poll t/0 1@0 2@1 t/1 4@0\nc0 poll\n")[0]
    tables = screen(history.table(rows), worth_rows=0).tables
    first, second = tables["given"].to_pylist()
    assert (first["part"], first["low"], first["high"], first["n"]) == (0, 0, 1, 2)
    assert (second["part"], second["last"], second["n"]) == (1, 0, 1)
    assert first["begin_idx"] == second["begin_idx"] == first["idx"] - 1
    assert [p["type"] for p in tables["polls"].to_pylist()] == ["invoke", "invoke", "ok"]


def test_partitions_of_any_number_have_a_code_each():
    topics = coded.Names(("t", "u"))
    places = coded.Places(topics)
    told = np.array([0, 0, 1, -1, 1, 0], dtype=np.int32)
    parts = np.array([2**31 - 1, 3, -7, 0, -7, -1], dtype=np.int32)
    codes = places.encode(told, parts)
    assert codes[3] == coded.NULL
    names = [places.name(code) for code in codes[[0, 1, 2, 4, 5]]]
    assert names == [("t", 2**31 - 1), ("t", 3), ("u", -7), ("u", -7), ("t", -1)]
    again = places.encode(told[[1, 5]], parts[[1, 5]])
    assert again.tolist() == codes[[1, 5]].tolist()
    assert len(places) == 4
