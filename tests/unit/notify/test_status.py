"""Against a local server that answers as the documented API does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.model.gate import Finding, GateResult
from kafkalab.model.run import Run
from kafkalab.model.verdict import Outcome
from kafkalab.notify import status
from kafkalab.notify.status import CommitStatus, describe, send, tell

SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
TOKEN = "ghp_abcdef"
REPORT = "runs/kafka_merge/main/kafka@3.9.2/a=b+c/report/index.html"
STATUS = CommitStatus("octo-org/client", SHA, "kafkalab/kafka_merge", "success", "pass: all")
RUN = Run(
    run_id="merge-1", workflow="kafka_merge", prefix="runs/x/", seed=1, engine="process",
    subjects=(), cells={}, brokers={}, trigger={"repository": "octo-org/client", "sha": SHA},
)  # fmt: skip
LOST = Finding("claim", Outcome.FAIL, "C01", "C01~x", "lost-write", "3 of 900 records are gone")
FAILED = GateResult("merge-1", Outcome.FAIL, "1 claim is broken", failures=(LOST,))


def told(github: Any, gate: GateResult = FAILED, run: Run = RUN, **settings: str) -> str:
    given = {status.TOKEN: TOKEN, status.API: github.url, **settings}
    return tell(run, gate, REPORT, {k: v for k, v in given.items() if v})


def test_a_run_s_status_is_as_documented(github: Any) -> None:
    said = told(github, **{status.REPORTS: "https://reports.example/lab/"})
    [(path, headers, body)] = github.seen
    assert path == f"/repos/octo-org/client/statuses/{SHA}"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Accept"] == "application/vnd.github+json"
    assert body == {
        "state": "failure",
        "context": "kafkalab/kafka_merge",
        "description": "fail: C01 lost-write: 3 of 900 records are gone",
        "target_url": "https://reports.example/lab/"
        "runs/kafka_merge/main/kafka@3.9.2/a=b%2Bc/report/index.html",
    }
    assert said == f"commit status of octo-org/client@{SHA[:12]}: failure: {body['description']}"


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Outcome.PASS, "success"), (Outcome.FAIL, "failure"), (Outcome.UNKNOWN, "error")],
)
def test_unknown_does_not_blame_the_commit(github: Any, outcome: Outcome, state: str) -> None:
    told(github, GateResult("merge-1", outcome, "11 cells"))
    [(_, _, body)] = github.seen
    assert body["state"] == state
    assert body["description"] == f"{outcome}: 11 cells"
    assert "target_url" not in body


def test_a_description_is_one_line_and_fits() -> None:
    long = replace(FAILED, failures=(replace(LOST, summary="gone:\n" + "x" * 500),))
    assert len(describe(long)) == 140
    assert describe(long).startswith("fail: C01 lost-write: gone: xxx")
    assert describe(long).endswith("…")
    exact = replace(FAILED, failures=(), summary="y" * 134)
    assert describe(exact) == f"fail: {exact.summary}"


@pytest.mark.parametrize("trigger", [{}, {"sha": SHA, "branch": "main", "who": "schedule"}])
def test_a_run_of_no_repository_says_nothing(github: Any, trigger: dict[str, str]) -> None:
    assert told(github, run=replace(RUN, trigger=trigger)) == ""
    assert not github.seen


def test_without_a_commit_or_a_token_nothing_is_sent_and_why_is_said(github: Any) -> None:
    without = replace(RUN, trigger={"repository": "octo-org/client"})
    assert "no commit" in told(github, run=without)
    said = told(github, **{status.TOKEN: ""})
    assert said == "no commit status is sent to octo-org/client: KAFKALAB_GITHUB_TOKEN is not set."
    assert not github.seen


def test_a_fault_of_github_is_tried_again(github: Any) -> None:
    github.codes = [502, 429]
    assert told(github).startswith("commit status of")
    assert len(github.seen) == 3


@pytest.mark.parametrize("code", [301, 401, 403, 404, 422])
def test_a_refusal_is_not_tried_again_and_is_a_sentence(github: Any, code: int) -> None:
    github.codes = [code]
    said = told(github)
    assert len(github.seen) == 1
    assert said.startswith(f"no commit status was sent: octo-org/client@{SHA[:12]}: expected HTTP")
    assert f"found {code}: 'you said Bearer …'" in said
    assert TOKEN not in said
    assert "\n" not in said


def test_a_github_that_fails_is_given_up_on(github: Any) -> None:
    github.codes = [500] * 9
    assert "not delivered in 4 tries, at last: HTTP 500." in told(github)
    assert len(github.seen) == 4


def test_a_github_that_is_not_there_is_given_up_on(github: Any) -> None:
    assert "ConnectionError" in told(github, **{status.API: "http://127.0.0.1:9"})


def test_a_github_that_says_nothing_is_given_up_on(
    github: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "TIMEOUT_SECONDS", 0.1)
    github.answers.clear()
    assert "ReadTimeout" in told(github)
    assert len(github.seen) == 4


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (status.TOKEN, "two words"),
        (status.TOKEN, "one\ntwo"),
        (status.TOKEN, "tökén"),
        (status.API, "api.github.com"),
        (status.API, "http://[::1"),
        (status.API, "http://"),
        (status.REPORTS, "s3://bucket"),
    ],
)
def test_a_malformed_setting_is_named_and_not_shown(github: Any, setting: str, value: str) -> None:
    said = told(github, **{setting: value})
    assert said.startswith("no commit status was sent")
    assert setting in said
    assert value not in said
    assert not github.seen


def test_the_token_is_not_replaced_by_one_that_lies_on_the_host(
    github: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password other\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    told(github)
    assert github.seen[0][1]["Authorization"] == f"Bearer {TOKEN}"


def test_whose_fault_it_is(github: Any) -> None:
    github.codes = [401, *[503] * 4]
    with pytest.raises(UsageError, match=status.TOKEN):
        send(STATUS, TOKEN, github.url)
    with pytest.raises(InfrastructureError, match="HTTP 503"):
        send(STATUS, TOKEN, github.url)


@pytest.mark.parametrize("repository", ["octo", "/client", "octo/", "a/b/c", "octo/..", "o/n\n"])
def test_a_repository_is_owner_and_name(repository: str) -> None:
    with pytest.raises(UsageError, match="OWNER/NAME"):
        _ = replace(STATUS, repository=repository).path
