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
from kafkalab.scenarios.loader import PlanLine, Workflow, scenario_named

ENGINES = ("auto", "process", "docker")
_ENGINE = "engine:"  # a scenario's need that is the engine's; every other is the driver's
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


@dataclass(frozen=True)
class World:
    """What a plan depends on beside what was asked for."""

    resolve: Callable[[Subject], Subject]  # a subject with its role replaced by what it means now
    engine: frozenset[str]  # what the engine can do on this host
    # client → what its driver can do; None where that is not known yet
    client: Callable[[str], frozenset[str] | None] = lambda _: None


def plan(
    workflow: Workflow, params: Params, catalogue: Mapping[str, Scenario], world: World
) -> Plan:
    """Cross the workflow's lines with the parameters; raises `UsageError` when nothing is left."""
    wanted = {scenario_named(name, catalogue).id for name in params.scenarios}
    crossing = _Crossing(workflow, params, world)
    for line in workflow.plan:
        groups = crossing.groups(line)
        for role in line.brokers:
            if params.brokers and role not in params.brokers:
                continue
            for name in line.scenarios:
                if not wanted or name in wanted:
                    crossing.add(scenario_named(name, catalogue), groups, role)
    if not crossing.cells:
        raise UsageError(
            f"nothing to run: workflow {workflow.name} has no cell for scenarios "
            f"{list(params.scenarios) or 'all'} and brokers {list(params.brokers) or 'all'}."
        )
    cells = {key: tuple(group) for key, group in crossing.cells.items()}
    return Plan(crossing.subjects, cells, tuple(crossing.skipped))


def lacks(scenario: Scenario, capabilities: frozenset[str] | None) -> list[str]:
    """What a scenario needs of a driver that it does not have; nothing while that is not known."""
    needs = {need for need in scenario.needs if not need.startswith(_ENGINE)}
    return [] if capabilities is None else sorted(needs - capabilities)


class _Crossing:
    """Cells as they are found, and what was left out."""

    def __init__(self, workflow: Workflow, params: Params, world: World) -> None:
        self._world = world
        self.subjects = self._resolved(params.subjects or workflow.subjects)
        everyone = self.subjects if params.subjects else self._resolved(workflow.everyone)
        self._clients = {"subjects": self.subjects, "everyone": everyone, "mixed": everyone}
        self._partners = self._resolved(workflow.partners)
        self.cells: dict[str, list[Cell]] = {}
        # cell → role: two roles of one version would store the same keys
        self._planned: dict[str, str] = {}
        self.skipped: list[Skipped] = []

    def groups(self, line: PlanLine) -> list[tuple[str, ...]]:
        """The clients of each cell of a line: one, or several that share a group."""
        clients = self._clients[line.clients]
        if line.clients != "mixed":
            return [(client,) for client in clients]
        pairs: list[tuple[str, ...]] = [
            (client, next(p for p in self._partners if _name(p) != _name(client)))
            for client in clients
        ]
        return list({frozenset(pair): pair for pair in reversed(pairs)}.values())[::-1]

    def add(self, scenario: Scenario, groups: list[tuple[str, ...]], role: str) -> None:
        """Add a scenario on one broker with each group of clients, or say why not."""
        broker = str(self._world.resolve(Subject("kafka", role)))
        engine = {need.removeprefix(_ENGINE) for need in scenario.needs if need.startswith(_ENGINE)}
        if lacking := sorted(engine - self._world.engine):
            self._skip(f"{scenario.id} on {broker}", lacking)
            return
        for clients in groups:
            cell = Cell(scenario.id, clients, broker)
            lacking = [need for c in clients for need in lacks(scenario, self._world.client(c))]
            before = self._planned.setdefault(cell.id, role)
            if lacking:
                self._skip(f"{scenario.id} with {' and '.join(clients)}", lacking)
            elif before != role:
                self._skip(f"{scenario.id} on {role}", [f"a Kafka other than {before}'s"])
            elif cell not in self.cells.setdefault(f"{scenario.step}/{role}", []):
                self.cells[f"{scenario.step}/{role}"].append(cell)

    def _skip(self, what: str, needs: list[str]) -> None:
        skipped = Skipped(what, ", ".join(needs))
        if skipped not in self.skipped:
            self.skipped.append(skipped)

    def _resolved(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        resolve = self._world.resolve
        return tuple(dict.fromkeys(str(resolve(Subject.parse(text))) for text in texts))


def _name(client: str) -> str:
    return client.partition("@")[0]
