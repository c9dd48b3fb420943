"""The steps by name; a step's module loads only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from kafkalab.model.errors import UsageError
from kafkalab.steps.frame import StepContext, StepResult

STEPS: dict[str, str] = {
    "provision": "kafkalab.steps.provision:run",
    "correctness": "kafkalab.steps.cell:run",
    "backpressure": "kafkalab.steps.cell:run",
    "memory": "kafkalab.steps.cell:run",
    "benchmark": "kafkalab.steps.cell:run",
    "compat": "kafkalab.steps.cell:run",
    "teardown": "kafkalab.steps.teardown:run",
    "gate": "kafkalab.steps.gate:run",
    "publish": "kafkalab.steps.publish:run",
}


def step_named(name: str) -> Callable[[StepContext], StepResult]:
    """The function of a step; raises `UsageError` for a name that is none."""
    if name not in STEPS:
        raise UsageError(f"unknown step '{name}': there are plan, {', '.join(STEPS)}.")
    module, _, function = STEPS[name].partition(":")
    return getattr(import_module(module), function)  # type: ignore[no-any-return]
