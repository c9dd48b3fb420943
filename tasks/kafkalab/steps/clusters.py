"""Finds the cluster that `provision` left for a broker role, and the engine that runs it."""

from __future__ import annotations

from kafkalab.artifacts import keys
from kafkalab.artifacts.store import Store
from kafkalab.cluster.engine import Engine
from kafkalab.cluster.registry import select_engine
from kafkalab.model.cluster import ClusterInfo
from kafkalab.model.errors import InfrastructureError
from kafkalab.model.run import Run


class NoClusterError(InfrastructureError):
    """No cluster was provisioned, which the store has said: it is not that the store is silent."""


def cluster_of(store: Store, run: Run, role: str) -> tuple[Engine, ClusterInfo]:
    """The latest cluster of a role.

    Raises:
        NoClusterError: none was provisioned.
        InfrastructureError: the store or the engine does not answer.
    """
    found = [
        key
        for key in store.list(f"{run.prefix}provision/")
        if key.endswith(f"/{keys.safe(role)}/cluster.json")
    ]
    if not found:
        raise NoClusterError(
            f"expected a {role} cluster of run {run.run_id}, found none: its provision step did "
            "not succeed, see that step's log."
        )
    latest = max(found, key=lambda key: (keys.parse_attempt(key) or ("", 0, ""))[1])
    return select_engine(run.engine), ClusterInfo.from_dict(store.get_json(latest))
