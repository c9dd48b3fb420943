"""What the topic `__consumer_offsets` holds of a group: each commit, in the order of its log.

Its records are not part of the wire protocol, and no Python library was found for them. Needed are
the key of a commit, versions 0 and 1 (OffsetCommitKey.json of Apache Kafka), and the offset, with
which all versions of the value begin (OffsetCommitValue.json). The record's own timestamp says when
the coordinator took it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

TOPIC = "__consumer_offsets"
BATCH = 500
_COMMITS = (0, 1)  # versions of keys; others tell of members and their assignments
_READER = {
    "group.id": "unused",
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "fetch.wait.max.ms": 10,  # most of its partitions are empty
}
_NONE = -1  # the offset of a place whose commit was removed


def stored(config: Mapping[str, Any], group: str, timeout_s: float) -> list[list[Any]]:
    """Each commit of the group: [topic, partition, next offset or -1, time in ns since 1970].

    A group's commits lie in one partition, so that their order is that of the log. Transactions
    that were aborted, and what lies behind one that is open, are left out.

    Raises:
        KafkaException: the topic could not be read to its end.
        TimeoutError: nor within the time.
    """
    reader = Consumer({**config, **_READER})
    try:
        partitions = reader.list_topics(TOPIC, timeout_s).topics[TOPIC].partitions
        reader.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in partitions])
        found = [
            [*where, _NONE if value is None else _offset(value), ms * 1_000_000]
            for key, value, ms in _to_the_end(reader, set(partitions), timeout_s)
            if (where := _place(key, group))
        ]
    finally:
        reader.close()
    return found


def _to_the_end(
    reader: Consumer, unread: set[int], timeout_s: float
) -> Iterator[tuple[bytes, bytes | None, int]]:
    until = time.monotonic() + timeout_s
    while unread:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(unread)} partitions of {TOPIC} not read in {timeout_s:g} s")
        for message in reader.consume(BATCH, 0.1):
            error = message.error()
            if error is None:
                yield message.key(), message.value(), message.timestamp()[1]
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 its only name
                unread.discard(message.partition())  # told again when more was written since
            else:
                raise KafkaException(error)


def _place(key: bytes, group: str) -> tuple[str, int] | None:
    """Topic and partition of a commit of the group."""
    if struct.unpack_from(">h", key)[0] not in _COMMITS:
        return None
    names, at = [], 2
    for _ in range(2):
        (size,) = struct.unpack_from(">h", key, at)
        names.append(key[at + 2 : at + 2 + size].decode())
        at += 2 + size
    (partition,) = struct.unpack_from(">i", key, at)
    return (names[1], partition) if names[0] == group else None


def _offset(value: bytes) -> int:
    offset: int = struct.unpack_from(">q", value, 2)[0]
    return offset
