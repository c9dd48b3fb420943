"""Bytes of real connections on loopback, as the kernel counts them."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from kafkalab.cluster import sockets
from kafkalab.cluster.sockets import SocketDiag
from kafkalab.cluster.wire import COUNTED, MISSED, OPEN, Ledger
from kafkalab.model.cluster import Unseen, Wire
from kafkalab.model.errors import InfrastructureError

SLACK = 2  # the kernel counts a SYN and a FIN as one byte each
NOBODY = frozenset[str]()


def _available() -> bool:
    try:
        SocketDiag().close()
    except InfrastructureError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _available(), reason="this kernel has no NETLINK_SOCK_DIAG")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=300)) as listening:
        yield listening


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with closing(Ledger()) as opened:
        yield opened


def connect(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    ours = socket.create_connection(server.getsockname())
    return ours, server.accept()[0]


def inodes(*opened: socket.socket) -> frozenset[int]:
    return frozenset(os.fstat(each.fileno()).st_ino for each in opened)


def move(sender: socket.socket, receiver: socket.socket, count: int) -> None:
    writer = threading.Thread(target=sender.sendall, args=(b"x" * count,))
    writer.start()
    while count:
        count -= len(receiver.recv(65536))
    writer.join()


def address(of: tuple[str, int]) -> str:
    return f"{of[0]}:{of[1]}"


def ends_within(ledger: Ledger, wanted: str, seconds: float = 5) -> Wire:
    """The ledger once the first driver's connections have ended so; ends are told a bit later."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        wire = ledger.wire(NOBODY)
        if all(each.end == wanted for found in wire.drivers.values() for each in found):
            return wire
        threading.Event().wait(0.01)
    raise AssertionError(f"expected every connection to be {wanted}: {wire}")


def test_a_connection_shows_what_it_carried_and_between_whom(server, ledger):
    ours, theirs = connect(server)
    with ours, theirs:
        move(ours, theirs, 100_000)
        move(theirs, ours, 3_000_000)
        (found,) = ledger.look("d0", inodes(ours), NOBODY)
        assert 0 <= found.sent_bytes - 100_000 <= SLACK
        assert 0 <= found.received_bytes - 3_000_000 <= SLACK
        assert found.sent_segments > 1
        assert found.received_segments > 1
        assert found.local == address(ours.getsockname())
        assert found.remote == address(server.getsockname())
        assert (found.end, found.first_ns) == (OPEN, found.last_ns)
        again = ledger.look("d0", inodes(ours), NOBODY)[0]
        assert again.first_ns == found.first_ns < again.last_ns


def test_an_address_of_version_4_in_a_socket_of_version_6_reads_as_such(ledger):
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        for host, shown in (("127.0.0.1", f"127.0.0.1:{port}"), ("::1", f"[::1]:{port}")):
            ours = socket.create_connection((host, port))
            theirs = server.accept()[0]
            with ours, theirs:
                (found,) = ledger.look(host, inodes(theirs), NOBODY)
                assert (found.local, found.remote.rpartition(":")[0]) == (
                    shown,
                    shown.rpartition(":")[0],
                )


def test_what_a_connection_carried_after_the_last_look_is_heard_when_it_ends(server, ledger):
    if not ledger.hears_ends:
        pytest.skip("this kernel tells ends to CAP_NET_ADMIN only")
    ours, theirs = connect(server)
    ledger.look("d0", inodes(ours), NOBODY)
    move(theirs, ours, 50_000)
    ours.close()
    theirs.close()
    wire = ends_within(ledger, COUNTED)
    (found,) = wire.drivers["d0"]
    assert 0 <= found.received_bytes - 50_000 <= SLACK
    assert wire.to_dict()["complete"]


def test_without_hearing_of_ends_the_counts_are_those_of_the_last_look(server, monkeypatch):
    monkeypatch.setattr(sockets, "_destroyed", lambda: None)
    with closing(Ledger()) as ledger:
        assert not ledger.hears_ends
        ours, theirs = connect(server)
        move(theirs, ours, 1000)
        ledger.look("d0", inodes(ours), NOBODY)
        move(theirs, ours, 50_000)
        ours.close()
        theirs.close()
        (found,) = ledger.look("d0", frozenset(), NOBODY)
        assert 0 <= found.received_bytes - 1000 <= SLACK
        assert found.end == MISSED
        assert not ledger.wire(NOBODY).to_dict()["complete"]


def test_drivers_do_not_mix_and_connections_of_nobody_are_summed_up(server, ledger):
    cluster = {address(server.getsockname())}
    with ExitStack() as stack:
        pairs = [connect(server) for _ in range(2)]
        for pair in pairs:
            for end in pair:
                stack.enter_context(end)
        for number, (ours, theirs) in enumerate(pairs):
            move(theirs, ours, 1000 * (number + 1))
            ledger.look(f"d{number}", inodes(ours), cluster)
        brief, theirs = connect(server)
        move(theirs, brief, 7000)
        brief.close()
        theirs.close()
        until = time.monotonic() + 5
        while ledger.hears_ends and time.monotonic() < until:
            if ledger.wire(cluster).unseen != Unseen():
                break
        wire = ledger.wire(cluster)
    received = {name: found[0].received_bytes for name, found in wire.drivers.items()}
    assert {name: count // 1000 for name, count in received.items()} == {"d0": 1, "d1": 2}
    if ledger.hears_ends:
        assert wire.unseen.connections == 1
        assert 0 <= wire.unseen.received_bytes - 7000 <= SLACK
        assert not wire.to_dict()["complete"]


def test_a_kernel_that_does_not_answer_is_named(monkeypatch):
    def refuse(*_args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(sockets, "_netlink", refuse)
    with pytest.raises(InfrastructureError, match=r"NETLINK_SOCK_DIAG.*not permitted"):
        SocketDiag()


def test_a_look_at_128_connections_is_cheap(server, ledger):
    with ExitStack() as stack:
        ours = []
        for _ in range(128):
            pair = connect(server)
            ours.append(stack.enter_context(pair[0]))
            stack.enter_context(pair[1])
        wanted = inodes(*ours)
        spent = []
        for _ in range(20):
            began = time.process_time()  # of this process, kernel included: others do not count
            assert len(ledger.look("d0", wanted, NOBODY)) == 128
            spent.append(time.process_time() - began)
    assert min(spent) < 0.005, f"best of 20 looks: {min(spent) * 1e3:.1f} ms"
