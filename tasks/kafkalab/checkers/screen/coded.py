"""A history as numbers: batches of columns in which names are codes, for passes over all rows.

Ten million rows are read in a second this way, and hold a fraction of their size as text. A code
counts names in order of appearance; −1 stands for null. A *place* is a partition of a topic; that
of a record whose client was to choose has part −1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.checkers.screen.arrays import numbers, valid
from kafkalab.model.history import COLUMNS

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

BATCH_ROWS = 1 << 17  # stays in the caches
NULL = -1
PARTS_MAX = 1 << 16  # Kafka has no limit; nobody has as many
SEND, POLL = 0, 1  # codes of `op`
INVOKE, OK, FAIL = 0, 1, 2  # codes of `type`

_CODED = ("process", "type", "op", "topic", "intended", "problem", "error")


class Names:
    """Strings and their codes, in order of appearance."""

    def __init__(self, known: Sequence[str] = ()) -> None:
        self.names = list(known)
        self._codes = {name: code for code, name in enumerate(known)}

    def __len__(self) -> int:
        return len(self.names)

    def code(self, name: str) -> int:
        """The code of one name; a new one is added."""
        if name not in self._codes:
            self._codes[name] = len(self.names)
            self.names.append(name)
        return self._codes[name]

    def encode(self, column: pa.DictionaryArray) -> Codes:
        """Codes of a column, shape (rows,), int32."""
        table = [
            NULL if name is None else self.code(name) for name in column.dictionary.to_pylist()
        ]
        lookup = np.array([*table, NULL], dtype=np.int32)  # index −1, null, is the last
        codes: Codes = lookup[numbers(column.indices, NULL)]
        return codes


class Places:
    """Partitions and their codes, which a table finds for partitions below PARTS_MAX."""

    def __init__(self, topics: Names) -> None:
        self._topics = topics
        self._table = np.full((0, 0), NULL, dtype=np.int32)  # [topic, part + 1] → code
        self._codes: dict[tuple[int, int], int] = {}
        self.topic: list[int] = []
        self.part: list[int] = []

    def __len__(self) -> int:
        return len(self.topic)

    def name(self, place: int) -> tuple[str, int]:
        """Topic and partition of a code."""
        return self._topics.names[self.topic[place]], self.part[place]

    def encode(self, topics: Codes, parts: Codes) -> Codes:
        """Codes of places, shape (rows,), int32; NULL where there is no topic."""
        if not (topics >= 0).any():
            return np.full(len(topics), NULL, dtype=np.int32)
        if int(parts.min()) < NULL or int(parts.max()) >= PARTS_MAX:
            return self._encode_one_by_one(topics, parts)
        self._table = enlarged(self._table, (len(self._topics), int(parts.max()) + 2), NULL)
        places = np.where(topics < 0, NULL, self._table[topics, parts + 1])
        missing = (places < 0) & (topics >= 0)
        if missing.any():
            for topic, part in _pairs(topics[missing], parts[missing]):
                self._table[topic, part + 1] = self._code(topic, part)
            places = np.where(topics < 0, NULL, self._table[topics, parts + 1])
        return places

    def _encode_one_by_one(self, topics: Codes, parts: Codes) -> Codes:
        """The same of numbers that no table should have room for."""
        places = np.full(len(topics), NULL, dtype=np.int32)
        for topic, part in _pairs(topics[topics >= 0], parts[topics >= 0]):
            places[(topics == topic) & (parts == part)] = self._code(topic, part)
        return places

    def _code(self, topic: int, part: int) -> int:
        code = self._codes.setdefault((topic, part), len(self.topic))
        if code == len(self.topic):
            self.topic.append(topic)
            self.part.append(part)
        return code


def _pairs(topics: Codes, parts: Codes) -> list[tuple[int, int]]:
    keys = np.unique(topics.astype(np.int64) << 32 | (parts.astype(np.int64) + 2**31))
    return [(int(key) >> 32, (int(key) & 2**32 - 1) - 2**31) for key in keys]


@dataclass(frozen=True)
class Coded:
    """One batch; every array has shape (rows,)."""

    rows: pa.RecordBatch
    idx: Ints
    time_ns: Ints
    process: Codes
    type: Codes
    op: Codes
    op_id: Ints
    place: Codes
    off: Ints  # NULL where there is none
    value: npt.NDArray[np.uint64]  # 0 where there is none
    meant: Codes  # place that the payload names; NULL where it names none
    odd: Mask  # has a problem, content, or no value: not a plain record


class Coder:
    """Reads a history batch by batch and keeps the names that the codes stand for."""

    def __init__(self) -> None:
        self.processes = Names()
        self.types = Names(("invoke", "ok", "fail", "info", "event"))
        self.ops = Names(("send", "poll"))
        self.topics = Names()
        self.places = Places(self.topics)
        self._meant = Names()
        self._meant_places = np.array([NULL], dtype=np.int32)  # by code of `_meant`

    def code(self, batch: pa.RecordBatch) -> Coded:
        """One batch of a valid history, as `batches` yields it; in order."""

        def column(name: str) -> Any:
            return batch.column(batch.schema.get_field_index(name))

        place = self.places.encode(
            self.topics.encode(column("topic")), numbers(column("partition"), NULL)
        )
        plain = valid(column("value")) & ~valid(column("problem")) & ~valid(column("detail"))
        return Coded(
            batch,
            numbers(column("index"), NULL),
            numbers(column("time_ns"), NULL),
            self.processes.encode(column("process")),
            self.types.encode(column("type")),
            self.ops.encode(column("op")),
            numbers(column("op_id"), NULL),
            place,
            numbers(column("offset"), NULL),
            numbers(column("value"), 0),
            self._places_meant(column("intended")),
            ~plain,
        )

    def _places_meant(self, column: pa.DictionaryArray) -> Codes:
        """The places that "topic/partition" names; one more than any place where it is odd."""
        codes = self._meant.encode(column)
        fresh = self._meant.names[len(self._meant_places) - 1 :]
        if fresh:  # the last stands for null
            places = [self._meant_places[:-1], self._places(fresh), self._meant_places[-1:]]
            self._meant_places = np.concatenate(places)
        return self._meant_places[codes]

    def _places(self, names: Sequence[str]) -> Codes:
        most = int(np.iinfo(np.int32).max)
        found = np.full(len(names), most, dtype=np.int32)
        split = [name.rpartition("/") for name in names]
        # a payload may hold anything
        told = [n for n, (_, _, p) in enumerate(split) if p.isdecimal() and int(p) <= most]
        topics = np.array([self.topics.code(split[n][0]) for n in told], dtype=np.int32)
        parts = np.array([int(split[n][2]) for n in told], dtype=np.int32)
        found[told] = self.places.encode(topics, parts)
        return found


def batches(source: pa.Table | Path) -> Iterator[pa.RecordBatch]:
    """Record batches of a history, names dictionary-encoded, all columns, in file order.

    Raises:
        OSError, pyarrow.ArrowInvalid: the file cannot be read as Parquet, or is damaged.
    """
    if isinstance(source, Path):
        with pq.ParquetFile(
            source, read_dictionary=list(_CODED), page_checksum_verification=True
        ) as file:
            yield from _ahead(file.iter_batches(BATCH_ROWS, columns=[n for n, _ in COLUMNS]))
    else:
        for batch in source.to_batches(max_chunksize=BATCH_ROWS):
            yield encoded(batch)


def _ahead(made: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Decode the next batch while this one is looked at."""
    with ThreadPoolExecutor(1) as decoder:
        coming = decoder.submit(next, made, None)
        while (batch := coming.result()) is not None:
            coming = decoder.submit(next, made, None)
            yield encoded(batch)


def encoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with its names as dictionaries."""
    columns = {
        name: column.dictionary_encode() if name in _CODED and not _is_coded(column) else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    return pa.RecordBatch.from_pydict(columns)


def _is_coded(column: pa.Array) -> bool:
    return bool(pa.types.is_dictionary(column.type))


def enlarged(table: Any, shape: tuple[int, ...], fill: int) -> Any:
    """`table`, or a copy with room for `shape` (at least doubled), the rest filled with `fill`."""
    if all(have >= want for have, want in zip(table.shape, shape, strict=True)):
        return table
    room = [
        have if have >= want else max(want, 2 * have)
        for have, want in zip(table.shape, shape, strict=True)
    ]
    larger = np.full(room, fill, dtype=table.dtype)
    larger[tuple(slice(0, have) for have in table.shape)] = table
    return larger
