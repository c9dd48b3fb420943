"""The frame around a step: whatever happens, a manifest, a last line and the right exit code."""

from __future__ import annotations

import json

import pytest

from kafkalab.artifacts import keys, runs, server
from kafkalab.artifacts.store import Store
from kafkalab.model.errors import ExitCode, InfrastructureError, UsageError
from kafkalab.model.run import Run
from kafkalab.model.verdict import Outcome
from kafkalab.steps import frame

pytestmark = pytest.mark.system  # a real embedded store


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path_factory.mktemp("home")))
    with server.serving("test-frame", 120) as endpoint:
        for name, value in endpoint.env().items():
            monkeypatch.setenv(name, value)
        yield Store.from_env()
    monkeypatch.undo()


def planned(store: Store, name: str) -> Run:
    prefix = f"runs/test/~/~/host/kafka@3.9.2/c@1/20261121T000000Z-{name}/"
    run = Run(
        run_id=name, workflow="test", prefix=prefix, seed=1, engine="process",
        subjects=("c@1",), cells={}, brokers={"pinned": "kafka@3.9.2"},
    )  # fmt: skip
    runs.write_run(store, run)
    return run


def execute(store: Store, name: str, work) -> tuple[frame.Ended, dict]:
    run = planned(store, name)
    ended = frame.execute(frame.Request("provision", store.uri(run.prefix), role="pinned"), work)
    key = keys.manifest(run.prefix, "provision", 1, "pinned")
    assert json.loads(ended.line()) == {"manifest": store.uri(key), "verdict": str(ended.outcome)}
    return ended, store.get_json(key)


def raising(error: BaseException):
    def work(_context):
        raise error

    return work


@pytest.mark.parametrize(
    ("name", "work", "code", "outcome", "reason"),
    [
        (
            "judged",
            lambda _: frame.StepResult(Outcome.FAIL, "a claim"),
            ExitCode.FAIL,
            "fail",
            "a claim",
        ),
        (
            "infrastructure",
            raising(InfrastructureError("no disk")),
            ExitCode.UNKNOWN,
            "unknown",
            "no disk",
        ),
        ("usage", raising(UsageError("no such role")), ExitCode.USAGE, "unknown", "no such role"),
        ("interrupt", raising(KeyboardInterrupt()), ExitCode.INTERRUPTED, "unknown", "interrupted"),
        ("defect", raising(ZeroDivisionError("x")), ExitCode.UNKNOWN, "unknown", "ZeroDivision"),
    ],
)
def test_each_way_to_end_leaves_a_manifest(stored, name, work, code, outcome, reason):
    ended, manifest = execute(stored, name, work)
    assert ended.code == code
    assert manifest["outcome"] == outcome
    assert reason in manifest["reason"]
    assert "steal_ratio" in manifest["host"]


def test_files_are_stored_before_the_manifest_that_names_them(stored):
    def work(_context):
        return frame.StepResult(Outcome.PASS, files={"spec.json": b"{}"})

    _, manifest = execute(stored, "files", work)
    assert stored.get_bytes(manifest["artifacts"]["spec.json"]) == b"{}"


def test_the_lab_s_own_defect_leaves_its_traceback(stored):
    _, manifest = execute(stored, "trace", raising(ZeroDivisionError("planted")))
    trace = stored.get_bytes(manifest["artifacts"]["traceback.txt"])
    assert b"ZeroDivisionError: planted" in trace


def test_what_cannot_be_stored_stays_on_disk_and_is_red(stored, monkeypatch):
    def refuse(_items):
        from kafkalab.artifacts.store import StoreError

        raise StoreError("the store is full")

    run = planned(stored, "full")
    monkeypatch.setattr(Store, "put_or_spool", lambda _self, items: refuse(items))
    request = frame.Request("provision", stored.uri(run.prefix), role="pinned")
    ended = frame.execute(request, lambda _: frame.StepResult(Outcome.PASS))
    assert (ended.code, ended.outcome) == (ExitCode.UNKNOWN, Outcome.UNKNOWN)
