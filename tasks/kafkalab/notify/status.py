"""Tell GitHub what came of a commit: the payload (pure) and the request.

A commit status is one of four words for one context. `unknown` is reported as `error`, not as
`failure`: the lab saw too little to blame the commit.

Format: https://docs.github.com/rest/commits/statuses#create-a-commit-status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

import requests
from tenacity import (
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.model.verdict import Outcome

API = "https://api.github.com"
API_VERSION = "2022-11-28"
DESCRIPTION_MAX = 140
TIMEOUT_SECONDS = 15
TRIES_MAX = 4
_STATES = MappingProxyType(
    {Outcome.PASS: "success", Outcome.FAIL: "failure", Outcome.UNKNOWN: "error"}
)


@dataclass(frozen=True)
class CommitStatus:
    """What is said of one commit."""

    repository: str  # "owner/name"
    sha: str
    context: str  # "kafkalab/kafka_merge": one line of the commit's checks
    state: str  # pending | success | failure | error
    description: str
    target_url: str = ""  # report or run; must be http(s)

    def payload(self) -> Mapping[str, str]:
        """The body of the request."""
        text = self.description
        if len(text) > DESCRIPTION_MAX:
            text = f"{text[: DESCRIPTION_MAX - 1]}…"
        body = {"state": self.state, "context": self.context, "description": text}
        if self.target_url.startswith(("https://", "http://")):
            body["target_url"] = self.target_url
        return body

    @property
    def path(self) -> str:
        """Path of the request."""
        owner, slash, name = self.repository.partition("/")
        if not (owner and slash and name) or "/" in name:
            raise UsageError(f"repository: expected OWNER/NAME, found {self.repository!r}.")
        return f"/repos/{quote(owner, safe='')}/{quote(name, safe='')}/statuses/{quote(self.sha)}"


def of_outcome(
    repository: str, sha: str, workflow: str, outcome: Outcome | None, summary: str, url: str
) -> CommitStatus:
    """The status of a run that ended, or of one that still runs (outcome None)."""
    state = _STATES[outcome] if outcome is not None else "pending"
    return CommitStatus(repository, sha, f"kafkalab/{workflow}", state, summary, url)


class _AgainError(Exception):
    """Worth another try: the network, a rate limit, or GitHub's own fault."""


def send(status: CommitStatus, token: str, api: str = API) -> None:
    """Create the status; tries again a few times, with growing waits.

    Raises:
        UsageError: GitHub refuses it: the token, its rights, the repository or the commit.
        InfrastructureError: GitHub cannot be reached, or fails.
    """
    try:
        _send(status, token, api.rstrip("/"))
    except _AgainError as error:
        raise InfrastructureError(
            f"commit status of {status.repository}@{status.sha[:12]}: not delivered in "
            f"{TRIES_MAX} tries: {error}. The verdict stands in the report."
        ) from error


@retry(
    stop=stop_after_attempt(TRIES_MAX),
    wait=wait_exponential(0.2, max=5),
    retry=retry_if_exception_type(_AgainError),
    reraise=True,
)
def _send(status: CommitStatus, token: str, api: str) -> None:
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": API_VERSION,
    }
    try:
        answer = requests.post(
            api + status.path,
            json=dict(status.payload()),
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,  # the token goes to the address that was asked for
        )
    except requests.RequestException as error:
        raise _AgainError(type(error).__name__) from error
    if answer.status_code == 429 or answer.status_code >= 500:
        raise _AgainError(f"HTTP {answer.status_code}")
    if answer.status_code != 201:
        raise UsageError(
            f"commit status of {status.repository}@{status.sha[:12]}: expected HTTP 201, found "
            f"{answer.status_code}: {answer.text[:200]}. Check the token's right to write commit "
            "statuses, the repository and the commit."
        )
