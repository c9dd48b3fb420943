"""Rows of a history in few bytes, and back: what the live form (judge.py) holds in memory.

A row of a `send` or a `poll` is twelve numbers, a third of its size as text: names (of clients,
topics, problems) are numbered as they come, and `intended` is kept only where it is not the place
that the record came from. All other rows are few and stay as they are (`actions`), but for
operations that no claim of the live form looks at.

    kind      0 to 3: a send's invoke, ok, fail, info; 4 to 7: the same of a poll
    intended  null: as the place says; −1: the history has null; else the number of a name
    stretch   the row of the client's last move before it: stretches.py
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kafkalab.checkers import history

KINDS = ("invoke", "ok", "fail", "info")
IGNORED = (
    "group_offsets",
    "offset_commits",
    "position",
    "clock",
    "stats",
    "error",
    "sample",
    "thread_dump",
)
COMMITS = ("commit", "committed")  # a stall asks whether there was one
COLUMNS = (
    ("idx", "int64"),
    ("time_ns", "int64"),
    ("process", "int32"),
    ("kind", "int8"),
    ("op_id", "int64"),
    ("topic", "int32"),
    ("part", "int32"),
    ("off", "int64"),
    ("value", "uint64"),
    ("problem", "int32"),
    ("intended", "int32"),
    ("stretch", "int64"),
)
RECS = pa.schema([pa.field(name, pa.type_for_alias(kind)) for name, kind in COLUMNS])

_OPS = pa.array(["send", "poll"])
_IGNORED = pa.array(IGNORED)


class Names:
    """Numbers for names, in order of appearance."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._known: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The number of one name, a new one for a new name."""
        if text not in self._known:
            self._known[text] = len(self._texts)
            self._texts.append(text)
        return self._known[text]

    def encode(self, column: pa.ChunkedArray) -> pa.Array:
        """Strings → their numbers (int32), null where there is none."""
        coded = column.combine_chunks().dictionary_encode()
        numbers = pa.array([self.number(t) for t in coded.dictionary.to_pylist()], pa.int32())
        return numbers.take(coded.indices)

    def decode(self, numbers: pa.ChunkedArray) -> pa.ChunkedArray:
        """The inverse of `encode`."""
        return pa.chunked_array([pa.array(self._texts, pa.string()).take(numbers.combine_chunks())])


def records(rows: pa.Table, names: Names) -> pa.Table:
    """The sends and polls of a part of a history: the columns of COLUMNS but `stretch`."""
    op = pc.index_in(rows["op"], value_set=_OPS)
    kind = pc.add(pc.multiply(op, 4), pc.index_in(rows["type"], value_set=pa.array(KINDS)))
    topic = names.encode(rows["topic"])
    table = pa.table(
        {
            "idx": rows["index"],
            "time_ns": rows["time_ns"],
            "process": names.encode(rows["process"]),
            "kind": kind.cast(pa.int8()),
            "op_id": rows["op_id"],
            "topic": topic,
            "part": rows["partition"],
            "off": rows["offset"],
            "value": rows["value"],
            "problem": names.encode(rows["problem"]),
            "intended": _intended(rows, topic, names),
        }
    )
    return table.filter(pc.is_valid(op)) if op.null_count else table


def _intended(rows: pa.Table, topic: pa.Array, names: Names) -> pa.Array:
    coded = rows["intended"].combine_chunks().dictionary_encode()
    places = [text.rpartition("/") for text in coded.dictionary.to_pylist()]
    number = pa.array([names.number("/".join((t, p))) for t, _, p in places], pa.int32())
    topics = pa.array([names.number(t) for t, _, _ in places], pa.int32())
    parts = pa.array([_part(p) for _, _, p in places], pa.int32())
    given = coded.indices
    same = pc.and_kleene(
        pc.equal(topics.take(given), topic), pc.equal(parts.take(given), rows["partition"])
    )
    odd = pc.if_else(pc.fill_null(same, False), None, number.take(given))
    return pc.if_else(pc.is_valid(given), odd, pa.scalar(-1, pa.int32())).cast(pa.int32())


def _part(text: str) -> int:
    """A partition; −1 where a payload holds something else, or more than any partition."""
    return int(text) if text.isdecimal() and int(text) < 2**31 else -1


def actions(rows: pa.Table, names: Names) -> pa.Table:
    """The rows of everything else that a claim may look at, with the numbers of their names.

    `named` are the topics of a `subscribe`, null elsewhere.
    """
    other = pc.invert(pc.is_in(rows["op"], value_set=pa.concat_arrays([_OPS, _IGNORED])))
    told = pc.and_(pc.equal(rows["type"], "ok"), pc.greater_equal(rows["offset"], 0))
    kept = rows.filter(pc.and_kleene(other, pc.or_kleene(pc.invert(commits(rows)), told)))
    kept = kept.append_column("pid", names.encode(kept["process"]))
    kept = kept.append_column("tid", names.encode(kept["topic"]))
    return kept.append_column("named", _named(kept, names))


def commits(rows: pa.Table) -> pa.ChunkedArray:
    """Whether each row is of a commit, or says what is committed."""
    return pc.is_in(rows["op"], value_set=pa.array(COMMITS))


def _named(rows: pa.Table, names: Names) -> pa.Array:
    asked = pc.equal(rows["op"], "subscribe").to_pylist()
    details = rows["detail"]
    numbers = [
        [names.number(topic) for topic in _topics(details[at].as_py())] if named else None
        for at, named in enumerate(asked)
    ]
    return pa.array(numbers, pa.list_(pa.int32()))


def _topics(detail: str | None) -> list[str]:
    """None where the detail is no JSON: then the checkers cannot read it either, and say so."""
    try:
        found = json.loads(detail or "{}")
    except ValueError:
        return []
    topics = found.get("topics") if isinstance(found, dict) else None
    return [topic for topic in topics or () if isinstance(topic, str)]


def whole(kept: pa.Table, others: pa.Table, names: Names) -> pa.Table:
    """A history again, in order, from records and actions."""
    kind = kept["kind"].to_numpy()
    columns: dict[str, Any] = {
        "index": kept["idx"],
        "time_ns": kept["time_ns"],
        "process": names.decode(kept["process"]),
        "type": pa.array(KINDS).take(pa.array(kind % 4)),
        "op": _OPS.take(pa.array(kind // 4)),
        "op_id": kept["op_id"],
        "topic": names.decode(kept["topic"]),
        "partition": kept["part"],
        "offset": kept["off"],
        "value": kept["value"],
        "intended": _shown(kept, names),
        "problem": names.decode(kept["problem"]),
        **dict.fromkeys(("error", "detail"), pa.nulls(len(kept), pa.string())),
        "generation": pa.nulls(len(kept), pa.int64()),
    }
    wanted = history.schema()
    table = pa.table([columns[name] for name in wanted.names], names=wanted.names).cast(wanted)
    rest = others.select(wanted.names).cast(wanted)
    return pa.concat_tables([table, rest]).sort_by("index")


def _shown(kept: pa.Table, names: Names) -> pa.ChunkedArray:
    came = pc.and_(pc.greater_equal(kept["kind"], 5), pc.is_valid(kept["topic"]))
    place = pc.binary_join_element_wise(
        names.decode(kept["topic"]), pc.cast(kept["part"], pa.string()), "/"
    )
    other = names.decode(pc.if_else(pc.less(kept["intended"], 0), None, kept["intended"]))
    return pc.if_else(
        pc.is_valid(kept["intended"]), other, pc.if_else(came, place, pa.scalar(None, pa.string()))
    )
