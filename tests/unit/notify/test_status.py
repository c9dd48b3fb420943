"""Against a local server that answers as the documented API does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.model.verdict import Outcome
from kafkalab.notify.status import CommitStatus, of_outcome, send

SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


class GitHub:
    """Answers with the given codes in turn, then 201; keeps what it was sent."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                github.seen.append((self.path, dict(self.headers), body))
                self.send_response(github.codes.pop(0) if github.codes else 201)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def github() -> Iterator[GitHub]:
    made = GitHub()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def status(outcome: Outcome | None = Outcome.FAIL) -> CommitStatus:
    return of_outcome(
        "octo-org/client", SHA, "kafka_merge", outcome, "C01: lost-write", "https://r"
    )


def test_path_signature_and_body_are_as_documented(github: GitHub) -> None:
    send(status(), "a token", github.url)
    [(path, headers, body)] = github.seen
    assert path == f"/repos/octo-org/client/statuses/{SHA}"
    assert headers["Authorization"] == "Bearer a token"
    assert headers["Accept"] == "application/vnd.github+json"
    assert body == {
        "state": "failure",
        "context": "kafkalab/kafka_merge",
        "description": "C01: lost-write",
        "target_url": "https://r",
    }


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (None, "pending"),
        (Outcome.PASS, "success"),
        (Outcome.FAIL, "failure"),
        (Outcome.UNKNOWN, "error"),
    ],
)
def test_unknown_does_not_blame_the_commit(outcome: Outcome | None, state: str) -> None:
    assert status(outcome).state == state


def test_a_description_fits_and_an_address_is_one_that_github_takes() -> None:
    long = of_outcome("o/n", SHA, "w", Outcome.PASS, "x" * 500, "s3://bucket/report")
    assert len(long.payload()["description"]) == 140
    assert "target_url" not in long.payload()


def test_a_fault_of_github_is_tried_again(github: GitHub) -> None:
    github.codes = [502, 429]
    send(status(), "t", github.url)
    assert len(github.seen) == 3


@pytest.mark.parametrize("code", [301, 401, 403, 404, 422])
def test_a_refusal_is_not_tried_again(github: GitHub, code: int) -> None:
    github.codes = [code]
    with pytest.raises(UsageError, match=str(code)) as refused:
        send(status(), "a token", github.url)
    assert len(github.seen) == 1
    assert "a token" not in str(refused.value)


def test_no_github_is_the_hosts_fault(github: GitHub) -> None:
    github.codes = [500] * 4
    with pytest.raises(InfrastructureError, match="HTTP 500"):
        send(status(), "t", github.url)
    with pytest.raises(InfrastructureError, match="not delivered"):
        send(status(), "t", "http://127.0.0.1:9")


@pytest.mark.parametrize("repository", ["octo", "/client", "octo/", "a/b/c"])
def test_a_repository_is_owner_and_name(repository: str) -> None:
    with pytest.raises(UsageError, match="OWNER/NAME"):
        _ = of_outcome(repository, SHA, "w", None, "", "").path
