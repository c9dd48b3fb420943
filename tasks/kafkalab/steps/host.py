"""Starts drivers for a workload on the run's engine and reads their resources."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kafkalab.clients.driver import Driver
from kafkalab.clients.resolver import resolve_client
from kafkalab.cluster.engine import Engine
from kafkalab.model.cluster import ClusterInfo, ProcessStats, Wire
from kafkalab.model.errors import InfrastructureError
from kafkalab.model.subject import Subject
from kafkalab.runtime.pins import Pins
from kafkalab.workloads.admin import Admin
from kafkalab.workloads.recorder import Recorder

ADMIN_SUBJECT = Subject("confluent-kafka", "pinned")  # the lab's own hands in Kafka
TERMINATE_S = 20.0


class EngineHost:
    """The `Host` of a cell: drivers on one engine, next to one cluster."""

    def __init__(self, engine: Engine, cluster: ClusterInfo, pins: Pins, logs: Path) -> None:
        self._engine = engine
        self._cluster = cluster
        self._pins = pins
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self.bootstrap = engine.driver_bootstrap(cluster)

    def start(self, subject: str, name: str, recorder: Recorder) -> Driver:
        """Start a driver process for a resolved subject."""
        launch = resolve_client(Subject.parse(subject), self._pins, self._engine.name)
        argv, env = self._engine.wrap_driver(launch, self._cluster, name)
        log = self._logs / f"driver-{name}.log"
        return Driver.start(argv, env, name, recorder.listener(name), log)

    def stats(self, driver: Driver) -> ProcessStats | None:
        """One reading of a driver's process; None once it has ended."""
        if not driver.alive():
            return None
        return self._engine.driver_stats(self._cluster, driver.name, driver.pid)

    def stop(self, driver: Driver) -> None:
        """End a driver: SIGTERM, bounded, then SIGKILL."""
        if driver.alive():
            with suppress(InfrastructureError):  # it ended in between: there is nothing to look at
                self.stats(driver)  # connections take their counters with them
            driver.terminate(TERMINATE_S)

    def brokers(self) -> Mapping[str, int]:
        """The cluster's brokers: name → id in the metadata."""
        return {node.name: node.node_id for node in self._cluster.nodes}

    def kill_broker(self, name: str) -> None:
        """Crash a broker; raises unless it is seen to be gone."""
        self._engine.kill(self._cluster, name)
        if self._engine.alive(self._cluster, name):
            raise InfrastructureError(f"expected broker {name} to be gone, it still runs.")

    def restart_broker(self, name: str) -> None:
        """Start a broker again on its data."""
        self._cluster = self._engine.restart(self._cluster, name)

    def wire(self) -> Wire | None:
        """Every connection that the drivers had; None where the engine cannot tell."""
        return self._engine.wire(self._cluster)

    def admin(self, recorder: Recorder) -> tuple[Driver, Admin]:
        """The lab's own admin on this cluster, whichever client is under test."""
        driver = self.start(str(self._pins.resolve(ADMIN_SUBJECT)), "admin", recorder)
        return driver, Admin(driver, recorder, self.bootstrap)
