"""Reads what a cell's driver processes use, twice a second, while its workload runs.

The process is read from outside (kernel or container), never from what the client says of itself:
memory, CPU, and what went over its connections. What only the driver sees (heap, buffers) comes
with its loop samples. CPU and threads also go into the history, as `sample` rows of the clients
that the process hosts: the claim deadlock rests on them.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from kafkalab.clients.driver import Driver
from kafkalab.measure import histogram
from kafkalab.model.errors import InfrastructureError
from kafkalab.model.series import Reading
from kafkalab.workloads.lab import Lab

INTERVAL_S = 0.5

_log = logging.getLogger(__name__)


class Sampler:
    """A context manager with one thread; readings go to the lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._stop = threading.Event()
        self._last: dict[str, tuple[int, float]] = {}
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            for driver in tuple(self._lab.drivers):
                try:
                    self._read(driver)
                except InfrastructureError as error:
                    # It ended between two looks, or the daemon has nothing yet. A hole in this
                    # series shows; without this thread all the others would end too.
                    _log.warning("no reading of driver %s: %s", driver.name, error)

    def _read(self, driver: Driver) -> None:
        stats = self._lab.host.stats(driver)
        if stats is None:
            return
        used = {"cpu_ms": round(stats.cpu_s * 1e3), "threads": stats.threads}
        self._lab.recorder.note_process(stats.time_ns, driver.name, "sample", used)
        source = f"driver:{driver.name}"
        values: dict[str, float] = {
            "rss_bytes": stats.rss_bytes,
            "threads": stats.threads,
            "descriptors": stats.descriptors,
            "received_bytes": stats.received_bytes,
            "sent_bytes": stats.sent_bytes,
            "connections": stats.connections,
        }
        if driver.name in self._last:
            time_ns, cpu_s = self._last[driver.name]
            values["cpu_ratio"] = (stats.cpu_s - cpu_s) / max(1e-3, (stats.time_ns - time_ns) / 1e9)
        self._last[driver.name] = (stats.time_ns, stats.cpu_s)
        for metric, value in values.items():
            if value >= 0:
                self._lab.readings.append(Reading(stats.time_ns, source, metric, float(value)))


def loop_readings(lab: Lab) -> list[Reading]:
    """Turn the loops' samples into readings: rates, latency percentiles, heap, buffers."""
    readings: list[Reading] = []
    for op, event in lab.recorder.samples():
        source, t = f"client:{event['client']}", event["t"]
        rate = event["records"] / max(1e-3, event["interval_s"])
        readings.append(Reading(t, source, f"{op}_records_per_s", rate))
        if event.get("latency_us"):
            latency = histogram.percentiles([event["latency_us"]])
            if latency is not None:
                readings.append(Reading(t, source, "latency_ms_p50", latency.p50))
                readings.append(Reading(t, source, "latency_ms_p99", latency.p99))
        for name in ("heap_bytes", "buffered_records"):
            value = (event.get("runtime") or {}).get(name)
            if value is not None:
                readings.append(Reading(t, source, name, float(value)))
    return readings


def series(lab: Lab, source: str, metric: str) -> tuple[list[float], list[float]]:
    """Times in seconds and values of one series."""
    points = [r for r in lab.readings if r.source == source and r.metric == metric]
    return [r.time_ns / 1e9 for r in points], [r.value for r in points]


def cpu_seconds(lab: Lab, driver: Driver) -> float:
    """CPU time of a driver's process since its start; 0 when it cannot be read any more."""
    stats = lab.host.stats(driver)
    return stats.cpu_s if stats else 0.0
