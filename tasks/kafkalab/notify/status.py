"""Tell GitHub what came of a commit: the payload (pure), the request, and `tell`, which decides.

A commit status is one word for one context. `unknown` is reported as `error`, not as `failure`: the
lab saw too little to blame the commit. The verdict is in the store before anybody is told, so a
status that cannot be sent changes nothing else: it is a sentence in the log.

Settings, from the environment of the step `publish`; no other step is given the token:
    KAFKALAB_GITHUB_TOKEN  may write commit statuses; without it none is sent
    KAFKALAB_GITHUB_API    another API than GitHub's public one
    KAFKALAB_REPORTS_URL   where a browser reads the store's bucket: the status links to the report

Format: https://docs.github.com/rest/commits/statuses#create-a-commit-status.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
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

from kafkalab.model.errors import InfrastructureError, LabError, UsageError
from kafkalab.model.gate import GateResult
from kafkalab.model.run import REPOSITORY, Run
from kafkalab.model.verdict import Outcome

TOKEN = "KAFKALAB_GITHUB_TOKEN"  # noqa: S105 - the name of a setting
API = "KAFKALAB_GITHUB_API"
REPORTS = "KAFKALAB_REPORTS_URL"
API_DEFAULT = "https://api.github.com"
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
    state: str  # success | failure | error
    description: str  # at most DESCRIPTION_MAX characters, or GitHub refuses it
    target_url: str = ""

    def payload(self) -> Mapping[str, str]:
        """The body of the request."""
        body = {"state": self.state, "context": self.context, "description": self.description}
        return {**body, "target_url": self.target_url} if self.target_url else body

    @property
    def path(self) -> str:
        """Path of the request."""
        if not re.fullmatch(REPOSITORY, self.repository):
            raise UsageError(f"repository: expected OWNER/NAME, found {self.repository!r}.")
        return f"/repos/{quote(self.repository)}/statuses/{quote(self.sha, safe='')}"

    def __str__(self) -> str:
        return f"{self.repository}@{self.sha[:12]}"


def tell(
    run: Run, gate: GateResult, report_key: str, environ: Mapping[str, str] = os.environ
) -> str:
    """Send the status of the commit whose merge started the run, if there is one.

    Returns:
        What became of it, one line for the log; empty for a run of no GitHub repository.
    """
    repository, sha = run.trigger.get("repository", ""), run.trigger.get("sha", "")
    if not repository:
        return ""
    if not sha:
        return f"no commit status is sent: the run names {repository}, but no commit of it."
    token = environ.get(TOKEN, "").strip()
    if not token:
        return f"no commit status is sent to {repository}: {TOKEN} is not set."
    try:
        status = CommitStatus(
            repository=repository,
            sha=sha,
            context=f"kafkalab/{run.workflow}",
            state=_STATES[gate.outcome],
            description=describe(gate),
            target_url=report_address(environ.get(REPORTS, ""), report_key),
        )
        send(status, token, environ.get(API) or API_DEFAULT)
    except LabError as error:
        return f"no commit status was sent: {error} The verdict stands in the report."
    return f"commit status of {status}: {status.state}: {status.description}"


def describe(gate: GateResult) -> str:
    """The verdict and the first red thing, as long as GitHub takes it."""
    said = gate.summary
    if gate.failures:
        first = gate.failures[0]  # the gate puts broken promises before missing evidence
        said = f"{first.scenario} {first.name}: {first.summary}"
    text = " ".join(f"{gate.outcome}: {said}".split())
    return text if len(text) <= DESCRIPTION_MAX else f"{text[: DESCRIPTION_MAX - 1]}…"


def report_address(base: str, report_key: str) -> str:
    """Where a browser finds the report; empty without a base."""
    return f"{_web_address(REPORTS, base)}/{quote(report_key, safe='/=@~')}" if base else ""


def _web_address(setting: str, text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise UsageError(f"{setting}: expected an address with https:// or http://.")
    return text.rstrip("/")


class _AgainError(Exception):
    """Worth another try: the network, a rate limit, or GitHub's own fault."""


def send(status: CommitStatus, token: str, api: str = API_DEFAULT) -> None:
    """Create the status; tries again a few times, with growing waits.

    Raises:
        UsageError: a setting is malformed, or GitHub refuses the token, the repository or the
            commit.
        InfrastructureError: GitHub cannot be reached, or fails.
    """
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(f"{TOKEN}: expected printable ASCII without spaces, found something else.")
    try:
        answer = _post(_web_address(API, api) + status.path, status.payload(), token)
    except _AgainError as error:
        raise InfrastructureError(
            f"{status}: not delivered in {TRIES_MAX} tries, at last: {error}."
        ) from error
    if answer.status_code != 201:
        found = " ".join(answer.text.replace(token, "…").split())[:200]
        raise UsageError(
            f"{status}: expected HTTP 201, found {answer.status_code}: {found!r}. Check the right "
            f"of {TOKEN} to write commit statuses, the repository and the commit."
        )


@retry(
    stop=stop_after_attempt(TRIES_MAX),
    wait=wait_exponential(1, max=8),
    retry=retry_if_exception_type(_AgainError),
    reraise=True,
)
def _post(url: str, body: Mapping[str, str], token: str) -> requests.Response:
    """One request; an answer that came too late may count twice, which GitHub shows as one."""
    try:
        answer = requests.post(
            url,
            json=dict(body),
            headers={
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": API_VERSION,
            },
            auth=_bearer(token),
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,  # the token goes to the address that was asked for
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _AgainError(type(error).__name__) from error
    except requests.RequestException as error:
        raise UsageError(f"{API}: cannot be asked ({type(error).__name__}).") from error
    if answer.status_code == 429 or answer.status_code >= 500:
        raise _AgainError(f"HTTP {answer.status_code}")
    return answer


def _bearer(token: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    """As `auth` and not as a header, which requests replaces by an entry of ~/.netrc."""

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign
