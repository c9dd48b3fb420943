"""Stop what provision started, keep the brokers' logs, and fail when anything is left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

from kafkalab.cluster.engine import Engine
from kafkalab.model.cluster import ClusterInfo
from kafkalab.model.errors import LabError
from kafkalab.model.verdict import Outcome
from kafkalab.runtime.lease import Lease
from kafkalab.steps.clusters import NoClusterError, cluster_of
from kafkalab.steps.frame import StepContext, StepResult

LOG_BYTES_MAX = 4 * 2**20


def run(context: StepContext) -> StepResult:
    """Stop the role's cluster and release the run's lease on this host, whatever happens."""
    try:
        return _stop(context)
    finally:
        # Also when the cluster could not be stopped here: its guards end it with the lease, and the
        # next run must not wait for this one.
        _release(context)


def _stop(context: StepContext) -> StepResult:
    try:
        engine, cluster = cluster_of(context.store, context.run, context.request.role)
    except NoClusterError as error:
        return StepResult(Outcome.PASS, f"nothing to stop: {error}")
    logs, unread = _logs(engine, cluster)
    trouble = [f"the log of {unread}"] if unread else []
    if residue := engine.stop(cluster):
        trouble.append(f"expected nothing of run {context.run.run_id} to be left, found {residue}.")
    if trouble:
        return StepResult(Outcome.UNKNOWN, "; ".join(trouble), logs)
    shutil.rmtree(cluster.workdir, ignore_errors=True)
    context.progress(f"stopped {cluster.spec}; nothing is left")
    return StepResult(Outcome.PASS, files=logs)


def _logs(engine: Engine, cluster: ClusterInfo) -> tuple[dict[str, bytes | Path], str]:
    """Logs of all brokers, and why the last unreadable one is not among them; it stops nothing."""
    logs: dict[str, bytes | Path] = {}
    unread = ""
    for node in cluster.nodes:
        try:
            logs[f"logs/{node.name}.log"] = engine.logs(cluster, node.name).encode()[
                -LOG_BYTES_MAX:
            ]
        except LabError as error:
            unread = f"{node.name} could not be read: {error}"
    return logs, unread


def _release(context: StepContext) -> None:
    lease = Lease.load(context.run.run_id)
    if lease is not None:
        lease.release()
