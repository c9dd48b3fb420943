"""A consume loop without a client, for as many samples as its argument says, as fast as it goes.

Deliveries and latencies differ as those of a steady load do: 4,000 records a sample. Prints the
process's private memory in KiB after each sample, to stderr. The kit must be on the path.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from driverkit import ConsumeLoop, Packer, loops
from driverkit.client import BaseClient
from driverkit.wire import Wire

SAMPLE_RECORDS = 4000
PARTITIONS = 6


class Client(BaseClient):
    """What a loop asks of one."""

    max_poll_records = 500


class Loop(ConsumeLoop):
    """Makes its deliveries itself and samples when there were enough of them."""

    styles = ("batch",)
    seeded = random.Random(3)
    build = staticmethod(Packer("t").builder(200))
    made = sampled = 0

    def fetch(self, most: int | None) -> list[bytes]:
        count = min(self.seeded.randrange(1, 80), most or 80)
        now_ns = time.monotonic_ns()
        sent_ns = [now_ns - int(self.seeded.lognormvariate(15, 0.7)) for _ in range(count)]
        self.made += count
        return [self.build(self.made - n, 0, sent) for n, sent in enumerate(sent_ns, 1)]

    def look_at(self, delivery: Sequence[bytes]) -> int:
        self.delivered(time.monotonic_ns(), delivery)
        offsets = list(range(self.made - len(delivery), self.made))
        self.order("t", self.seeded.randrange(PARTITIONS), offsets)
        if self.made >= SAMPLE_RECORDS * (self.sampled + 1):
            self.sampled += 1
            self.loop.report()
            sys.stderr.write(f"{private_kib()}\n")
        return len(delivery)


def private_kib() -> int:
    """Memory that this process alone has written to."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


def main() -> None:
    """Run it."""
    loops.SAMPLE_S = float("inf")
    records = SAMPLE_RECORDS * int(sys.argv[1])
    command: dict[str, Any] = {"id": 1, "style": "batch", "max_records": records}
    Loop(Client(Wire(), "c0", {}), command).run()


main()
