"""From the daemon's accounting to a reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kafkalab.cluster import docker_stats
from kafkalab.model.cluster import ProcessStats
from kafkalab.model.errors import InfrastructureError


def raw(memory: dict[str, int]) -> dict[str, Any]:
    return {
        "memory_stats": {"usage": 999, "stats": memory} if memory else {},
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "pids_stats": {"current": 12} if memory else {},
    }


@pytest.mark.parametrize(
    "memory",
    [
        {"rss": 100, "mapped_file": 20, "cache": 500},
        {"anon": 100, "file_mapped": 20, "file": 500},
    ],
    ids=["cgroup v1", "cgroup v2"],
)
def test_memory_is_what_is_resident_without_the_page_cache(memory: dict[str, int]) -> None:
    expected = ProcessStats(
        time_ns=7, rss_bytes=120, cpu_s=2.5, threads=12, descriptors=-1, sockets=-1
    )
    assert docker_stats.parse(raw(memory), 7) == expected


def test_bytes_on_the_wire_are_those_of_all_interfaces_and_unknown_without_one() -> None:
    accounted = raw({"anon": 100, "file_mapped": 20})
    alone = docker_stats.parse(accounted, 7)
    interfaces = {
        "eth0": {"rx_bytes": 1000, "tx_bytes": 10},
        "eth1": {"rx_bytes": 500, "tx_bytes": 5},
    }
    found = docker_stats.parse({**accounted, "networks": interfaces}, 7)
    assert alone is not None
    assert found is not None
    assert (alone.received_bytes, alone.sent_bytes, alone.connections) == (-1, -1, -1)
    assert (found.received_bytes, found.sent_bytes, found.connections) == (1500, 15, -1)


def test_a_container_that_ended_has_no_reading() -> None:
    assert docker_stats.parse(raw({}), 7) is None


def test_no_daemon_gives_an_error_and_no_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(InfrastructureError, match="expected readings of container b1"):
        docker_stats.Listener().reading("b1")
