"""What a finding is about, read from its keys: rows, places, offsets, values, clients, groups.

A finding is one row of a claim's query, so its keys are the claim's own. They follow a few rules,
and whoever shows a finding, or cuts a history down to it, rests on these alone:

    row...                     indexes of rows of the history (one or a list): what proves it
    topic, partition           a place; with a prefix (sent_topic, sent_partition) another one
    ...partition..., places    lists of "topic/partition" or "topic/partition@offset"
    ...offset..., ..._top, first_skipped     offsets of records in that place
    value, ..._value           values of records
    group                      a consumer group; "group:NAME" anywhere names one as well
    ..._ns                     moments of the history's clock, which mean nothing to a reader
    any other string           perhaps a client's name: it is one if the history has such a client
    anything else              a fact about the finding

Keys may nest: a cycle is a list of steps, each with keys of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Place = tuple[str, int]  # topic, partition

_PLACE = re.compile(r"(?P<topic>\S+)/(?P<part>\d+)(?:@(?P<off>\d+))?")


@dataclass(frozen=True)
class Focus:
    """What a finding names."""

    rows: Mapping[int, tuple[str, ...]]  # index of a row → the keys that name it
    places: tuple[Place, ...]
    offsets: frozenset[int]
    values: frozenset[int]
    groups: tuple[str, ...]
    names: tuple[str, ...]  # strings that may be clients
    facts: tuple[tuple[str, str], ...]  # what else the finding says, in words


def focus(finding: Mapping[str, Any]) -> Focus:
    """Sort what the keys of a finding say; keys that follow no rule are left out."""
    rows: dict[int, list[str]] = defaultdict(list)
    places: dict[Place, None] = dict.fromkeys(_pairs(finding))
    offsets, values = set[int](), set[int]()
    groups, names = dict[str, None](), dict[str, None]()
    for key, leaf in leaves(finding):
        if isinstance(leaf, str):
            match = _PLACE.fullmatch(leaf)
            if key == "group" or leaf.startswith("group:"):
                groups[leaf.removeprefix("group:")] = None
            elif match:
                places[match["topic"], int(match["part"])] = None
                offsets.update([int(match["off"])] if match["off"] else [])
            elif not key.endswith("topic"):
                names[leaf] = None
        elif key.startswith("row"):
            rows[leaf].append(key)
        elif "offset" in key or key.endswith("_top") or key == "first_skipped":
            offsets.add(leaf)
        elif "value" in key:
            values.add(leaf)
    return Focus(
        rows={row: tuple(dict.fromkeys(keys)) for row, keys in rows.items()},
        places=tuple(places),
        offsets=frozenset(offsets),
        values=frozenset(values),
        groups=tuple(groups),
        names=tuple(names),
        facts=tuple(_facts(finding)),
    )


def _facts(finding: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys of the top that follow no rule above; whoever knows the clients leaves theirs out."""
    for key, value in finding.items():
        ruled = re.match(r"row|.*(topic|partitions?|offset|value|_ns|_top|group|places)", key)
        if value is None or ruled or key == "first_skipped":
            continue
        if isinstance(value, float):
            yield key, f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
        elif isinstance(value, bool | int | str):
            yield key, str(value)


def leaves(node: Any, key: str = "") -> Iterator[tuple[str, str | int]]:
    """Strings and integers at any depth, each with the innermost key above it."""
    if isinstance(node, Mapping):
        for name, child in node.items():
            yield from leaves(child, str(name))
    elif isinstance(node, str) or (isinstance(node, int) and not isinstance(node, bool)):
        yield key, node
    elif isinstance(node, Sequence):
        for child in node:
            yield from leaves(child, key)


def _pairs(node: Any) -> Iterator[Place]:
    """Places given as two keys beside each other."""
    if isinstance(node, Mapping):
        for key, topic in node.items():
            part = node.get(f"{str(key).removesuffix('topic')}partition")
            if str(key).endswith("topic") and isinstance(topic, str) and isinstance(part, int):
                yield topic, part
        for child in node.values():
            yield from _pairs(child)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for child in node:
            yield from _pairs(child)
