"""How fast is the live form, and how much does it hold? A part of bench_check.py.

The steady history is written to a file, batch after batch, and read by a fresh process that gives
each batch to the judge and asks it for verdicts once in a million rows. Measured are

seconds  wall time within the judge: `fold`, `verdicts` and `finish`. Reading the file is left out:
         in a run, batches come from the recorder.
CPU s    what the process used of its cores meanwhile, all threads: on a host that has other work
         this says more than the wall does.
peak     the largest resident memory of that process, above what it had when all was imported, so
         with the batch at hand, the judge's tables, and what allocators keep for the next time.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
from tests.simulation import bulk
from tests.simulation.rounds import Shape

from kafkalab.checkers import history
from kafkalab.checkers.live.judge import LIVE, Live
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

MIB = 2**20
SIZES = (10**6, 10**7)
BATCH_ROWS = 50_000
ASK_ROWS = 1_000_000
RATE_MIN = 200_000
BYTES_MAX = 300 * MIB


@dataclass(frozen=True)
class Result:
    """What one size gave."""

    events: int
    rows: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    held_rows: int  # at the end

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def holds(self) -> bool:
        """Whether it is as fast and as small as it must be."""
        return self.rate >= RATE_MIN and self.peak_bytes <= BYTES_MAX


def measure(sizes: Iterable[int]) -> list[Result]:
    """One result a size, each in a process of its own."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.arrow"
        for size in sizes:
            shape = bulk.steady(size)
            _write(path, shape)
            command = [sys.executable, str(Path(__file__)), str(path), str(size)]
            context = json.dumps(asdict(bulk.context(shape)))
            done = subprocess.run(
                [*command, context], check=True, stdout=subprocess.PIPE, text=True
            )
            found.append(Result(**json.loads(done.stdout)))
    return found


def table(results: Sequence[Result]) -> str:
    """As a part of the page."""
    if not results:
        return ""
    lines = [
        "",
        "The live form (`live/judge.py`; tests/bench/bench_live.py says what is measured). Its "
        "bounds are the same at any length.\n",
        "| live: events | seconds | CPU s | events/s | bound | peak MiB | bound | held | holds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.events:,} | {r.seconds:.1f} | {r.cpu_seconds:.1f} | {r.rate:,.0f} | {RATE_MIN:,} "
        f"| {r.peak_bytes // MIB} | {BYTES_MAX // MIB} | {r.held_rows:,} | {_yes(r.holds)} |"
        for r in results
    ]
    return "\n".join([*lines, ""])


def _yes(value: bool) -> str:
    return "yes" if value else "**no**"


def _write(path: Path, shape: Shape) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(path, history.schema(), options=options) as out:
        for part in bulk.tables(shape):
            for batch in part.to_batches(BATCH_ROWS):
                out.write_batch(batch)


def _judge(path: Path, events: int, context: CheckContext) -> Result:
    imported, spent, rows = _resident(), Stopwatch(), 0
    with pa.OSFile(str(path)) as source, Live(context, LIVE) as judge:
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            with spent:
                judge.fold(batch)
                if rows // ASK_ROWS < (rows + len(batch)) // ASK_ROWS:
                    _expect(judge.verdicts(), {"pass", "unknown"})
            rows += len(batch)
        held = judge.held_rows
        with spent:
            _expect(judge.finish(context.finished_ns), {"pass"})
    return Result(events, rows, spent.wall_s, spent.cpu_s, peak_bytes() - imported, held)


class Stopwatch:
    """Adds up what is spent within it: use it as a context manager, again and again."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0

    def __enter__(self) -> None:
        self.wall_s -= time.perf_counter()
        self.cpu_s -= time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall_s += time.perf_counter()
        self.cpu_s += time.process_time()


def _expect(verdicts: Iterable[ClaimVerdict], outcomes: set[str]) -> None:
    odd = [verdict for verdict in verdicts if verdict.outcome not in outcomes]
    if odd:
        raise SystemExit(f"a steady history must be {outcomes}, found {odd[0]}")


def peak_bytes() -> int:
    """The most memory that this process had at once, since it was executed.

    `ru_maxrss` is no less than what the process that started it had then (getrusage(2)).
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) * 1024


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    print(  # noqa: T201
        json.dumps(
            asdict(
                _judge(
                    Path(sys.argv[1]),
                    int(sys.argv[2]),
                    CheckContext.from_dict(json.loads(sys.argv[3])),
                )
            )
        )
    )
