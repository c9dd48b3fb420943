"""One writer of a key at a time, and a wait that ends."""

from __future__ import annotations

import threading

import pytest

from kafkalab.artifacts import locks
from kafkalab.artifacts.s3 import StoreError


def test_writers_of_one_key_take_turns(tmp_path):
    inside, seen = [], []

    def write() -> None:
        with locks.alone(tmp_path / "locks", "lab/x"):
            inside.append(1)
            seen.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=write) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == [1] * 20


def test_writers_of_different_keys_do_not_wait(tmp_path):
    with locks.alone(tmp_path, "lab/x"), locks.alone(tmp_path, "lab/y"):
        assert len(list(tmp_path.iterdir())) == 2


def test_a_writer_that_never_ends_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_WAIT_S", 0.2)
    second = locks.alone(tmp_path, "lab/x")
    with locks.alone(tmp_path, "lab/x"), pytest.raises(StoreError, match="others held"):
        second.__enter__()
