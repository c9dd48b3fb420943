"""How long does a verdict take, and how much memory? Prints a table, and docs/verdict-speed.md.

    make bench-check                        # up to 10^7 events: some minutes
    make bench-check ARGS="--size 1e8"      # the largest too: 15 GiB of disk, 10 minutes more

Each history is judged in a fresh process from its Parquet file, validation included; what is
measured is the time of `compose.judge` and the peak of the whole process. The live form is another
question and has a table of its own (bench_live.py).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import bench_live
from tests.simulation import bulk, transactional

from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.model.history import CheckContext

GIB, MIB = 2**30, 2**20
PAGE = Path(__file__).parents[2] / "docs" / "verdict-speed.md"
JEPSEN = (
    "lost-write", "unseen", "duplicate", "inconsistent-offsets", "G1a", "precommitted-read",
    "poll-skip", "int-poll-skip", "nonmonotonic-poll", "int-nonmonotonic-poll",
    "nonmonotonic-send", "int-nonmonotonic-send", "int-send-skip",
    "G0", "G0-process", "G0-realtime", "G1c", "G1c-process", "G1c-realtime",
)  # fmt: skip
ALL = tuple(CHECKERS)


@dataclass(frozen=True)
class Case:
    """One measurement: a history, the claims, and the bounds."""

    name: str
    shape: str
    size: int
    claims: tuple[str, ...]
    seconds_max: float | None
    bytes_max: int | None


@dataclass(frozen=True)
class Result:
    """What one measurement gave."""

    rows: int
    seconds: float
    peak_bytes: int
    red: dict[str, int]


CASES = (
    Case("Jepsen's claims, 8 keys", "operations", 10**6, JEPSEN, 1.2, GIB),
    Case("Jepsen's claims, rotating keys", "rotating", 10**6, JEPSEN, 1.2, GIB),
    Case("transactions, with circles", "transactions", 10**5, ALL, 20, None),
    Case("all claims, 108 partitions", "steady", 10**5, ALL, None, None),
    Case("all claims, 108 partitions", "steady", 10**6, ALL, None, None),
    Case("all claims, 108 partitions", "steady", 10**7, ALL, 15, 2 * GIB),
    Case("all claims, 108 partitions", "steady", 10**8, ALL, 240, 4 * GIB),
)


def main() -> int:
    """Measure, print, and say whether every bound holds."""
    parser = argparse.ArgumentParser(prog="bench-check", description="speed of verdicts")
    parser.add_argument("--size", type=float, default=1e7, help="largest number of events")
    parser.add_argument("--only", default="", help="cases whose shape begins so")
    parser.add_argument("--repeat", type=int, default=3, help="the median of so many; large: 1")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--one", nargs=3, metavar=("PATH", "CONTEXT", "CLAIMS"), help="inner use")
    options = parser.parse_args()
    if options.one:
        path, context, claims = options.one
        print(json.dumps(asdict(_judge(Path(path), context, claims.split(",")))))  # noqa: T201
        return 0
    chosen = [c for c in CASES if c.size <= options.size and c.shape.startswith(options.only)]
    measured = list(_measure(chosen, options.repeat))
    sizes = [size for size in bench_live.SIZES if size <= options.size]
    live = bench_live.measure(sizes if "live".startswith(options.only) else [])
    text = _table(measured) + _growth(measured) + bench_live.table(live)
    print(text)  # noqa: T201
    if options.write:
        PAGE.write_text(_page(text), encoding="utf-8")
    held = [_holds(case, result) for case, result in measured]
    return 0 if all([*held, *(result.holds for result in live)]) else 1


def _measure(cases: Sequence[Case], repeat: int) -> Iterator[tuple[Case, Result]]:
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            path = Path(folder) / "history.parquet"
            context = _write(path, case)
            times = 1 if case.size > 10**7 else repeat
            found = sorted((_fresh(path, context, case) for _ in range(times)), key=_seconds)
            path.unlink()
            yield case, found[len(found) // 2]


def _write(path: Path, case: Case) -> CheckContext:
    if case.shape == "transactions":
        return transactional.write(path, case.size)
    shape = bulk.SHAPES[case.shape](case.size)
    bulk.write(path, shape)
    return bulk.context(shape)


def _fresh(path: Path, context: CheckContext, case: Case) -> Result:
    command = [sys.executable, str(Path(__file__)), "--one", str(path)]
    command += [json.dumps(asdict(context)), ",".join(case.claims)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = Result(**json.loads(done.stdout))
    expected = {"G1c": transactional.circles(case.size)} if case.shape == "transactions" else {}
    if result.red != expected:
        raise SystemExit(f"{case.name}: expected {expected or 'no claim'} red, found {result.red}")
    return result


def _judge(path: Path, context: str, claims: Sequence[str]) -> Result:
    begin = time.perf_counter()
    verdicts = judge(path, claims, CheckContext.from_dict(json.loads(context)))
    seconds = time.perf_counter() - begin
    crashed = [verdict for verdict in verdicts if "crash" in verdict.summary]
    if crashed:
        raise SystemExit(f"{crashed[0].claim}: {crashed[0].summary} {crashed[0].evidence}")
    red = {verdict.claim: verdict.count for verdict in verdicts if verdict.outcome == "fail"}
    peak = bench_live.peak_bytes()
    import pyarrow.parquet as pq

    return Result(pq.read_metadata(path).num_rows, seconds, peak, red)


def _seconds(result: Result) -> float:
    return result.seconds


def _holds(case: Case, result: Result) -> bool:
    return (case.seconds_max is None or result.seconds <= case.seconds_max) and (
        case.bytes_max is None or result.peak_bytes <= case.bytes_max
    )


def _table(measured: Sequence[tuple[Case, Result]]) -> str:
    lines = [
        "| what | events | rows | seconds | bound | peak MiB | bound | holds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, result in measured:
        bound = f"{case.seconds_max:g}" if case.seconds_max else ""
        memory = f"{case.bytes_max // MIB:,}" if case.bytes_max else ""
        lines.append(
            f"| {case.name} | {case.size:,} | {result.rows:,} | {result.seconds:.2f} | {bound} "
            f"| {result.peak_bytes // MIB:,} | {memory} | {_yes(_holds(case, result))} |"
        )
    return "\n".join(lines) + "\n"


def _growth(measured: Sequence[tuple[Case, Result]]) -> str:
    """How time grows from one size of the steady history to the next, against n log n."""
    steady = [(case.size, result.seconds) for case, result in measured if case.shape == "steady"]
    lines = [
        f"| {small:,} to {large:,} | {after / before:.1f} | {_n_log_n(large, small):.1f} |"
        for (small, before), (large, after) in itertools.pairwise(steady)
    ]
    if not lines:
        return ""
    return "\n".join(["", "| growth | of time | of n log n |", "|---|---|---|", *lines, ""])


def _n_log_n(large: int, small: int) -> float:
    return large * math.log(large) / (small * math.log(small))


def _yes(value: bool) -> str:
    return "yes" if value else "**no**"


def _page(table: str) -> str:
    host = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return (
        "# What a verdict costs\n\nMade by `make bench-check ARGS=--write`, "
        f"on {time.strftime('%Y-%m-%d', time.gmtime())}, {host}. Each history (`bulk.py` and "
        "`transactional.py` in tests/simulation) is judged\nin a fresh process from its Parquet "
        "file, validation included; median of three.\n\n" + table
    )


if __name__ == "__main__":
    sys.exit(main())
