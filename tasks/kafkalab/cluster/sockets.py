"""What the kernel counted on TCP sockets: NETLINK_SOCK_DIAG, the interface behind `ss -ti`.

A look lists the sockets of this network namespace with their `tcp_info` (linux/inet_diag.h,
linux/tcp.h); which process has one open is told by its inode. Bytes are those above TCP: a
retransmission counts once, headers not at all. The kernel counts an acknowledged SYN and a FIN as
one byte each, so that a connection shows up to two bytes too many a direction.

A socket that closes takes its counters with it. The kernel tells them a last time to whoever
listens to its destroy groups; where it refuses that (older kernels want CAP_NET_ADMIN), what was
seen at the last look is all there is.

Dead end: pyroute2 (0.9.7) decodes every field of every socket, 24 ms for a look at 128 connections
on loopback, where both ends are listed; this takes 2 ms.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass

from kafkalab.model.errors import InfrastructureError

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR, _DONE = 2, 3
_INFO = 2  # INET_DIAG_INFO, the attribute that holds tcp_info
_STATES = 0xFFF & ~(1 << 6 | 1 << 10)  # not TIME_WAIT, which counts nothing, and not LISTEN
_ADD_MEMBERSHIP, _SOL_NETLINK = 1, 270
_DESTROYED = (1, 3)  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY
_RCVBUFFORCE = 33
_EVENT_BYTES = 8 * 2**20  # about 7,000 sockets that close between two looks
_CHUNK = 1 << 18

_HEADER = struct.Struct("=IHHII")
_IDENTITY = struct.Struct("!HH16s16s")  # ports, addresses
_COOKIE = struct.Struct("=Q")
_INODE = struct.Struct("=I")
_ATTRIBUTE = struct.Struct("=HH")
_COUNTERS = struct.Struct("=QQII")  # bytes acknowledged and received, segments out and in
_AT_COOKIE, _AT_INODE, _MESSAGE, _AT_COUNTERS = 44, 68, 72, 120
_MAPPED = b"\0" * 10 + b"\xff\xff"  # an IPv4 address in an IPv6 socket, as the JVM opens them

_LACKING = (
    "expected the kernel's socket statistics (NETLINK_SOCK_DIAG), found: {found}. Without them the "
    "bytes of connections stay unknown: run on Linux 4.2 or later with CONFIG_INET_DIAG."
)


@dataclass(frozen=True, slots=True)
class Socket:
    """One TCP socket at one instant."""

    cookie: int  # the kernel's name of it, never used again; an inode is
    inode: int  # 0 when no process has it open any more
    local: str
    remote: str
    received_bytes: int
    sent_bytes: int
    received_segments: int
    sent_segments: int


class SocketDiag:
    """Looks at sockets, and hears of those that ended. Any thread may use it."""

    def __init__(self) -> None:
        """Raise `InfrastructureError` when this host cannot do it."""
        self._lock = threading.Lock()
        try:
            self._asking = _netlink()
            self._families = tuple(filter(self._answers, (socket.AF_INET, socket.AF_INET6)))
        except (OSError, AttributeError) as error:
            raise InfrastructureError(_LACKING.format(found=error)) from error
        if not self._families:
            self._asking.close()
            raise InfrastructureError(_LACKING.format(found="no answer for any address family"))
        self._hearing = _destroyed()
        self.hears_ends = self._hearing is not None

    def _answers(self, family: int) -> bool:
        try:
            return all(True for _ in self._dump(family))
        except FileNotFoundError:  # the kernel has no such protocol, or not its statistics
            return False

    def look(self, inodes: Container[int], cookies: Container[int]) -> list[Socket]:
        """Sockets that have one of these inodes or cookies."""
        found = []
        with self._lock:
            for family in self._families:
                for message in self._dump(family):
                    inode, cookie = _inode(message), _cookie(message)
                    if inode in inodes or cookie in cookies:
                        found.append(_socket(message))
        return found

    def ended(self) -> list[Socket]:
        """Sockets of anybody that ended since the last call, with their final counters.

        Sets `hears_ends` to False for good when there were more than the kernel kept.
        """
        found: list[Socket] = []
        if self._hearing is None:
            return found
        with self._lock:
            while True:
                try:
                    found += map(_socket, _messages(self._hearing.recv(_CHUNK)))
                except BlockingIOError:
                    return found
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self.hears_ends = False

    def close(self) -> None:
        """Give the descriptors back."""
        for each in (self._asking, self._hearing):
            if each is not None:
                each.close()

    def _dump(self, family: int) -> Iterator[bytes]:
        request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), _STATES)
        header = _HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 1, 0)
        self._asking.send(header + request)
        while True:
            answer = self._asking.recv(_CHUNK)
            for message in _messages(answer):
                if not message:
                    return
                yield message


def _netlink() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)
    opened.bind((0, 0))
    return opened


def _destroyed() -> socket.socket | None:
    """A netlink socket that hears of ends; None where the kernel does not let us."""
    opened = _netlink()
    try:
        for group in _DESTROYED:
            opened.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    except OSError:
        opened.close()
        return None
    with suppress(PermissionError):  # the default holds some hundred ends; more are noticed
        opened.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _EVENT_BYTES)
    opened.setblocking(False)
    return opened


def _messages(answer: bytes) -> Iterator[bytes]:
    """What stands in one answer; an empty message ends a dump."""
    at = 0
    while at < len(answer):
        length, kind, _flags, _sequence, _port = _HEADER.unpack_from(answer, at)
        if kind == _ERROR:
            number = -struct.unpack_from("=i", answer, at + _HEADER.size)[0]
            raise OSError(number, f"sock_diag: {os.strerror(number)}")
        if kind == _DONE:
            yield b""
        elif kind == _BY_FAMILY:
            yield answer[at + _HEADER.size : at + length]
        at += length + 3 & ~3


def _inode(message: bytes) -> int:
    return int(_INODE.unpack_from(message, _AT_INODE)[0])


def _cookie(message: bytes) -> int:
    return int(_COOKIE.unpack_from(message, _AT_COOKIE)[0])


def _socket(message: bytes) -> Socket:
    local_port, remote_port, local, remote = _IDENTITY.unpack_from(message, 4)
    sent, received, segments_out, segments_in = _counters(message)
    return Socket(
        cookie=_cookie(message),
        inode=_inode(message),
        local=_address(message[0], local, local_port),
        remote=_address(message[0], remote, remote_port),
        received_bytes=received,
        sent_bytes=sent,
        received_segments=segments_in,
        sent_segments=segments_out,
    )


def _counters(message: bytes) -> tuple[int, int, int, int]:
    at = _MESSAGE
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _INFO:
            sent, received, out, into = _COUNTERS.unpack_from(message, at + 4 + _AT_COUNTERS)
            return sent, received, out, into
        at += length + 3 & ~3
    return 0, 0, 0, 0  # it never was a connection


def _address(family: int, raw: bytes, port: int) -> str:
    if family == socket.AF_INET6 and not raw.startswith(_MAPPED):
        return f"[{socket.inet_ntop(socket.AF_INET6, raw)}]:{port}"
    four = raw[:4] if family == socket.AF_INET else raw[12:]
    return f"{socket.inet_ntop(socket.AF_INET, four)}:{port}"
