"""The contract's payload: 28 bytes of header, filler, and a CRC-32 over all of it at the end.

The checksum stands last and little-endian, because then the CRC-32 of a whole intact payload is
one constant: a reader checks a record with one call and no slicing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from zlib import crc32

MAGIC = b"KLB1"
SIZE_MIN = 32
RESIDUE = 0x2144DF1C  # CRC-32 of anything followed by its own CRC-32
_HEADER = struct.Struct(">4sQqiI")
_trailer = struct.Struct("<I").pack
_FILLER = os.urandom(1 << 20) * 32
header = _HEADER.unpack_from
Builder = Callable[[int, int, int], bytes]


class Packer:
    """Builds payloads for one topic."""

    def __init__(self, topic: str) -> None:
        self._topic_crc = crc32(topic.encode())
        self._builders: dict[int, Builder] = {}

    def pack(self, value: int, size: int, partition: int = -1, time_ns: int = 0) -> bytes:
        """One payload of `size` bytes; raises `ValueError` under 32 bytes."""
        build = self._builders.get(size)
        if build is None:
            build = self.builder(size)
            if len(self._builders) < 1024:
                self._builders[size] = build
        return build(value, partition, time_ns)

    def builder(self, size: int) -> Builder:
        """What builds payloads of one size: (value, partition, time_ns) → bytes."""
        if not SIZE_MIN <= size <= SIZE_MIN + len(_FILLER):
            raise ValueError(
                f"size_bytes: expected {SIZE_MIN} to {SIZE_MIN + len(_FILLER)}, found {size}"
            )
        layout, trailer = struct.Struct(f"{_HEADER.format}{size - SIZE_MIN}s").pack, _trailer
        magic, topic_crc, crc, random = MAGIC, self._topic_crc, crc32, _FILLER

        def build(value: int, partition: int, time_ns: int) -> bytes:
            body = layout(magic, value, time_ns, partition, topic_crc, random)
            return body + trailer(crc(body))

        return build


def unpack(data: bytes | None) -> tuple[int | None, str | None, int, int | None]:
    """Read a payload as (value, problem, intended partition, CRC of the intended topic)."""
    if data is None:
        return None, "null-value", -1, None
    if len(data) < SIZE_MIN:
        return None, "short", -1, None
    magic, value, _, partition, topic_crc = header(data)
    if magic != MAGIC:
        return None, "foreign", -1, None
    return value, None if crc32(data) == RESIDUE else "checksum", partition, topic_crc
