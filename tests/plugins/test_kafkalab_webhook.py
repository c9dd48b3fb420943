"""The route in this process: everything that it answers before Airflow's database is asked."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kafkalab.notify.webhook import BODY_BYTES_MAX, sign

PLUGIN = Path(__file__).resolve().parents[2] / "plugins" / "kafkalab_webhook.py"
SECRET = b"a secret"
HEADERS = {
    "Content-Type": "application/json",
    "X-GitHub-Event": "ping",
    "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
}


def plugin() -> Any:
    spec = importlib.util.spec_from_file_location(PLUGIN.stem, PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from starlette.testclient import TestClient

    monkeypatch.setenv("KAFKALAB_WEBHOOK_SECRET", SECRET.decode())
    monkeypatch.setenv("KAFKALAB_WEBHOOK_SUBJECTS", "{}")
    app = plugin().KafkalabWebhookPlugin.fastapi_apps[0]["app"]
    with TestClient(app) as made:
        yield made


def post(client: Any, body: bytes, **changes: str | None) -> Any:
    headers: dict[str, str | None] = {**HEADERS, "X-Hub-Signature-256": sign(SECRET, body)}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    kept = {name: value for name, value in headers.items() if value is not None}
    return client.post("/github", content=body, headers=kept)


def test_a_plugin_is_thin_and_names_one_mounted_app() -> None:
    apps = plugin().KafkalabWebhookPlugin.fastapi_apps
    assert [app["url_prefix"] for app in apps] == ["/kafkalab/webhook"]
    assert len(PLUGIN.read_text(encoding="utf-8").splitlines()) <= 60


def test_loading_the_plugin_loads_no_web_framework() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(PLUGIN.parent)!r}); import kafkalab_webhook;"
        "assert 'kafkalab.notify.airflow_app' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_ping_is_taken_and_starts_nothing(client: Any) -> None:
    answer = post(client, b'{"zen": "Design for failure."}')
    assert answer.status_code == 202
    assert "ping" in answer.json()["ignored"]


def test_without_a_secret_nothing_is_taken(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKALAB_WEBHOOK_SECRET")
    assert post(client, b"{}").status_code == 503


@pytest.mark.parametrize("signature", [None, "sha256=" + "0" * 64, "nonsense"])
def test_forged(client: Any, signature: str | None) -> None:
    answer = post(client, b"{}", **{"X-Hub-Signature-256": signature})
    assert answer.status_code == 401
    assert SECRET.decode() not in answer.text


def test_forged_comes_before_malformed(client: Any) -> None:
    answer = post(client, b"not json", **{"X-Hub-Signature-256": "sha256=" + "0" * 64})
    assert answer.status_code == 401


def test_malformed(client: Any) -> None:
    assert post(client, b"not json", X_GitHub_Event="push").status_code == 400
    assert post(client, b"{}", X_GitHub_Delivery=None).status_code == 400


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "text/plain"])
def test_other_content_types(client: Any, kind: str | None) -> None:
    assert post(client, b"{}", **{"Content-Type": kind}).status_code == 415


def test_too_large_by_its_own_word(client: Any) -> None:
    assert post(client, b"{}", Content_Length=str(BODY_BYTES_MAX + 1)).status_code == 413
    assert post(client, b"{}", Content_Length="many").status_code == 400


def test_too_large_without_saying_so(client: Any) -> None:
    sent = []

    def parts() -> Iterator[bytes]:
        for _ in range(3 * BODY_BYTES_MAX // 2**20):
            sent.append(1)
            yield b" " * 2**20

    answer = client.post("/github", content=parts(), headers=HEADERS)
    assert answer.status_code == 413


def test_at_the_limit_it_is_read(client: Any) -> None:
    body = b'{"zen": "' + b"x" * (BODY_BYTES_MAX - 11) + b'"}'
    assert len(body) == BODY_BYTES_MAX
    assert post(client, body).status_code == 202


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_post(client: Any, method: str) -> None:
    assert getattr(client, method)("/github").status_code == 405


def test_a_mapping_that_is_none_is_the_labs_fault(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKALAB_WEBHOOK_SUBJECTS", "octo/client=confluent-kafka")
    assert post(client, b"{}").status_code == 503
