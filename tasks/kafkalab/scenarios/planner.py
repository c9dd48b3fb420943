"""Crosses a workflow with a run's parameters into cells.

Pure: pins and catalogue come in as values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafkalab.model.errors import UsageError
from kafkalab.model.scenario import Cell, Scenario
from kafkalab.model.subject import Subject
from kafkalab.model.verdict import Skipped
from kafkalab.scenarios.loader import Workflow, scenario_named

ENGINES = ("auto", "process", "docker")
_FIELDS = ("subjects", "scenarios", "brokers", "engine", "seed", "trigger")


@dataclass(frozen=True)
class Params:
    """What a person or a webhook asks of a run. Empty means the workflow's own choice."""

    subjects: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    brokers: tuple[str, ...] = ()  # roles
    engine: str = "auto"
    seed: int = 0  # 0: the planner's caller draws one
    trigger: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Params:
        """Validate raw parameters; raises `UsageError` naming the parameter."""
        for key in raw:
            if key not in _FIELDS:
                raise UsageError(f"parameter {key}: unknown; accepted are {', '.join(_FIELDS)}.")
        for key in ("subjects", "scenarios", "brokers"):
            value = raw.get(key) or []
            if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
                raise UsageError(f"parameter {key}: expected a list of strings, found {value!r}.")
        engine = raw.get("engine") or "auto"
        if engine not in ENGINES:
            raise UsageError(f"parameter engine: expected {', '.join(ENGINES)}, found '{engine}'.")
        seed = raw.get("seed") or 0
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
            raise UsageError(
                f"parameter seed: expected an integer from 0 to 2^63−1, found {seed!r}."
            )
        return cls(
            subjects=tuple(raw.get("subjects") or ()),
            scenarios=tuple(raw.get("scenarios") or ()),
            brokers=tuple(raw.get("brokers") or ()),
            engine=engine,
            seed=seed,
            trigger={str(k): str(v) for k, v in (raw.get("trigger") or {}).items()},
        )


@dataclass(frozen=True)
class Plan:
    """The cells of a run, by "step/broker role", and what was planned out."""

    subjects: tuple[str, ...]
    cells: Mapping[str, tuple[Cell, ...]]
    skipped: tuple[Skipped, ...]


def plan(
    workflow: Workflow,
    params: Params,
    catalogue: Mapping[str, Scenario],
    resolve: Callable[[Subject], Subject],
    engine_capabilities: frozenset[str],
) -> Plan:
    """Cross the workflow's lines with the parameters; raises `UsageError` when nothing is left."""
    wanted = {scenario_named(name, catalogue).id for name in params.scenarios}
    subjects = _resolved(params.subjects or workflow.subjects, resolve)
    everyone = _resolved(workflow.everyone, resolve)
    cells: dict[str, list[Cell]] = {}
    planned: dict[str, str] = {}  # cell → role: two roles of one version would store the same keys
    skipped: list[Skipped] = []
    for line in workflow.plan:
        clients = subjects if line.clients == "subjects" or params.subjects else everyone
        for role in line.brokers:
            if params.brokers and role not in params.brokers:
                continue
            broker = str(resolve(Subject("kafka", role)))
            for name in line.scenarios:
                if wanted and name not in wanted:
                    continue
                scenario = scenario_named(name, catalogue)
                lacking = _lacking(scenario, engine_capabilities)
                if lacking:
                    skipped.append(Skipped(f"{name} on {broker}", ", ".join(lacking)))
                    continue
                wanted_here = [Cell(name, (client,), broker) for client in clients]
                if again := [cell for cell in wanted_here if planned.get(cell.id, role) != role]:
                    other = planned[again[0].id]
                    skipped.append(Skipped(f"{name} on {role}", f"a Kafka other than {other}'s"))
                new = [cell for cell in wanted_here if cell.id not in planned]
                planned.update((cell.id, role) for cell in new)
                if new:
                    cells.setdefault(f"{scenario.step}/{role}", []).extend(new)
    if not cells:
        raise UsageError(
            f"nothing to run: workflow {workflow.name} has no cell for scenarios "
            f"{list(params.scenarios) or 'all'} and brokers {list(params.brokers) or 'all'}."
        )
    return Plan(subjects, {key: tuple(group) for key, group in cells.items()}, tuple(skipped))


def _resolved(texts: tuple[str, ...], resolve: Callable[[Subject], Subject]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(resolve(Subject.parse(text))) for text in texts))


def _lacking(scenario: Scenario, engine_capabilities: frozenset[str]) -> list[str]:
    """Needs written as `engine:X` are the engine's; the others are checked against the driver."""
    needs = (need.removeprefix("engine:") for need in scenario.needs if need.startswith("engine:"))
    return sorted(set(needs) - engine_capabilities)
