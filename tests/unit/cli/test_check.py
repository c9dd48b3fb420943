"""`kafkalab check` gives the answer that the cell gave, or says what it did instead."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from kafkalab.checkers import history
from kafkalab.checkers.budget import Budget
from kafkalab.checkers.registry import CHECKERS
from kafkalab.cli import check, shrunk
from kafkalab.model.errors import ExitCode, UsageError
from kafkalab.model.history import Row
from kafkalab.model.scenario import Cell, Scenario
from kafkalab.model.verdict import ClaimVerdict, Outcome
from kafkalab.steps import cell, evidence
from kafkalab.workloads import roles
from kafkalab.workloads.lab import Driven

MS = 1_000_000
CLAIMS = ("commit-ahead", "commit-regression", "delivered-twice", "lost-write", "leak", "unseen")
GROUP = json.dumps({"role": "consumer", "config": {"group": "g", "offset_reset": "earliest"}})


def committed_then_killed():
    """c0 reads two records, commits the first and is killed; c1 goes on at the second."""
    steps = [
        ("p0", "invoke", "send", 1, {"topic": "t", "partition": 0, "value": 10}),
        ("p0", "ok", "send", 1, {"topic": "t", "partition": 0, "offset": 0, "value": 10}),
        ("p0", "invoke", "send", 2, {"topic": "t", "partition": 0, "value": 11}),
        ("p0", "ok", "send", 2, {"topic": "t", "partition": 0, "offset": 1, "value": 11}),
        *reader("c0", [(10, 0), (11, 1)]),
        ("c0", "invoke", "commit", 4, {"topic": "t", "partition": 0, "offset": 1}),
        ("c0", "ok", "commit", 4, {"topic": "t", "partition": 0, "offset": 1}),
        ("c0", "event", "kill", -1, {"detail": "{}"}),
        *reader("c1", [(11, 1)]),
        ("c1", "invoke", "commit", 4, {"topic": "t", "partition": 0, "offset": 2}),
        ("c1", "ok", "commit", 4, {"topic": "t", "partition": 0, "offset": 2}),
    ]
    for index, (process, kind, op, op_id, fields) in enumerate(steps):
        yield Row(index, (1000 + index) * MS, process, kind, op, op_id, **fields)


def reader(name, records):
    """Joins the group, is given the partition, polls once."""
    yield (name, "invoke", "open", 1, {"detail": GROUP})
    yield (name, "ok", "open", 1, {})
    yield (name, "invoke", "subscribe", 2, {"detail": json.dumps({"topics": ["t"]})})
    yield (name, "ok", "subscribe", 2, {})
    yield (name, "event", "assigned", -1, {"topic": "t", "partition": 0})
    yield (name, "invoke", "poll", 3, {})
    for value, offset in records:
        at = {"topic": "t", "partition": 0, "intended": "t/0"}
        yield (name, "ok", "poll", 3, {**at, "value": value, "offset": offset})


def judged_cell(folder: Path, **context: object):
    """What a cell of a commit workload stores, with one claim that the workload judged itself."""
    table = history.table(committed_then_killed())
    leak = ClaimVerdict("leak", Outcome.PASS, 0, "no growth")
    unseen = ClaimVerdict("unseen", Outcome.PASS, 0, "by the loops' own count")
    driven = Driven(roles.context(**context), claims=(leak, unseen))
    verdict = cell._judge(
        Cell("C13", ("c@1",), "kafka@3.9.2"),
        Scenario("C13", "commits", "because", "correctness", "commits", CLAIMS, ()),
        "process",
        cell._Outcome(driven=driven),
        SimpleNamespace(readings=[]),
        table,
    )
    context_of_step = SimpleNamespace(
        store=SimpleNamespace(uri=lambda key: f"s3://b/{key}"), key=lambda name: name
    )
    for name, data in evidence.files(context_of_step, verdict, table, [], folder).items():
        (folder / name).write_bytes(data)
    return verdict


def checked(folder: Path, capsys, claims: tuple[str, ...] = ()):
    code = check.run(str(folder / "history.parquet"), claims, True)
    said = capsys.readouterr()
    found = json.loads(said.out)["cells"][0]
    return code, {c["claim"]: c["verdict"] for c in found["claims"]}, said.err


@pytest.mark.parametrize(("allowed", "twice"), [(True, "pass"), (False, "fail")])
def test_check_answers_as_the_cell_did(tmp_path, capsys, allowed, twice):
    verdict = judged_cell(tmp_path, redelivery_allowed=allowed)
    code, found, said = checked(tmp_path, capsys)
    own = {c.claim: str(c.outcome) for c in verdict.claims if c.claim not in ("leak", "unseen")}
    assert found == own
    assert found["delivered-twice"] == twice
    assert code is (ExitCode.PASS if allowed else ExitCode.FAIL)
    assert "by the verdict.json beside it; not leak, unseen, which it judged on" in said
    assert f"the one that {verdict.cell} was judged with" in said


def test_asked_claims_are_judged_with_the_cell_s_context(tmp_path, capsys):
    judged_cell(tmp_path, redelivery_allowed=True)
    _, found, said = checked(tmp_path, capsys, ("delivered-twice",))
    assert found == {"delivered-twice": "pass"}
    assert "those of --claims" in said


def test_a_history_alone_is_judged_on_everything_and_says_so(tmp_path, capsys):
    judged_cell(tmp_path, redelivery_allowed=True)
    (tmp_path / "verdict.json").unlink()
    code, found, said = checked(tmp_path, capsys)
    assert set(found) == set(CHECKERS)
    assert (code, found["delivered-twice"]) == (ExitCode.FAIL, "fail")
    assert "all, since no verdict.json stands beside" in said
    assert "default bounds" in said


def test_a_verdict_from_before_has_claims_and_no_context(tmp_path, capsys):
    judged_cell(tmp_path, redelivery_allowed=True)
    raw = json.loads((tmp_path / "verdict.json").read_text())
    del raw["context"], raw["history_claims"]
    (tmp_path / "verdict.json").write_text(json.dumps(raw))
    _, found, said = checked(tmp_path, capsys)
    assert set(found) == set(CLAIMS) - {"leak"}
    assert "default bounds" in said


@pytest.mark.parametrize("text", ["{", "[]", '{"scenario": "C13"}'])
def test_a_neighbour_that_is_no_verdict_is_refused(tmp_path, text):
    judged_cell(tmp_path)
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(UsageError, match=r"verdict\.json: expected the verdict of the history"):
        check.run(str(tmp_path / "history.parquet"), (), True)


def test_the_history_that_is_stored_is_the_one_that_was_judged(tmp_path):
    judged_cell(tmp_path)
    assert pq.read_table(tmp_path / "history.parquet").num_rows == len([*committed_then_killed()])


BROKEN = {
    "cut off": lambda data: data[: len(data) // 2],
    "of eight bytes": lambda data: data[:8],
    "empty": lambda data: b"",
    "another thing": lambda data: b"{:type :invoke}",
    "a footer that lies": lambda data: data[:-200] + b"x" * 192 + data[-8:],
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, how):
    judged_cell(tmp_path)
    path = tmp_path / "history.parquet"
    path.write_bytes(BROKEN[how](path.read_bytes()))
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        check.run(str(path), (), True)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        check.run(str(tmp_path / "history.parquet"), (), True)


def test_damaged_bytes_never_pass_where_the_pages_have_checksums(tmp_path, capsys):
    path = tmp_path / "history.parquet"
    table = history.table(committed_then_killed())
    pq.write_table(table, path, write_page_checksum=True, compression="none")
    data = path.read_bytes()
    at = data.index(b"p0")  # in a dictionary page
    path.write_bytes(data[:at] + b"p7" + data[at + 2 :])
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        check.run(str(path), ("lost-write",), True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.replace_schema_metadata({history.VERSION_KEY: b"7"}), "schema version 7"),
        (lambda t: t.replace_schema_metadata(None), "schema version none"),
        (lambda t: t.drop_columns(["time_ns"]), "time_ns is missing"),
        (lambda t: t.slice(0, 0), "the history is empty"),
        (lambda t: t.slice(1), "out of sequence"),
    ],
)
def test_a_history_that_cannot_be_judged_is_unknown_and_says_why(tmp_path, capsys, change, says):
    path = tmp_path / "history.parquet"
    pq.write_table(change(history.table(committed_then_killed())), path)
    code = check.run(str(path), ("lost-write", "stall"), True)
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert code is ExitCode.UNKNOWN
    assert {claim["verdict"] for claim in cell["claims"]} == {"unknown"}
    assert all(says in claim["summary"] for claim in cell["claims"])


JEPSEN = """
{:index 0, :time 0, :type :invoke, :process 0, :f :send, :value [[:send 3 7] [:send 3 8]]}
{:index 1, :time 1, :type :ok, :process 0, :f :send, :value [[:send 3 [0 7]] [:send 3 [1 8]]]}
{:index 2, :time 2, :type :invoke, :process 1, :f :poll, :value [[:poll]]}
{:index 3, :time 3, :type :ok, :process 1, :f :poll, :value [[:poll {3 [[0 7]]}]]}
"""


@pytest.mark.parametrize("name", ["history.edn", ""])
def test_a_history_of_jepsen_is_judged_on_what_it_can_show(tmp_path, capsys, name):
    (tmp_path / "history.edn").write_text(JEPSEN)
    code = check.run(str(tmp_path / name), (), True, check.Options("jepsen"))
    said = capsys.readouterr()
    document = json.loads(said.out)
    found = {c["claim"]: c for c in document["cells"][0]["claims"]}
    assert code is ExitCode.FAIL
    assert [claim for claim, c in found.items() if c["verdict"] == "fail"] == ["unseen"]
    assert found["unseen"]["count"] == 1
    assert "hung-close" not in found
    assert "those of Jepsen's Kafka workload" in said.err
    assert document["replay"].endswith("--format jepsen")


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"JEPSEN\x00\x00\x00\x01", "binary format"), (b"\xff\xfe", "UTF-8"), (b"[1", "no EDN")],
)
def test_what_is_no_edn_is_refused(tmp_path, data, says):
    path = tmp_path / "history.edn"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=says):
        check.run(str(path), (), True, check.Options("jepsen"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"format": "csv"}, "--format csv: expected lab or jepsen"),
        ({"memory": "much"}, "--memory: expected a size such as 2GiB"),
        ({"memory": "1MB"}, "--memory: expected at least 32.0 MiB"),
        ({"spill": "/nowhere/at/all"}, "--spill /nowhere/at/all: expected a folder that exists"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, says):
    judged_cell(tmp_path)
    with pytest.raises(UsageError, match=says):
        check.run(str(tmp_path / "history.parquet"), (), True, check.Options(**options))


def test_a_budget_is_kept_and_named_in_what_repeats_it(tmp_path, capsys):
    judged_cell(tmp_path)
    options = check.Options(memory="64MiB", spill=str(tmp_path))
    check.run(str(tmp_path / "history.parquet"), ("lost-write",), True, options)
    replay = json.loads(capsys.readouterr().out)["replay"]
    assert replay.endswith(f"--claims lost-write --memory 64MiB --spill {tmp_path}")


def test_a_red_claim_is_told_with_its_timeline(tmp_path, capsys):
    judged_cell(tmp_path)
    assert check.run(str(tmp_path / "history.parquet"), ("delivered-twice",), False)
    said = capsys.readouterr().err
    assert "delivered-twice: t/0 · offset 1 · value 11 · client c0, c1" in said
    assert "poll t/0 [11@1]  ok after 1.0 ms  ← row_read" in said
    check.run(str(tmp_path / "history.parquet"), ("delivered-twice",), True)
    (claim,) = json.loads(capsys.readouterr().out)["cells"][0]["claims"]
    assert claim["timeline"][0] == "delivered-twice: t/0 · offset 1 · value 11 · client c0, c1"


def test_a_shrunk_history_is_judged_as_the_whole_was_wherever_it_lies(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(shrunk, "SECONDS_MAX", 10_000)  # a busy host must not end it
    judged_cell(tmp_path)
    out = tmp_path / "elsewhere.parquet"
    code = check.run(
        str(tmp_path / "history.parquet"),
        ("delivered-twice",),
        True,
        check.Options(shrink=str(out)),
    )
    document = json.loads(capsys.readouterr().out)
    assert code is ExitCode.FAIL
    assert document["shrunk"]["minimal"]
    assert document["shrunk"]["rows"] == pq.read_metadata(out).num_rows
    text = (tmp_path / "elsewhere.txt").read_text(encoding="utf-8")
    assert text.startswith("== shrunk | fail")
    assert "c1 poll t/0 11@1" in text
    (tmp_path / "verdict.json").unlink()
    check.run(str(out), (), True)
    said = capsys.readouterr()
    found = {c["claim"]: c["verdict"] for c in json.loads(said.out)["cells"][0]["claims"]}
    assert found["delivered-twice"] == "fail"
    assert list(found.values()).count("fail") == 1
    assert "the history it was shrunk from" in said.err


def test_shrinking_keeps_to_the_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(shrunk, "SECONDS_MAX", 0)  # what was judged by then is enough
    judged_cell(tmp_path)
    given, connect = [], Budget.connect

    def noted(budget):
        given.append(budget)
        return connect(budget)

    monkeypatch.setattr(Budget, "connect", noted)
    out = str(tmp_path / "out.parquet")
    options = check.Options(memory="300MiB", spill=str(tmp_path), shrink=out)
    before = check.Options(memory="300MiB", spill=str(tmp_path))
    check.run(str(tmp_path / "history.parquet"), ("delivered-twice",), True, before)
    judged = len(given)
    check.run(str(tmp_path / "history.parquet"), ("delivered-twice",), True, options)
    assert len(given) > 2 * judged
    assert set(given) == {options.budget()}


@pytest.mark.parametrize(
    ("claims", "name", "why"),
    [
        (("unseen", "lost-write"), "out.parquet", "name it with --claims"),
        (("lost-write",), "out.parquet", "nothing to shrink: 'lost-write' is pass"),
        (("delivered-twice",), "history.parquet", "is the history itself"),
    ],
)
def test_what_cannot_be_shrunk_is_refused(tmp_path, claims, name, why):
    judged_cell(tmp_path)
    with pytest.raises(UsageError, match=why):
        check.run(
            str(tmp_path / "history.parquet"),
            claims,
            True,
            check.Options(shrink=str(tmp_path / name)),
        )
