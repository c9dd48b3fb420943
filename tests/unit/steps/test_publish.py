"""The step against a real store and a GitHub on loopback: what is told, and what stays."""

from __future__ import annotations

import pytest

from kafkalab.artifacts import keys, runs, server
from kafkalab.artifacts.store import Store
from kafkalab.model.errors import ExitCode
from kafkalab.model.gate import Finding, GateResult
from kafkalab.model.run import Run
from kafkalab.model.verdict import Outcome
from kafkalab.notify import status
from kafkalab.steps import frame, publish

pytestmark = pytest.mark.system  # a real embedded store

SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
TOKEN = "ghp_abcdef"
TRIGGER = {"repository": "octo-org/client", "sha": SHA, "branch": "main"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path_factory.mktemp("home")))
    with server.serving("test-publish", 120) as endpoint:
        for name, value in endpoint.env().items():
            monkeypatch.setenv(name, value)
        yield Store.from_env()
    monkeypatch.undo()


@pytest.fixture
def settings(github, monkeypatch):
    monkeypatch.setenv(status.TOKEN, TOKEN)
    monkeypatch.setenv(status.API, github.url)
    monkeypatch.setenv(status.REPORTS, "https://reports.example")


def published(store: Store, name: str, trigger=TRIGGER) -> str:
    """Publish a run that failed; returns its prefix, after what holds whatever GitHub says."""
    prefix = f"runs/kafka_merge/main/{SHA}/host/kafka@3.9.2/c@1/20261121T000000Z-{name}/"
    run = Run(
        run_id=name, workflow="kafka_merge", prefix=prefix, seed=1, engine="process",
        subjects=("c@1",), cells={}, brokers={"pinned": "kafka@3.9.2"}, trigger=trigger,
    )  # fmt: skip
    runs.write_run(store, run)
    lost = Finding("claim", Outcome.FAIL, "C01", "", "lost-write", "3 of 900 records are gone")
    gate = GateResult(name, Outcome.FAIL, "1 claim is broken", failures=(lost,))
    runs.write_gate(store, prefix, 1, gate)
    ended = frame.execute(frame.Request("publish", store.uri(prefix)), publish.run)
    assert (ended.code, ended.outcome) == (ExitCode.PASS, Outcome.PASS)
    assert runs.read_gate(store, prefix) == gate
    assert store.exists(keys.report(prefix))
    for key in store.list(prefix):
        assert TOKEN.encode() not in store.get_bytes(key), key
    return prefix


def test_the_commit_is_told_verdict_first_red_thing_and_report(stored, github, settings, capfd):
    prefix = published(stored, "told")
    [(path, _, body)] = github.seen
    assert path == f"/repos/octo-org/client/statuses/{SHA}"
    assert (body["context"], body["state"]) == ("kafkalab/kafka_merge", "failure")
    assert body["description"] == "fail: C01 lost-write: 3 of 900 records are gone"
    assert body["target_url"] == f"https://reports.example/{keys.report(prefix)}"
    assert "commit status of octo-org/client@6113728f27ae: failure" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("codes", "requests", "said"),
    [
        ([502], 2, "failure: fail: C01"),
        ([401], 1, "found 401"),
        ([404], 1, "found 404"),
        ([422], 1, "found 422"),
        ([503] * 9, 4, "not delivered in 4 tries"),
    ],
)
def test_whatever_github_says_the_run_is_published(
    stored, github, settings, capfd, codes, requests, said
):
    github.codes = list(codes)
    published(stored, f"said-{codes[0]}")
    log = capfd.readouterr().err
    assert said in log
    assert TOKEN not in log
    assert len(github.seen) == requests


def test_without_a_token_the_log_says_which_setting_is_missing(
    stored, github, settings, capfd, monkeypatch
):
    monkeypatch.delenv(status.TOKEN)
    published(stored, "no-token")
    [line] = [line for line in capfd.readouterr().err.splitlines() if "status" in line]
    assert status.TOKEN in line
    assert not github.seen


def test_a_run_that_no_repository_started_tells_nobody(stored, github, settings, capfd):
    published(stored, "nobody", trigger={"sha": SHA, "branch": "main"})
    assert "status" not in capfd.readouterr().err
    assert not github.seen
