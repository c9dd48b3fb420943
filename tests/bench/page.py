"""The page with the results: docs/driver-overheads.md."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from ratios import Row

PATH = Path(__file__).parents[2] / "docs" / "driver-overheads.md"
COMMAND = "make bench-drivers ARGS=--write"
_HEADER = ("client", "what", "result", "measured", "spread", "n", "bound", "holds", "on")
_TEXT = """# What a driver costs

A verdict about a client must not be one about its driver. So each driver's loops are compared with
the bare client: Kafka's own `ProducerPerformance` and `ConsumerPerformance` for the Java client,
and for the others a small program of the same version (`tests/bench/bare/`) that does what they do
by default: each record has a value of its own, each acknowledgement gives a latency, and a reader
adds up the sizes of keys and values. All of it is measured by one command, on one broker that it
starts itself:

    {command}

- **Loops**: driver and bare program take turns (A B B A), a fresh process each; the result is the
  median of the ratios of the pairs, the spread their quartiles. 100-byte records, 6 partitions,
  `acks=all`, idempotent. `ProducerPerformance` gets its payload from a file: by
  `--record-size` it draws 100 letters for each record, which holds its sender back.
- **p99 at a fixed rate**: both at the same time, since a tail is made of single disturbances that
  must fall on both; single records (linger 0), after 8 s at that rate to warm up.
- **Operations mode**: batches of 100 through one driver with 8 producers, from the first command to
  the history as a table. Where kafka-python misses the bound, what the bare client makes of such
  batches stands beside it.
- **Resolving**: in a fresh process, imports included.

Absolute numbers are those of one host and say little; ratios carry over. Pairs on a shared disk lie
far apart: with `KAFKALAB_HOME` on a tmpfs, as here, the broker's files are in memory.

| {header} |
|{rule}|
{rows}
"""


def write(rows: Sequence[Row]) -> None:
    """Put the rows into the page; rows of the same client and measurement are replaced."""
    on = f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}"
    known = _present()
    for row in rows:
        client = row.client.partition("@")[0]
        known[client, row.what] = (*row.cells(), on)
    lines = [f"| {' | '.join(known[key])} |" for key in sorted(known)]
    text = _TEXT.format(
        command=COMMAND,
        header=" | ".join(_HEADER),
        rule="|".join("---" for _ in _HEADER),
        rows="\n".join(lines),
    )
    PATH.write_text(text, encoding="utf-8")


def _present() -> dict[tuple[str, str], tuple[str, ...]]:
    if not PATH.exists():
        return {}
    found = {}
    for line in PATH.read_text(encoding="utf-8").splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if line.startswith("| ") and len(cells) == len(_HEADER) and "@" in cells[0]:
            found[cells[0].partition("@")[0], cells[1]] = cells
    return found
