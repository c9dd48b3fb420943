"""The command line: every mistake is a sentence on stderr and the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from kafkalab.checkers import history
from kafkalab.model.history import Row


def lab(*arguments, **env):
    return subprocess.run(
        [sys.executable, "-m", "kafkalab", *arguments],
        capture_output=True, text=True, timeout=120, check=False, env=env or None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["try", "C00"], "unknown scenario 'C00'"),
        (["try", "C01", "--client", "nobody@1.0"], "unknown client 'nobody'"),
        (["try", "C01", "--client", "confluent-kafka"], "is not a subject"),
        (["try", "C01", "--broker", "confluent-kafka@2.16.1"], "--broker: expected one of kafka"),
        (["try", "C01", "--profile", "weekly"], "--profile: expected one of smoke, nightly"),
        (["try", "C01", "--colour"], "--colour"),
        (["dance"], "dance"),
        (["check", "nowhere.parquet"], "nowhere.parquet: no such file"),
        (["check", "pyproject.toml"], "cannot be read as Parquet"),
        (["check", "x.parquet", "--claims", "lost-rite"], "unknown claim 'lost-rite'"),
        (["replay", "nothing"], "expected RUN/CELL"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(arguments, says):
    done = lab(*arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def send_and_poll(lost: bool):
    """Two values sent to one partition; both read, or only the later one."""
    yield Row(0, 1, "p0", "invoke", "send", 1, "t", 0, None, 10)
    yield Row(1, 2, "p0", "ok", "send", 1, "t", 0, 0, 10)
    yield Row(2, 3, "p0", "invoke", "send", 2, "t", 0, None, 11)
    yield Row(3, 4, "p0", "ok", "send", 2, "t", 0, 1, 11)
    yield Row(4, 5, "c0", "invoke", "poll", 1)
    for index, value in enumerate([11] if lost else [10, 11]):
        yield Row(5 + index, 6, "c0", "ok", "poll", 1, "t", 0, value - 10, value, "t/0")


@pytest.mark.parametrize(("lost", "code", "verdict"), [(False, 0, "pass"), (True, 1, "fail")])
def test_check_prints_the_contract_s_object(tmp_path, lost, code, verdict):
    path = tmp_path / "history.parquet"
    pq.write_table(history.table(send_and_poll(lost)), path)
    done = lab("check", str(path), "--claims", "lost-write,duplicate", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["verdict"]) == (code, verdict)
    assert {c["claim"] for c in found["cells"][0]["claims"]} == {"lost-write", "duplicate"}
    assert set(found) >= {"run", "verdict", "seed", "report", "replay", "cells"}


def test_an_empty_history_is_unknown(tmp_path):
    path = tmp_path / "history.parquet"
    pq.write_table(history.table([]), path)
    done = lab("check", str(path), "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["verdict"] == "unknown"
