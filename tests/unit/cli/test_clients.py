"""`kafkalab clients`: every client is listed, and what nobody built is said, not guessed."""

from __future__ import annotations

import json

import pytest

from kafkalab.cli import clients
from kafkalab.clients.builds import FORMAT, Launch
from kafkalab.model.errors import BuildError, ExitCode
from kafkalab.runtime import pins


def _launch(version: str, *capabilities: str) -> Launch:
    hello = {"client": {"name": "sarama", "version": version}, "capabilities": list(capabilities)}
    return Launch(FORMAT, "k", f"sarama@{version}", "d", ("driver",), (), hello)


@pytest.fixture
def built(monkeypatch):
    """What the cache holds, by client."""
    found: dict[str, list[Launch]] = {}
    monkeypatch.setattr(clients.builds, "current", lambda order: found.get(order.subject.name, []))
    return found


def test_every_client_is_shown_with_what_its_driver_said(built, capsys):
    built["sarama"] = [_launch("1.46.3", "pause"), _launch("1.9.0", "transactions")]
    assert clients.run((), True) is ExitCode.PASS
    shown = {each["client"]: each for each in json.loads(capsys.readouterr().out)["clients"]}
    assert set(shown) == set(pins.load().clients)
    assert shown["kafka-clients"]["builds"] == []
    assert [b["subject"] for b in shown["sarama"]["builds"]] == ["sarama@1.46.3", "sarama@1.9.0"]
    assert clients.run((), False) is ExitCode.PASS
    table = capsys.readouterr().out
    assert "1.9.0, 1.46.3" in table
    assert "kafkalab clients" in table  # how to build what is not


def test_one_that_cannot_be_built_is_a_sentence_and_exit_code_3(built, capsys, monkeypatch):
    def resolve(subject, *_):
        raise BuildError(f"cannot build {subject}: no compiler")

    monkeypatch.setattr(clients, "resolve_client", resolve)
    assert clients.run(("sarama@1.0.0",), True) is ExitCode.UNKNOWN
    assert "cannot build sarama@1.0.0: no compiler" in capsys.readouterr().err
