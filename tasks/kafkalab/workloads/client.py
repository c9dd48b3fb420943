"""One client inside a driver, as the lab talks to it: thin, recorded, bounded in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from kafkalab.clients.contract import Command, Reply
from kafkalab.clients.driver import Driver
from kafkalab.model.errors import DriverError
from kafkalab.workloads.expansion import error_name
from kafkalab.workloads.recorder import Recorder

Offsets = Sequence[tuple[str, int, int]]
POLL_S = 40.0  # beyond a poll's own time; longer than deadlock_ns, so that the history can show one


class UnansweredError(DriverError):
    """A command was not answered in time: the client hangs, or its driver does."""


class FailedError(DriverError):
    """The client answered that it did not do what it was asked to, or does not know."""


class Client:
    """Sends commands for one client name and remembers them for the history."""

    def __init__(
        self,
        driver: Driver,
        name: str,
        recorder: Recorder,
        bootstrap: str,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Args: options: by role, in the client's own names, as the scenario sets them."""
        self.driver = driver
        self._options = options or {}
        self.name = name
        self._recorder = recorder
        self._bootstrap = bootstrap

    def submit(self, op: str, **fields: Any) -> Command:
        """Send a command without waiting for how it ends."""
        future = self.driver.submit(op, client=self.name, **fields)
        self._recorder.command(self.driver.name, future.op_id, {"op": op, **fields})
        return future

    def call(self, op: str, timeout_s: float, **fields: Any) -> Reply:
        """Send a command and wait; raises `UnansweredError` when that takes too long."""
        return self.wait(self.submit(op, **fields), op, timeout_s)

    def wait(self, future: Future[Reply], op: str, timeout_s: float) -> Reply:
        """How a submitted command ended; raises `UnansweredError` when that takes too long."""
        try:
            return future.result(timeout_s)
        except FutureTimeoutError as error:
            raise UnansweredError(
                f"{self.name} ({self.driver.name}): '{op}' was not answered in {timeout_s:g} s; "
                f"its log is {self.driver.log}."
            ) from error

    def open(
        self,
        role: str,
        config: Mapping[str, Any],
        timeout_s: float = 30,
        options: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Create the client; raises `DriverError` when it refuses its configuration.

        `config` is portable; `options` are the client's own names, and win.
        """
        own = {**self._options.get(role, {}), **(options or {})}
        settings = {"config": config, "options": own}
        reply = self.call("open", timeout_s, role=role, bootstrap=self._bootstrap, **settings)
        return self._must(reply, "open")

    def subscribe(self, topics: Sequence[str]) -> Reply:
        """Subscribe the consumer."""
        return self._must(self.call("subscribe", 30, topics=list(topics)), "subscribe")

    def assign(self, partitions: Sequence[tuple[str, int, int | None]]) -> Reply:
        """Assign partitions by hand, with offsets (None: the committed one or the reset)."""
        return self._must(self.call("assign", 30, partitions=list(partitions)), "assign")

    def send(self, topic: str, records: Sequence[Sequence[Any]], timeout_s: float = 60) -> Reply:
        """Send one batch of (partition, value, size in bytes, content) and wait for all outcomes.

        `content` is left out of a plain record (docs/driver-contract.md, Content).
        """
        return self.call("send", timeout_s, topic=topic, records=list(records), linger=False)

    def poll(self, max_records: int, timeout_ms: int) -> list[Sequence[Any]]:
        """Poll once; the records as the contract has them. Raises `FailedError` on failure."""
        reply = self.call(
            "poll", POLL_S + timeout_ms / 1e3, max_records=max_records, timeout_ms=timeout_ms
        )
        return list(self._must(reply, "poll").raw.get("records") or ())

    def commit(self, offsets: Offsets | None, mode: str = "sync") -> Future[Reply]:
        """Commit next offsets; the future completes when the client says how it ended."""
        return self.submit("commit", mode=mode, offsets=offsets and list(offsets))

    def pause(self, partitions: Sequence[tuple[str, int]]) -> Reply:
        """Stop deliveries from assigned partitions; raises `DriverError` when it cannot."""
        return self._must(self.call("pause", 30, partitions=list(partitions)), "pause")

    def resume(self, partitions: Sequence[tuple[str, int]]) -> Reply:
        """Let deliveries go on; raises `DriverError` when it cannot."""
        return self._must(self.call("resume", 30, partitions=list(partitions)), "resume")

    def close(self, timeout_s: float) -> bool:
        """Close; False when it did not come back within the bound (the history shows it)."""
        future = self.submit("close", timeout_ms=int(timeout_s * 1000))
        try:
            return bool(future.result(timeout_s).type == "ok")
        except FutureTimeoutError:
            return False

    def _must(self, reply: Reply, op: str) -> Reply:
        if reply.type != "ok":
            raise FailedError(
                f"{self.name} ({self.driver.name}): '{op}' ended as {reply.type}: "
                f"{error_name(reply.raw.get('error'))}: {reply.raw.get('error')}"
            )
        return reply
