"""Parts that tests of several packages need: a GitHub on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tenacity import wait_none

from kafkalab.notify import status


class GitHub:
    """Answers with the given codes in turn, then 201; keeps what it was sent."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answers = threading.Event()  # cleared: it takes requests and says nothing
        self.answers.set()
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                github.seen.append((self.path, dict(self.headers), body))
                code = github.codes.pop(0) if github.codes else 201
                if not github.answers.wait(30):
                    return
                # As a careless proxy does, it repeats what it was sent.
                answer = f"you said\n{self.headers['Authorization']}".encode()
                self.send_response(code)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign] # it hung up
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """A GitHub that answers as its API is documented; tries follow each other at once."""
    monkeypatch.setattr(status._post.retry, "wait", wait_none())
    made = GitHub()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.answers.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()
