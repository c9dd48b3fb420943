"""What both loops share: when they end, and the sample that they report once a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from driverkit.client import BaseClient, Command
from driverkit.latencies import Latencies
from driverkit.meter import Meter
from driverkit.runtime_metrics import runtime_metrics

SAMPLE_S = 1.0


class Loop:
    """The life of one loop command. Call `tick` often; it is cheap.

    `settle` is called before anything is reported, so that it counts what it has put off.
    """

    def __init__(
        self, client: BaseClient, command: Command, settle: Callable[[], None] = lambda: None
    ) -> None:
        Latencies.take_room()
        self.client = client
        self.id = command["id"]
        self.settle = settle
        self.meter = Meter()
        now = time.monotonic()
        duration_s = command.get("duration_s")
        self.max_records = command.get("max_records")
        self.ends_at = now + duration_s if duration_s is not None else float("inf")
        self._sample_at = now + SAMPLE_S

    def tick(self) -> bool:
        """Report a sample when one is due; whether the loop goes on."""
        now = time.monotonic()
        if now >= self._sample_at:
            self._sample_at = max(self._sample_at + SAMPLE_S, now)
            self.report()
        self.client.tick()
        return (
            now < self.ends_at
            and not self.client.closing
            and self.id not in self.client.stopped_loops
        )

    def report(self) -> None:
        """Report what happened since the last sample."""
        self.settle()
        runtime = runtime_metrics(self.client)
        self.client.event("sample", id=self.id, **self.meter.sample(), runtime=runtime)

    def total(self) -> dict[str, Any]:
        """What the completion carries."""
        self.settle()
        return {**self.meter.total(), "runtime": runtime_metrics(self.client)}
