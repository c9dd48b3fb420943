"""Stop what provision started, keep the brokers' logs, and fail when anything is left behind."""

from __future__ import annotations

import shutil

from kafkalab.model.errors import InfrastructureError
from kafkalab.model.verdict import Outcome
from kafkalab.runtime.lease import Lease
from kafkalab.steps.clusters import cluster_of
from kafkalab.steps.frame import StepContext, StepResult

LOG_BYTES_MAX = 4 * 2**20


def run(context: StepContext) -> StepResult:
    """Stop the role's cluster and release the run's lease on this host."""
    role = context.request.role
    try:
        engine, cluster = cluster_of(context.store, context.run, role)
    except InfrastructureError as error:
        _release(context)
        return StepResult(Outcome.PASS, f"nothing to stop: {error}")
    logs = {
        f"logs/{node.name}.log": engine.logs(cluster, node.name).encode()[-LOG_BYTES_MAX:]
        for node in cluster.nodes
    }
    residue = engine.stop(cluster)
    _release(context)
    if residue:
        reason = f"expected nothing of run {context.run.run_id} to be left, found {residue}."
        return StepResult(Outcome.UNKNOWN, reason, logs)
    shutil.rmtree(cluster.workdir, ignore_errors=True)
    context.progress(f"stopped {cluster.spec}; nothing is left")
    return StepResult(Outcome.PASS, files=logs)


def _release(context: StepContext) -> None:
    lease = Lease.load(context.run.run_id)
    if lease is not None:
        lease.release()
