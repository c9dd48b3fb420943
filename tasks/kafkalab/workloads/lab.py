"""What a workload may touch: drivers of the clients under test, the lab's own admin, the recorder.

A workload never starts a process, opens a file or reads a cluster's folder by itself: the step
hands it a `Lab` whose `Host` starts drivers on whichever engine the run uses.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafkalab.clients.driver import Driver
from kafkalab.model.cluster import ProcessStats
from kafkalab.model.errors import InfrastructureError
from kafkalab.model.history import CheckContext
from kafkalab.model.scenario import Scenario
from kafkalab.model.series import MARK, Reading
from kafkalab.model.verdict import ClaimVerdict
from kafkalab.workloads.admin import Admin
from kafkalab.workloads.client import Client
from kafkalab.workloads.following import Follower
from kafkalab.workloads.recorder import Recorder

WITNESS = "witness"  # name of a driver that vouches for what the clients under test did


class Host(Protocol):
    """Starts drivers on the run's engine and reads their resources."""

    def start(self, subject: str, name: str, recorder: Recorder) -> Driver:
        """Start a driver process for a resolved subject; raises `DriverError`."""

    def stats(self, driver: Driver) -> ProcessStats | None:
        """One reading of a driver's process; None once it has ended."""

    def stop(self, driver: Driver) -> None:
        """End a driver: SIGTERM, bounded, then SIGKILL."""

    def brokers(self) -> Mapping[str, int]:
        """The cluster's brokers: name → id in the metadata."""

    def kill_broker(self, name: str) -> None:
        """Crash a broker; raises `InfrastructureError` unless it is seen to be gone."""

    def restart_broker(self, name: str) -> None:
        """Start a broker again on its data; it serves when the metadata shows it."""


@dataclass
class Lab:
    """One cell's world. `subjects[0]` is the client under test; others share its groups."""

    scenario: Scenario
    subjects: tuple[str, ...]
    baseline: str  # subject that a paired benchmark compares with
    witness: str  # subject of another implementation, which reads and writes independently
    bootstrap: str
    host: Host
    admin: Admin
    recorder: Recorder
    rng: random.Random
    progress: Callable[[str], None]
    deadline: float  # time.monotonic() at which the cell must have ended
    readings: list[Reading] = field(default_factory=list)
    drivers: list[Driver] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    follower: Follower | None = None  # judges what is recorded while it grows
    _hosted: dict[str, str] = field(default_factory=dict)  # driver → name of its client
    _values: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def driver(self, name: str, subject: str | None = None) -> Driver:
        """Start a driver process; it is ended with the cell at the latest."""
        driver = self.host.start(subject or self.subjects[0], name, self.recorder)
        self.drivers.append(driver)
        self._hosted[name] = (subject or self.subjects[0]).partition("@")[0]
        return driver

    def client(self, driver: Driver, name: str) -> Client:
        """A client inside a driver process; `name` is unique in the cell."""
        options = self.scenario.options.get(self._hosted[driver.name], {})
        return Client(driver, name, self.recorder, self.bootstrap, options)

    def topic(self, suffix: str, partitions: int, configs: Mapping[str, str] | None = None) -> str:
        """Create a topic of this cell's own and wait until every partition has a leader."""
        name = f"{self.scenario.id.lower()}-{suffix}-{self.rng.getrandbits(32):08x}"
        self.admin.create_topic(name, partitions, configs or {})
        self.topics.append(name)
        return name

    def values(self, count: int) -> range:
        """The next `count` unique values of this cell."""
        with self._lock:
            first = self._values
            self._values += count
        return range(first, first + count)

    def mark(self, text: str) -> None:
        """A phase starts: shown in the progress and on the plots."""
        self.readings.append(Reading(time.monotonic_ns(), "lab", MARK, 0.0, text))
        self.progress(text)

    def note_fault(self, fault: str, phase: str) -> None:
        """A fault was `injected` or `healed`, for the history; `fault` is its own in the cell."""
        detail = {"fault": fault, "phase": phase}
        self.recorder.note(time.monotonic_ns(), "lab", "fault", detail)

    def follow(self, bounds: CheckContext) -> None:
        """From here on, judge what is recorded as it comes, where the scenario sets `live_s`.

        Args:
            bounds: those that the workload leaves in `Driven`; `finished_ns` is not looked at.
        """
        if self.scenario.live_s:
            self.follower = Follower(self.recorder, self.scenario, bounds, self.mark, self.progress)
            self.follower.start()

    def check_time(self) -> None:
        """Raise when the cell's time is over; a cell that was cut short is unknown."""
        if time.monotonic() > self.deadline:
            raise InfrastructureError(
                f"{self.scenario.id} did not finish in {self.scenario.seconds_max} s: expected it "
                "to end by itself; see the driver logs, or raise seconds_max on a slow host."
            )

    def threads(self, count: int) -> ThreadPoolExecutor:
        """A pool for the roles of this workload; use it as a context manager."""
        return ThreadPoolExecutor(max_workers=count, thread_name_prefix=self.scenario.id)


@dataclass(frozen=True)
class Driven:
    """What a workload leaves behind beside the history and the readings."""

    context: CheckContext
    metrics: Mapping[str, float] = field(default_factory=dict)
    samples: Mapping[str, int] = field(default_factory=dict)
    claims: tuple[ClaimVerdict, ...] = ()  # judged from loops or series rather than the history
    also: tuple[str, ...] = ()  # claims to be judged on the history beside the scenario's own


@dataclass(frozen=True)
class Workload:
    """One value with three parts: what load it takes, how it drives, and so what it can claim."""

    load: Callable[..., Any]  # a frozen dataclass that checks the scenario's `load`
    drive: Callable[[Lab, Any], Driven]
    claims: frozenset[str]  # the claims that its evidence can decide
