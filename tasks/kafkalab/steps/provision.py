"""Start a cluster and prove over the protocol that it serves; its lease is the run's."""

from __future__ import annotations

from kafkalab.artifacts.store import to_json
from kafkalab.cluster.readiness import wait_ready
from kafkalab.cluster.registry import select_engine
from kafkalab.model.cluster import ClusterSpec
from kafkalab.model.errors import UsageError
from kafkalab.model.subject import Subject
from kafkalab.model.verdict import Outcome
from kafkalab.runtime import pins
from kafkalab.runtime.lease import acquire_host, configured_seconds, keeping
from kafkalab.steps.frame import StepContext, StepResult
from kafkalab.steps.host import EngineHost
from kafkalab.workloads.recorder import Recorder

QUEUE_S = 6 * 3600.0  # how long a run waits for the runs before it on this host
READY_S = 120.0


def run(context: StepContext) -> StepResult:
    """Queue for the host, start, wait until ready, write `cluster.json`."""
    role = context.request.role
    if role not in context.run.brokers:
        raise UsageError(f"--role: expected one of {list(context.run.brokers)}, found '{role}'.")
    broker = Subject.parse(context.run.brokers[role])
    lease = acquire_host(context.run.run_id, QUEUE_S, context.progress, configured_seconds())
    engine = select_engine(context.run.engine)
    spec = ClusterSpec(version=broker.version, flavour=broker.name, engine=engine.name)
    with keeping(lease):
        context.progress(f"starting {spec.nodes} nodes of {spec} on engine {engine.name}")
        cluster = engine.start(spec, context.run.run_id, lease)
        # Stored at once: whatever happens next, teardown must find it.
        context.store.put_json(context.key("cluster.json"), cluster.to_dict())
        host = EngineHost(engine, cluster, pins.load(), context.workdir / "logs" / role)
        driver, admin = host.admin(Recorder())
        try:
            wait_ready(cluster, engine, admin, READY_S, context.progress)
        finally:
            host.stop(driver)
    context.progress(f"{spec} is ready: {cluster.bootstrap}")
    return StepResult(Outcome.PASS, files={"spec.json": to_json(cluster.to_dict()["spec"])})
