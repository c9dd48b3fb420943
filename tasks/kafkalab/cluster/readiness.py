"""When a cluster is ready: it says so itself, by the protocol, and never because time has passed.

Three things are seen, in this order: metadata shows every node and a controller; a topic with a
replica on every node can be created and gets leaders; a record is produced to it with acks from
all in-sync replicas and consumed again. The questions are asked through `Admin`, which the lab's
pinned driver answers. They block, so they are asked on a thread, while this one watches the
brokers: one that ended, or that says why it cannot serve, is named at once with the last lines of
its log.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from typing import Protocol, TypeVar

from kafkalab.cluster import broker_log
from kafkalab.cluster.engine import Engine
from kafkalab.model.cluster import ClusterInfo, Node
from kafkalab.model.errors import InfrastructureError, LabError

TOPIC = "kafkalab-ready"
DEADLINE_S = 60.0
_WATCH_S = 0.25  # how often brokers are looked at
_AGAIN_S = 0.2  # between two questions: a broker that starts answers with an error at first
_SAY_S = 5.0
_HOPELESS = re.compile(
    r"BindException|Address already in use|Failed to bind|No space left on device"
    r"|InconsistentClusterIdException|UnsupportedClassVersionError|ConfigException"
)
_T = TypeVar("_T")


class Admin(Protocol):
    """What readiness asks of a driver's admin role; each call may block and raises `LabError`."""

    def describe_cluster(self) -> tuple[list[int], int]:
        """Ids of the brokers that the metadata shows, and the controller's (negative: none)."""

    def create_topic(
        self, topic: str, partitions: int, configs: Mapping[str, str], replication: int = 3
    ) -> None:
        """Create a topic; returns when every partition has a leader."""

    def roundtrip(self, topic: str) -> None:
        """Produce one record to partition 0 with acks=all and consume it."""


def wait_ready(
    info: ClusterInfo,
    engine: Engine,
    admin: Admin,
    deadline_s: float = DEADLINE_S,
    progress: Callable[[str], None] = lambda _: None,
) -> float:
    """Return once the cluster serves; seconds that it took.

    Args:
        info: the cluster.
        engine: that runs it.
        admin: asks it.
        deadline_s: how long it may take.
        progress: called with a sentence now and then.

    Raises:
        InfrastructureError: a broker ended or cannot serve (named, with its last lines), or the
            deadline passed (with what was last seen, and each broker's last line).
    """
    waiting = _Waiting(info, engine, deadline_s, progress)
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ready")
    try:
        waiting.until("metadata with all nodes and a controller", pool, lambda: _shows(info, admin))
        replicas = min(3, len(info.nodes))
        waiting.until(
            "a topic with leaders", pool, lambda: admin.create_topic(TOPIC, 1, {}, replicas)
        )
        waiting.until("a record, produced and consumed", pool, lambda: admin.roundtrip(TOPIC))
    finally:
        # A question that is still unanswered has a time limit of its own; nobody waits for it here.
        pool.shutdown(wait=False, cancel_futures=True)
    took_s = waiting.elapsed_s()
    progress(f"{info.spec} is ready: {len(info.nodes)} nodes at {info.bootstrap}, {took_s:.1f} s")
    return took_s


def look_at_brokers(info: ClusterInfo, engine: Engine) -> None:
    """Raise `InfrastructureError` when a broker ended or says that it cannot serve."""
    for node in info.nodes:
        alive = engine.alive(info, node.name)
        log = broker_log.last_start(engine.logs(info, node.name))
        hopeless = next((line for line in log.splitlines() if _HOPELESS.search(line)), None)
        if alive and hopeless is None:
            continue
        found = "it ended" if not alive else "it cannot serve"
        reason = f" ({hopeless.strip()})" if hopeless else ""
        raise InfrastructureError(
            f"expected broker {node.name} ({info.spec}, {node.address}) to serve, found that "
            f"{found}{reason}. Last lines of its log{_where(node)}:\n{broker_log.tail(log)}"
        )


class _Waiting:
    """One deadline over several conditions."""

    def __init__(
        self,
        info: ClusterInfo,
        engine: Engine,
        deadline_s: float,
        progress: Callable[[str], None],
    ) -> None:
        self._info = info
        self._engine = engine
        self._deadline_s = deadline_s
        self._progress = progress
        self._started = self._said = time.monotonic()

    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def until(self, what: str, pool: ThreadPoolExecutor, ask: Callable[[], object]) -> None:
        """Ask until it works; an error of the lab's own kind means not yet."""
        answer: LabError | None = None
        while True:
            try:
                self._answer(pool.submit(ask), what, answer)
            except LabError as error:
                if isinstance(error, _GivenUpError):
                    raise InfrastructureError(str(error)) from error
                answer = error
                time.sleep(_AGAIN_S)
            else:
                return

    def _answer(self, question: Future[_T], what: str, last: LabError | None) -> _T:
        while True:
            self._watch(what, last)
            try:
                return question.result(timeout=_WATCH_S)
            except StillRunning:
                continue

    def _watch(self, what: str, last: LabError | None) -> None:
        try:
            look_at_brokers(self._info, self._engine)
        except InfrastructureError as error:
            raise _GivenUpError(str(error)) from error
        now = time.monotonic()
        if self.elapsed_s() > self._deadline_s:
            raise _GivenUpError(self._too_late(what, last))
        if now - self._said >= _SAY_S:
            self._said = now
            self._progress(f"waiting for {what} ({self.elapsed_s():.0f} s)")

    def _too_late(self, what: str, last: LabError | None) -> str:
        logs = (
            f"{node.name}: {broker_log.tail(self._engine.logs(self._info, node.name), 1)}"
            for node in self._info.nodes
        )
        seen = f" What it last said: {last}." if last is not None else ""
        return (
            f"expected {self._info.spec} to show {what} within {self._deadline_s:.0f} s, it did "
            f"not.{seen} All brokers run; their last lines:\n" + "\n".join(logs)
        )


class _GivenUpError(InfrastructureError):
    """No answer can help any more."""


def _shows(info: ClusterInfo, admin: Admin) -> None:
    brokers, controller = admin.describe_cluster()
    wanted = sorted(node.node_id for node in info.nodes)
    if sorted(brokers) != wanted or controller not in wanted:
        raise InfrastructureError(
            f"metadata shows brokers {sorted(brokers)} and controller {controller}; expected "
            f"{wanted}"
        )


def _where(node: Node) -> str:
    return f" ({node.log})" if node.log else ""
