"""What a driver costs: its loops against the bare client, operations mode, resolving.

    make bench-drivers ARGS="--client kafka-clients@pinned --part consume --write"

Starts a broker of its own, takes minutes a client, and wants a quiet host: see the module of each
part for what runs against what. `--write` puts the rows into docs/driver-overheads.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import measures
import page
from measures import Say
from ratios import Row
from stage import Stage, stage

from kafkalab.clients.resolver import resolve_client
from kafkalab.model.subject import Subject
from kafkalab.runtime import pins

PARTS: dict[str, Callable[[Stage, Subject, int, Say], list[Row]]] = {
    "resolve": measures.resolve,
    "operations": measures.operations,
    "produce": measures.produce,
    "consume": measures.consume,
    "latency": measures.latency,
}


def main() -> int:
    """Measure; 0 when every bound holds, else 1."""
    options = _options()
    known = pins.load()
    subjects = [known.resolve(Subject.parse(text)) for text in options.client]
    for subject in subjects:
        resolve_client(subject, known, "process")  # built before anything is measured
    rows: list[Row] = []
    with stage() as where:
        for subject in subjects:
            for part in options.part:
                rows += PARTS[part](where, subject, options.pairs, _say)
                if options.write:  # what was measured stays, whatever the next part does
                    page.write(rows)
    for row in rows:
        _say(" | ".join(row.cells()))
    return 0 if all(row.holds for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-drivers", description=__doc__)
    clients = [name for name in measures.STYLES if name in pins.load().clients]
    parser.add_argument(
        "--client",
        action="append",
        metavar="NAME@VERSION",
        help="repeat for more than one; default: the pinned version of each",
    )
    parser.add_argument("--part", action="append", choices=list(PARTS))
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--write", action="store_true", help=f"write {page.PATH.name}")
    options = parser.parse_args()
    options.client = options.client or [f"{name}@pinned" for name in clients]
    options.part = options.part or list(PARTS)
    return options


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


if __name__ == "__main__":
    sys.exit(main())
