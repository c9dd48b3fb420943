from __future__ import annotations

import json
from typing import Any

import pytest

from kafkalab.notify import webhook
from kafkalab.notify.webhook import Ignored, RefusedError, Trigger, parse

SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
DELIVERY = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
REPOSITORY = {"full_name": "octo/client", "default_branch": "main"}


def push(**changes: Any) -> bytes:
    payload = {"ref": "refs/heads/main", "after": SHA, "repository": REPOSITORY, "deleted": False}
    return json.dumps({**payload, **changes}).encode()


def pull_request(action: str = "closed", merged: bool = True, **changes: Any) -> bytes:
    pull = {"merged": merged, "merge_commit_sha": SHA, "base": {"ref": "main"}, **changes}
    return json.dumps({"action": action, "pull_request": pull, "repository": REPOSITORY}).encode()


def test_the_signature_is_githubs() -> None:
    # The example of GitHub's documentation.
    signed = webhook.sign(b"It's a Secret to Everybody", b"Hello, World!")
    assert signed == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    webhook.verify(b"It's a Secret to Everybody", b"Hello, World!", signed)


@pytest.mark.parametrize(
    "signature",
    [None, "", "sha256=", "sha256=" + "0" * 64, "sha1=abc", "sha256=ä", "\udcff" * 8],
)
def test_a_forged_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(RefusedError) as refused:
        webhook.verify(b"secret", b"body", signature)
    assert refused.value.status == 401


def test_the_signature_is_that_of_every_byte() -> None:
    body = push()
    signed = webhook.sign(b"secret", body)
    webhook.verify(b"secret", body, signed)
    for changed in (body + b" ", body.replace(b"main", b"Main"), b""):
        with pytest.raises(RefusedError):
            webhook.verify(b"secret", changed, signed)
    with pytest.raises(RefusedError):
        webhook.verify(b"Secret", body, signed)


@pytest.mark.parametrize(("event", "body"), [("push", push()), ("pull_request", pull_request())])
def test_a_merge_asks_for_a_run(event: str, body: bytes) -> None:
    asked = parse(event, DELIVERY, body, {"octo/client": "confluent-kafka@pinned"})
    assert asked == Trigger(
        "kafka_merge", "main", SHA, "octo/client", "confluent-kafka@pinned", DELIVERY
    )
    assert isinstance(asked, Trigger)
    assert asked.run_id == f"webhook__{DELIVERY}"
    assert asked.conf() == {
        "subject": "confluent-kafka@pinned", "commit": SHA, "branch": "main",
        "repository": "octo/client", "delivery": DELIVERY,
    }  # fmt: skip


def test_a_subject_may_name_the_commit() -> None:
    asked = parse("push", DELIVERY, push(), {"octo/client": "client@{sha}"})
    assert isinstance(asked, Trigger)
    assert asked.subject == f"client@{SHA}"


def test_without_a_mapping_every_repository_runs_the_workflows_own_subject() -> None:
    asked = parse("push", DELIVERY, push(), {})
    assert isinstance(asked, Trigger)
    assert asked.subject == ""


@pytest.mark.parametrize(
    ("event", "body", "reason"),
    [
        ("ping", b'{"zen": "Keep it logically awesome."}', "ping"),
        ("issues", b"{}", "issues"),
        ("push", push(ref="refs/heads/feature"), "not the default branch"),
        ("push", push(ref="refs/tags/main"), "not the default branch"),
        ("push", push(deleted=True, after="0" * 40), "deleted"),
        ("push", push(repository={**REPOSITORY, "full_name": "octo/other"}), "octo/other"),
        ("pull_request", pull_request(action="opened", merged=False), "opened"),
        ("pull_request", pull_request(merged=False), "without a merge"),
    ],
)
def test_what_is_no_merge_is_ignored_with_a_reason(event: str, body: bytes, reason: str) -> None:
    ignored = parse(event, DELIVERY, body, {"octo/client": "confluent-kafka@pinned"})
    assert isinstance(ignored, Ignored)
    assert reason in ignored.reason


@pytest.mark.parametrize(
    ("event", "delivery", "body"),
    [
        (None, DELIVERY, push()),
        ("push", None, push()),
        ("push", "../../etc", push()),
        ("push", "a" * 65, push()),
        ("push", f"{DELIVERY}\n", push()),
        ("push", DELIVERY, b""),
        ("push", DELIVERY, b"payload=%7B%7D"),
        ("push", DELIVERY, b"\xff\xfe"),
        ("push", DELIVERY, b"[" * 100_000),
        ("push", DELIVERY, b"[]"),
        ("push", DELIVERY, b"{}"),
        ("push", DELIVERY, push(after="main")),
        ("push", DELIVERY, push(after=7)),
        ("push", DELIVERY, push(repository="octo/client")),
        ("push", DELIVERY, push(repository={**REPOSITORY, "full_name": "client"})),
        ("push", DELIVERY, push(repository={**REPOSITORY, "full_name": "octo/.."})),
        ("push", DELIVERY, push(repository={**REPOSITORY, "full_name": "octo/a/b"})),
        ("push", DELIVERY, push(repository={**REPOSITORY, "full_name": "octo/client\n"})),
        ("push", DELIVERY, push(ref="refs/heads/" + "x" * 300)),
        ("pull_request", DELIVERY, json.dumps({"action": "closed", "pull_request": []}).encode()),
        ("pull_request", DELIVERY, pull_request(merge_commit_sha=None)),
    ],
)
def test_what_cannot_be_a_delivery_is_refused(
    event: str | None, delivery: str | None, body: bytes
) -> None:
    with pytest.raises(RefusedError) as refused:
        parse(event, delivery, body, {})
    assert refused.value.status == 400
    assert refused.value.reason
