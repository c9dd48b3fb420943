"""The workloads by name, as the catalogue says them; a module loads when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from kafkalab.model.errors import UsageError
from kafkalab.workloads.lab import Workload

WORKLOADS: dict[str, str] = {
    "roundtrip": "kafkalab.workloads.roundtrip:WORKLOAD",
    "crowd": "kafkalab.workloads.crowd:WORKLOAD",
    "contents": "kafkalab.workloads.contents:WORKLOAD",
    "commits": "kafkalab.workloads.commits:WORKLOAD",
    "slow_consumer": "kafkalab.workloads.slow_consumer:WORKLOAD",
    "hot_partition": "kafkalab.workloads.hot_partition:WORKLOAD",
    "outage": "kafkalab.workloads.outage:WORKLOAD",
    "steady": "kafkalab.workloads.steady:WORKLOAD",
    "paired_produce": "kafkalab.workloads.throughput:PRODUCE",
    "paired_consume": "kafkalab.workloads.throughput:CONSUME",
    "paired_latency": "kafkalab.workloads.latency:WORKLOAD",
}


def workload_named(name: str) -> Workload:
    """A workload; raises `UsageError` for a name that is none."""
    if name not in WORKLOADS:
        raise UsageError(f"unknown workload '{name}': there are {', '.join(WORKLOADS)}.")
    module, _, attribute = WORKLOADS[name].partition(":")
    return cast("Workload", getattr(import_module(module), attribute))
