"""A cluster of the benchmark's own, and drivers on it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic
from tenacity import Retrying, stop_after_delay, wait_fixed

from kafkalab.clients.contract import Event, Reply
from kafkalab.clients.driver import Driver
from kafkalab.clients.resolver import resolve_client
from kafkalab.cluster.process import ProcessEngine
from kafkalab.model.cluster import ClusterInfo, ClusterSpec
from kafkalab.model.subject import Subject
from kafkalab.runtime import pins
from kafkalab.runtime.lease import Lease, keeping

PARTITIONS = 6
_HEAP_MB = 512


@dataclass
class Stage:
    """Where everything is measured: one broker, topics that live as long as a pair."""

    engine: ProcessEngine
    info: ClusterInfo
    logs: Path
    _names: Iterator[int] = field(default_factory=itertools.count)

    @property
    def bootstrap(self) -> str:
        """Of the broker."""
        return self.info.bootstrap

    @contextlib.contextmanager
    def topic(self) -> Iterator[str]:
        """A topic that is deleted again, so that the disk holds one pair's records at most."""
        name = f"bench-{uuid.uuid4().hex[:8]}"
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)
        try:
            yield name
        finally:
            admin.delete_topics([name])[name].result(30)

    @contextlib.contextmanager
    def driver(self, subject: str, listen: Callable[[Event], None] | None = None) -> Iterator[Hand]:
        """A fresh driver process."""
        launch = resolve_client(Subject.parse(subject), pins.load(), self.engine.name)
        name = f"d{next(self._names)}"
        argv, env = self.engine.wrap_driver(launch, self.info, name)
        listener = listen or (lambda _event: None)
        driver = Driver.start(argv, env, name, listener, self.logs / f"{name}.log")
        try:
            yield Hand(driver, self.bootstrap)
        finally:
            driver.terminate()


@dataclass(frozen=True)
class Hand:
    """Commands to a driver that must succeed."""

    driver: Driver
    bootstrap: str

    def must(self, op: str, client: str, timeout_s: float = 300, **fields: Any) -> Reply:
        """Send a command and wait for its `ok`."""
        reply = self.driver.call(op, client, timeout_s=timeout_s, **fields)
        if reply.type != "ok":
            raise AssertionError(f"{self.driver.name}: {op} ended as {reply.raw}")
        return reply

    def open(self, client: str, role: str, config: dict[str, Any], **options: Any) -> None:
        """Open a client."""
        self.must(
            "open", client, role=role, bootstrap=self.bootstrap, config=config, options=options
        )


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """A one-node cluster of the pinned Kafka, ended with the block or with its lease."""
    engine = ProcessEngine()
    lease = Lease.create(f"bench-{uuid.uuid4().hex[:8]}")
    version = pins.load().brokers["kafka"]["pinned"]
    spec = ClusterSpec(version, nodes=1, heap_mb=_HEAP_MB)
    with keeping(lease), tempfile.TemporaryDirectory(prefix="bench-") as logs:
        info = engine.start(spec, lease.run_id, lease)
        try:
            _wait_for(info.nodes[0].address)
            yield Stage(engine, info, Path(logs))
        finally:
            engine.stop(info)
            lease.release()


def _wait_for(address: str) -> None:
    """Until the broker listens; librdkafka would log each of its attempts."""
    host, _, port = address.rpartition(":")
    for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.2), reraise=True):
        with attempt, socket.create_connection((host, int(port)), timeout=1):
            return
