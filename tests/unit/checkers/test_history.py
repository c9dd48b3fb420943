"""A history that is not well formed is named as such, and makes every verdict unknown."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.model.history import COLUMNS, CheckContext, Row

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


def op_of(rows, op, new, kinds=("ok",)):
    return [replace(r, op=new) if r.op == op and r.type in kinds else r for r in rows]


def again(rows, op, before):
    """The invocation of `op` once more, before the first row of `before`."""
    (first,) = (r for r in rows if (r.op, r.type) == (op, "invoke"))
    place = next(i for i, r in enumerate(rows) if r.op == before)
    return renumber([*rows[:place], replace(first, time_ns=rows[place].time_ns), *rows[place:]])


PLANTED = {
    "or only later": lambda rows: renumber(
        [r for r in rows if r.op != "subscribe"] + [r for r in rows[::-1] if r.op == "subscribe"]
    ),
    "completed as another op": lambda rows: op_of(rows, "subscribe", "assign"),
    "invoked an id again": lambda rows: again(rows, "subscribe", "poll"),
    "ended in more than one way": lambda rows: renumber(
        [s for r in rows for s in ([r, replace(r, type="info")] if r.op == "close" else [r])]
    ),
    "assigned of type ok": lambda rows: [
        replace(r, type="ok", op_id=99) if r.op == "assigned" else r for r in rows
    ],
    "poll of type event": lambda rows: [
        replace(r, type="event") if (r.op, r.type) == ("poll", "ok") else r for r in rows
    ],
    "have no id": lambda rows: [replace(r, op_id=-1) if r.op == "close" else r for r in rows],
    "no partition or no offset": lambda rows: [
        replace(r, offset=None) if (r.op, r.type, r.value) == ("poll", "ok", 2) else r for r in rows
    ],
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


LEGAL = {
    "a commit answered while polls ran": """
c0 commit t/0=1 -> never
c0 poll t/0 1@0
""",
    "a command that never completed": "c0 poll -> never\nc0 poll t/0 1@0",
    "the ids of a next life begin again": "c0 open consumer\nc0 poll t/0 1@0",
}


@pytest.mark.parametrize("text", LEGAL.values(), ids=LEGAL)
def test_what_is_odd_and_legal_stays_legal(write, text):
    rows, _ = write("c0 open consumer\nc0 poll\n" + text)
    if "commit" in text:
        done = replace(rows[-1], op="commit", op_id=3, index=len(rows), offset=1)
        rows = [*rows, done]
    elif "open" in text:
        rows = [replace(r, op_id=r.op_id - 2 * (r.op_id > 2)) for r in rows]
    assert problems(rows) == ""


def test_rows_may_lie_in_any_order_of_the_file(rows):
    table = history.table(rows)
    assert history.validate(table.take(list(range(len(rows)))[::-1])) == ()


@pytest.mark.parametrize("name", ["index", "time_ns", "process", "type", "op", "op_id"])
def test_what_every_row_must_have_is_named(rows, name):
    assert history.validate(history.table([*rows[:-1], replace(rows[-1], **{name: None})])) == (
        f"rows without {name}",
    )


@pytest.mark.parametrize("name", ["time_ns", "op_id", "offset"])
def test_numbers_that_nobody_can_add_to_are_named(rows, name):
    far = [*rows[:-1], replace(rows[-1], **{name: 2**63 - 1})]
    assert "1 times, ids or offsets lie beyond 2^62" in problems(far)


def test_values_that_are_no_small_numbers_are_judged_too(rows):
    far = [r if r.value is None else replace(r, value=r.value + 2**60) for r in rows]
    assert problems(far) == ""
    twice = [replace(r, value=2**60) if (r.op, r.type) == ("send", "invoke") else r for r in far]
    assert "sent more than once" in problems(twice)


def test_a_path_is_read_as_a_table_is(rows, tmp_path):
    path = tmp_path / "history.parquet"
    for broken in (rows, *(plant(rows) for plant in PLANTED.values())):
        table = history.table(broken)
        pq.write_table(table, path)
        assert history.validate(path) == history.validate(table)


KINDS = ("invoke", "ok", "info", "event")
drawn = st.lists(
    st.tuples(
        st.sampled_from(["c0", "c1"]),
        st.sampled_from(KINDS),
        st.sampled_from(["open", "commit", "close", "send"]),
        st.integers(0, 3),
        st.integers(-1, 1),
    ),
    min_size=1,
    max_size=12,
)


def reference(rows):
    """The rules on commands and clocks, row by row."""
    lives, lived, times, back = {}, [], {}, 0
    for r in rows:
        lives[r.process] = lives.get(r.process, 0) + ((r.op, r.type) == ("open", "invoke"))
        lived.append((r, lives[r.process]))
        back += times.get(r.process, 0) - r.time_ns > history.CLOCK_SLACK_NS
        times[r.process] = r.time_ns
    asked = [(r, n) for r, n in lived if r.type == "invoke"]
    ended = [(r, n) for r, n in lived if r.type in ("ok", "info")]

    def first(found, key):
        return min((r.index for r, _ in found if (r.process, r.op_id) == key), default=None)

    found = set()
    for r, life in ended:
        key = (r.process, r.op_id)
        begun, over = first(asked, key), first(ended, key)
        if begun is None or over < begun:
            found.add("or only later")
        ops = {a.op for a, _ in asked if (a.process, a.op_id) == key}
        if ops and r.op not in ops:
            found.add("as another op")
        ways = {e.type for e, n in ended if (e.process, e.op_id, n) == (*key, life)}
        alike = {e.type for e, n in ended if (e.process, e.op_id, n) == (*key, life)
                 and e.op != "send"}  # fmt: skip
        if r.op != "send" and len(ways & alike) > 1:
            found.add("more than one way")
    for r, life in asked:
        mine = [a for a, n in asked if (a.process, a.op_id, n) == (r.process, r.op_id, life)]
        between = [e for e, n in ended if (e.process, e.op_id, n) == (r.process, r.op_id, life)
                   and mine[0].index < e.index < mine[-1].index]  # fmt: skip
        if len({a.op for a in mine}) > 1 or between:
            found.add("an id again")
    return found | ({"steps back"} if back else set())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn, st.integers(1, 4))
def test_the_screen_misses_nothing_and_accuses_nobody(monkeypatch, drawn, batch):
    monkeypatch.setattr(history, "_BATCH_ROWS", batch)
    rows, now = [], 10**9
    for index, (process, kind, op, op_id, step) in enumerate(drawn):
        now += step * 40_000_000
        value = index if (op, kind) == ("send", "invoke") else None
        named = (-1, "assigned") if kind == "event" else (op_id, op)
        rows.append(Row(index, now, process, kind, named[1], named[0], value=value))
    text = " ".join(p for p in history.validate(history.table(rows)) if "whose value" not in p)
    words = ("or only later", "as another op", "an id again", "more than one way", "steps back")
    assert {word for word in words if word in text} == reference(rows)


def test_events_of_one_client_may_be_written_slightly_out_of_order(rows):
    shifted = [
        replace(r, time_ns=r.time_ns - 20_000_000) if r.op == "assigned" else r for r in rows
    ]
    assert problems(shifted) == ""


def test_a_kill_is_noted_by_the_lab_on_another_stamp(rows, write):
    late = replace(rows[-1], op="kill", type="event", op_id=-1, time_ns=rows[-1].time_ns + 10**9)
    assert problems(renumber([*rows[:-1], late, rows[-1]])) == ""
