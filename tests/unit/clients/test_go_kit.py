"""The kit for drivers in Go: tests in Go, run with the Go and the modules of a driver."""

from __future__ import annotations

import shutil
from pathlib import Path

from kafkalab.clients import build_go
from kafkalab.clients.command import BuildLog


def test_the_kits_own_tests_pass(clients_folder, tmp_path):
    for name in ("go.mod", "go.sum"):
        shutil.copy(clients_folder / "sarama" / name, tmp_path)
    shutil.copytree(clients_folder / "kit-go", tmp_path / "kit")
    for source in Path(__file__).with_name("kit-go").glob("*_test.go"):
        shutil.copy(source, tmp_path / "kit")
    log = BuildLog()
    assert build_go._go(log, ["test", "-count=1", "./kit"], tmp_path) == 0, log.text
    assert "ok" in log.text
