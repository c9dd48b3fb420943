import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kafkalab.cluster import resources
from kafkalab.model.errors import InfrastructureError


def test_ports_are_free_distinct_and_below_the_ephemeral_range() -> None:
    ports = resources.free_ports(9)

    limit = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 9
    assert all(20_000 <= port < limit for port in ports)
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_a_port_that_is_in_use_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken,) = resources.free_ports(1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", taken))
        server.listen()
        monkeypatch.setattr(resources.random, "randrange", lambda *_: taken)
        with pytest.raises(InfrastructureError, match=r"expected 1 free ports.*ss -ltnp"):
            resources.free_ports(1)


_OPENER = """
import os, socket
while sum(os.times()[:2]) < 0.02:  # a tick of the kernel's clock
    pass
print("up", flush=True)
input()
kept = socket.socket(), open(os.devnull)
print("opened", flush=True)
input()
"""


def test_a_reading_counts_memory_cpu_threads_descriptors_and_sockets() -> None:
    """Of another process: in this one, what earlier tests left may be collected in between."""
    with subprocess.Popen(
        [sys.executable, "-c", _OPENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        before = resources.read(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "opened\n"
        after = resources.read(process.pid)
        process.communicate("\n")

    assert before.rss_bytes > 1_000_000
    assert before.cpu_s > 0
    assert before.threads == 1
    assert after.descriptors == before.descriptors + 2
    assert after.sockets == before.sockets + 1


def test_a_process_that_ended_cannot_be_read() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()

    with pytest.raises(InfrastructureError, match="has ended"):
        resources.read(process.pid)
