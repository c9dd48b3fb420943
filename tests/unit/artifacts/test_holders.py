"""The server's lease is the longest of its holders', and renewals that fail are told."""

from __future__ import annotations

import json
import threading
import time

import pytest

from kafkalab.artifacts import holders
from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import lease


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path))


def left_s() -> float:
    current = lease.Lease.load(holders.LEASE)
    return current.left_s() if current else 0.0


def test_the_longest_holder_decides(tmp_path):
    holders.hold(tmp_path, "a", 100)
    holders.hold(tmp_path, "b", 1_000)
    holders.hold(tmp_path, "b", 10)  # asking again never shortens
    assert left_s() == pytest.approx(1_000, abs=5)
    assert holders.names(tmp_path) == ["a", "b"]
    assert holders.release(tmp_path, "b")
    assert left_s() == pytest.approx(100, abs=5)
    assert holders.release(tmp_path, "unknown")
    assert not holders.release(tmp_path, "a")
    assert lease.Lease.load(holders.LEASE) is None
    assert not holders.release(tmp_path, "a")


def test_a_holder_whose_time_has_passed_holds_nothing(tmp_path):
    holders.hold(tmp_path, "dead", 0.05)
    holders.hold(tmp_path, "a", 100)
    deadline = time.monotonic() + 5
    while "dead" in holders.names(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holders.names(tmp_path) == ["a"]


def test_holders_of_an_earlier_boot_hold_nothing(tmp_path):
    holders.hold(tmp_path, "a", 100)
    file = tmp_path / "holders.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "boot": "another"}))
    assert holders.names(tmp_path) == []


def test_renewals_go_on_while_the_block_runs_and_end_with_it():
    renewed = threading.Semaphore(0)
    with holders.renewing(renewed.release, 0.01):
        assert all(renewed.acquire(timeout=5) for _ in range(3))
    assert not [t for t in threading.enumerate() if t.name == "store lease"]


def test_a_renewal_that_failed_is_raised_at_the_end():
    called = threading.Event()

    def fail() -> None:
        called.set()
        raise InfrastructureError("the store is gone")

    with pytest.raises(InfrastructureError, match="gone"), holders.renewing(fail, 0.01):
        assert called.wait(5)
