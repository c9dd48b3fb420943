"""What does not fit is unknown, says what was asked for, and leaves the other claims alone."""

import numpy as np
import pyarrow as pa
import pytest

from kafkalab.checkers import compose, history
from kafkalab.checkers.budget import LEAST_BYTES, Budget, size_bytes, size_text
from kafkalab.checkers.protocol import HistoryView, Relation
from kafkalab.checkers.registry import CHECKERS, RELATIONS
from kafkalab.model.history import CheckContext

MIB = 2**20
SMALL = Budget(memory_bytes=LEAST_BYTES, threads=1, spill_bytes=MIB)


def sent_and_read(count):
    """`count` records sent by p0 and read by c0 one by one, then a close: made of columns."""
    kind = np.tile(np.arange(4), count)  # invoke and ok of a send, then of a poll
    record = np.repeat(np.arange(count), 4)
    rows = len(kind)

    def words(codes, names, where=None):
        lacks = None if where is None else ~where
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=lacks), pa.array(names)).cast(
            pa.string()
        )

    place = kind != 2
    columns = {
        "index": np.arange(rows),
        "time_ns": np.arange(rows) * 1000,
        "process": words(kind // 2, ["p0", "c0"]),
        "type": words(kind % 2, ["invoke", "ok"]),
        "op": words(kind // 2, ["send", "poll"]),
        "op_id": record * 2 + kind // 2,
        "topic": words(np.zeros(rows, int), ["t"], place),
        "partition": pa.array((record % 8).astype(np.int32), mask=~place),
        "offset": pa.array(record // 8, mask=kind % 2 == 0),
        "value": pa.array(record.astype(np.uint64), mask=~place),
        "generation": pa.nulls(rows, pa.int64()),
    }
    schema = history.schema()
    table = pa.table(
        {name: columns.get(name, pa.nulls(rows, pa.string())) for name in schema.names},
        schema=schema,
    )
    closing = {"time_ns": rows * 1000, "process": "c0", "op": "close", "op_id": 2 * count}
    ends = [{"index": rows + i, "type": kind, **closing} for i, kind in enumerate(("invoke", "ok"))]
    return pa.concat_tables([table, pa.Table.from_pylist(ends, schema=schema)])


@pytest.fixture(scope="module")
def large():
    return sent_and_read(100_000)


def judged(table, claims, budget):
    context = CheckContext(finished_ns=10**12)
    return {v.claim: v for v in compose.judge(table, claims, context, budget=budget)}


# whatever becomes of the lab's own relations, this one does not fit in SMALL
HEAVY = {
    **RELATIONS,
    "wide": Relation(("events",), "SELECT idx, repeat(md5(idx::VARCHAR), 20) AS w FROM events"),
    "wider": Relation(("wide",), "SELECT * FROM wide"),
}


def heavy(view, context):
    view.use("wider")
    raise AssertionError("it fits")


def test_what_does_not_fit_is_unknown_and_the_others_go_on(large, monkeypatch):
    assert history.validate(large) == ()
    monkeypatch.setattr(compose, "relations_for", lambda claims: HEAVY)
    monkeypatch.setattr(compose, "CHECKERS", {**CHECKERS, "lost-write": heavy, "poll-skip": heavy})
    found = judged(large, ["lost-write", "hung-close", "poll-skip"], SMALL)
    assert [v.outcome for v in found.values()] == ["unknown", "pass", "unknown"], found
    text = found["lost-write"].summary
    assert text.startswith("out of budget: 32.0 MiB of memory and 1.0 MiB of disk")
    assert "--memory" in text
    assert "--spill" in text
    assert "Out of Memory" in found["poll-skip"].evidence[0]["error"]


def test_the_lab_s_own_claims_fit_where_they_may_spill(large, tmp_path):
    budget = Budget(memory_bytes=64 * MIB, threads=1, spill_folder=str(tmp_path))
    found = judged(large, ["lost-write", "hung-close"], budget)
    assert {v.outcome for v in found.values()} == {"pass"}, found
    assert list(tmp_path.iterdir()) == []


def test_a_relation_that_could_not_be_made_is_not_taken_as_made(large):
    context = CheckContext(finished_ns=10**12)
    with HistoryView(large, context, ["lost-write"], HEAVY, budget=SMALL) as view:
        for name in ("wide", "wide", "wider"):
            with pytest.raises(Exception, match="Out of Memory"):
                view.use(name)
        view.use("events")
        assert view.number("SELECT count(*) FROM events WHERE op = 'close'") == 2


def test_a_history_that_cannot_even_be_looked_at_is_unknown(large, monkeypatch):
    backwards = large.take(np.arange(large.num_rows)[::-1])
    tight = Budget(memory_bytes=LEAST_BYTES, threads=1, spill_bytes=MIB)
    found = judged(backwards, ["lost-write", "hung-close"], tight)
    assert {v.summary.split(":")[0] for v in found.values()} == {"out of budget"}


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GiB", 2**31), ("500 MB", 500_000_000), ("1.5g", 1_500_000_000), ("64", 64), ("1Ki", 1024)],
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "2 XiB", "-1GiB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="expected a size such as 2GiB"):
        size_bytes(text)


def test_sizes_are_shown_with_their_unit():
    assert [size_text(n) for n in (5, 2048, 3 * MIB, 2**31)] == [
        "5 B", "2.0 KiB", "3.0 MiB", "2.0 GiB",
    ]  # fmt: skip


def test_a_budget_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="at least"):
        Budget(memory_bytes=1000)
    with pytest.raises(ValueError, match="at least one thread"):
        Budget(threads=0)


def test_two_checks_at_a_time_never_share_a_folder_to_spill_to():
    asked = "SELECT current_setting('temp_directory')"
    folders = {Budget().connect().execute(asked).fetchall()[0] for _ in range(2)}
    assert len(folders) == 2
