"""GitHub's deliveries: is it really GitHub, and what does it ask for? Pure.

A delivery is trusted if `X-Hub-Signature-256` is the HMAC-SHA256 of the raw body under the shared
secret, compared in constant time, before anything of the body is looked at.

Two events mean a merge: a `push` to the repository's default branch, and a `pull_request` that was
closed as merged. GitHub sends both for one merge, so a hook should subscribe to one of them.
Everything else is ignored with a reason, which GitHub shows beside the delivery; what cannot be a
delivery is refused.

Formats: https://docs.github.com/webhooks/webhook-events-and-payloads and
https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kafkalab.model.run import REPOSITORY

BODY_BYTES_MAX = 4 * 2**20  # GitHub sends 25 MiB at most, a push with its commits some 100 KiB
SIGNATURE_HEADER = "X-Hub-Signature-256"
EVENT_HEADER = "X-GitHub-Event"
DELIVERY_HEADER = "X-GitHub-Delivery"
WORKFLOW = "kafka_merge"
SHA = "{sha}"  # in a subject of the mapping: replaced by the merged commit

_DELIVERY = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{7,63}")
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_HEADS = "refs/heads/"


class RefusedError(Exception):
    """A delivery that is not taken, with the HTTP status that says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Trigger:
    """A run that a delivery asks for."""

    workflow: str
    branch: str
    sha: str
    repository: str  # "owner/name", which is told what came of it
    subject: str  # NAME@VERSION; empty: the workflow's own
    delivery: str

    @property
    def run_id(self) -> str:
        """The same for every redelivery, so that none starts a second run."""
        return f"webhook__{self.delivery}"

    def conf(self) -> dict[str, str]:
        """Parameters of the run."""
        asked = {"subject": self.subject, "commit": self.sha, "branch": self.branch}
        return {**asked, "repository": self.repository, "delivery": self.delivery}


@dataclass(frozen=True)
class Ignored:
    """A genuine delivery that starts nothing."""

    reason: str


def sign(secret: bytes, body: bytes) -> str:
    """The signature that GitHub sends with this body."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def verify(secret: bytes, body: bytes, signature: str | None) -> None:
    """Raise `RefusedError` (401) unless the signature is that of the raw body."""
    if not signature:
        raise RefusedError(401, f"expected {SIGNATURE_HEADER}, found none: set the hook's secret.")
    expected = sign(secret, body).encode()
    if not hmac.compare_digest(expected, signature.encode("utf-8", "surrogateescape")):
        raise RefusedError(401, f"{SIGNATURE_HEADER} is not that of this body under the secret.")


def parse(
    event: str | None, delivery: str | None, body: bytes, subjects: Mapping[str, str]
) -> Trigger | Ignored:
    """What a verified delivery asks for.

    Args:
        event: header `X-GitHub-Event`.
        delivery: header `X-GitHub-Delivery`.
        body: the raw body.
        subjects: repository ("owner/name") → subject; empty: every repository, the workflow's own.

    Raises:
        RefusedError: 400, this is not a delivery.
    """
    if not delivery or not _DELIVERY.fullmatch(delivery):
        raise RefusedError(400, f"{DELIVERY_HEADER}: expected an identifier, found {delivery!r}.")
    if not event:
        raise RefusedError(400, f"expected the header {EVENT_HEADER}, found none.")
    try:
        payload = json.loads(body)
    except ValueError as error:
        raise RefusedError(400, f"expected a body of JSON: {error}.") from error
    except RecursionError as error:
        raise RefusedError(400, "expected a body of JSON, found one nested too deeply.") from error
    if not isinstance(payload, dict):
        raise RefusedError(400, f"expected a JSON object, found {type(payload).__name__}.")
    read = _EVENTS.get(event)
    if read is None:
        return Ignored(f"event {event} starts nothing; {' and '.join(_EVENTS)} do.")
    merged = read(payload)
    if isinstance(merged, Ignored):
        return merged
    branch, sha = merged
    repository = _text(payload, "repository", "full_name")
    if not re.fullmatch(REPOSITORY, repository):
        raise RefusedError(
            400, f"expected OWNER/NAME at repository.full_name, found {repository[:80]!r}."
        )
    if subjects and repository not in subjects:
        return Ignored(f"repository {repository} is not among those that the lab tests.")
    subject = subjects.get(repository, "").replace(SHA, sha)
    return Trigger(WORKFLOW, branch, sha, repository, subject, delivery)


def _push(payload: Mapping[str, Any]) -> tuple[str, str] | Ignored:
    ref = _text(payload, "ref")
    default = _text(payload, "repository", "default_branch")
    if payload.get("deleted") is True:
        return Ignored(f"{ref} was deleted.")
    if ref != _HEADS + default:
        return Ignored(f"{ref} is not the default branch {default}.")
    return default, _commit(payload, "after")


def _pull_request(payload: Mapping[str, Any]) -> tuple[str, str] | Ignored:
    action = _text(payload, "action")
    if action != "closed":
        return Ignored(f"the pull request was {action}, not merged.")
    pull_request = payload.get("pull_request")
    if not isinstance(pull_request, dict):
        raise RefusedError(400, "expected an object at pull_request.")
    if pull_request.get("merged") is not True:
        return Ignored("the pull request was closed without a merge.")
    branch = _text(payload, "pull_request", "base", "ref")
    return branch, _commit(payload, "pull_request", "merge_commit_sha")


_EVENTS: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, str] | Ignored]] = MappingProxyType(
    {"push": _push, "pull_request": _pull_request}
)


def _text(payload: Mapping[str, Any], *path: str) -> str:
    found: Any = payload
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str) or not 0 < len(found) <= 255:
        raise RefusedError(400, f"expected a text at {'.'.join(path)}, found {str(found)[:80]!r}.")
    return found


def _commit(payload: Mapping[str, Any], *path: str) -> str:
    sha = _text(payload, *path)
    if not _SHA.fullmatch(sha):
        raise RefusedError(400, f"expected a commit at {'.'.join(path)}, found {sha[:80]!r}.")
    return sha
