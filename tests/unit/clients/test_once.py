"""A folder of the cache is made once, whole or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kafkalab.clients import once as once_module
from kafkalab.clients.once import once
from kafkalab.model.errors import InfrastructureError


def test_two_at_the_same_time_make_it_once(tmp_path):
    made, gate = [], threading.Barrier(4)

    def make(scratch):
        made.append(scratch)
        (scratch / "file").write_text("whole")

    def ask(_number):
        gate.wait(10)
        return once(tmp_path / "cache" / "it", make)

    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(ask, range(4)))
    assert set(folders) == {tmp_path / "cache" / "it"}
    assert len(made) == 1
    assert (folders[0] / "file").read_text() == "whole"


def test_nothing_is_left_of_one_that_fails_and_the_next_may_try(tmp_path):
    def fail(scratch):
        (scratch / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        once(tmp_path / "it", fail)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
    assert once(tmp_path / "it", lambda scratch: (scratch / "whole").touch()).is_dir()


def test_somebody_who_takes_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(once_module, "WAIT_S", 0.1)
    started, finish = threading.Event(), threading.Event()

    def slow(_scratch):
        started.set()
        finish.wait(20)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(once, tmp_path / "it", slow)
        assert started.wait(10)
        with pytest.raises(InfrastructureError, match="another process to finish it"):
            once(tmp_path / "it", slow)
        finish.set()
        assert other.result(10).is_dir()
