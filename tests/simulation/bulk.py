"""Writes a steady, healthy history of any size, as columns: for figures, not for corner cases.

10^7 events (5 M sent, 5 M polled: 15 M rows, 50 MB) take 11 s and 0.4 GB. What lies in them is said
in rounds.py.

    python -m tests.simulation.bulk PATH SHAPE EVENTS

writes one of SHAPES as Parquet; `tables` yields the same in memory, block by block.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.checkers import history
from kafkalab.model.history import CheckContext

from .rounds import BLOCK_ROWS, START_NS, STEP_NS, Rounds, Shape

GROUP_ROWS = 1_000_000  # of a row group


def steady(events: int, seed: int = 0) -> Shape:
    """9 + 9 clients, one group, 108 partitions, commands of 500 records."""
    return Shape(events, seed=seed)


def operations(number: int, seed: int = 0) -> Shape:
    """`number` sends and polls of one record each over 8 partitions."""
    return Shape(number, 8, 8, partitions=8, batch=1, seed=seed)


def rotating(number: int, seed: int = 0) -> Shape:
    """The same over 8 topics, each of which is replaced after 1,024 records."""
    return Shape(number, 8, 8, partitions=8, batch=1, rotate=1024, seed=seed)


SHAPES: dict[str, Callable[..., Shape]] = {
    "steady": steady,
    "operations": operations,
    "rotating": rotating,
}


def context(shape: Shape) -> CheckContext:
    """What such a history is judged with."""
    last = shape.rounds * (shape.sent_per_round * (2 + shape.groups) + shape.consumers)
    return CheckContext(finished_ns=START_NS + (2 * last + 10_000_000) * STEP_NS)


def write(path: Path, shape: Shape) -> int:
    """Write the history as Parquet; returns the number of rows."""
    rows, waiting = 0, []
    with pq.ParquetWriter(path, history.schema(), compression="zstd", compression_level=1) as out:
        for table in tables(shape):
            rows += table.num_rows
            waiting.append(table)
            if sum(part.num_rows for part in waiting) >= GROUP_ROWS:
                out.write_table(pa.concat_tables(waiting), row_group_size=2 * GROUP_ROWS)
                waiting = []
        if waiting:
            out.write_table(pa.concat_tables(waiting), row_group_size=2 * GROUP_ROWS)
    return rows


def tables(shape: Shape) -> Iterator[pa.Table]:
    """The history in blocks of some BLOCK_ROWS rows, in order."""
    made = Rounds(shape)
    yield made.begin()
    block = max(1, BLOCK_ROWS // made.template.rows)
    for first in range(0, shape.rounds, block):
        yield made.assign()
        yield made.rounds(first, min(block, shape.rounds - first))
        yield made.commits()
    yield made.last_polls()
    yield made.commits()
    yield made.end()


if __name__ == "__main__":
    target, name, number = Path(sys.argv[1]), sys.argv[2], int(float(sys.argv[3]))
    print(f"{write(target, SHAPES[name](number)):,} rows in {target}")  # noqa: T201
