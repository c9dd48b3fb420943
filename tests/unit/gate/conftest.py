"""A small run that is green, to be broken in one way at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from kafkalab.gate import judge_run
from kafkalab.gate.envelopes import lane_of
from kafkalab.model.gate import GateResult
from kafkalab.model.metric import METRICS
from kafkalab.model.run import Bound, Envelope, Lane, Manifest, Run
from kafkalab.model.scenario import Cell, Scenario
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome

SUITES = Path(__file__).parents[3] / "expectations" / "suites"
BROKER = "kafka@3.9.2"
CLIENT = "confluent-kafka@2.16.1"
QUIET: Mapping[str, Any] = {"noisy": []}


def claim(name: str, outcome: Outcome = Outcome.PASS, count: int = 0, **rest: Any) -> ClaimVerdict:
    return ClaimVerdict(name, outcome, count, f"{name} was judged", **rest)


def verdict(cell: Cell, claims: tuple[ClaimVerdict, ...], metrics: Mapping[str, float]):
    return CellVerdict(
        scenario=cell.scenario,
        clients=cell.clients,
        broker=cell.broker,
        engine="process",
        cell=cell.id,
        outcome=Outcome.PASS,
        seconds=3.0,
        claims=claims,
        metrics=metrics,
        samples={"rows": 100, "sent": 50, "delivered": 50},
        replay=f"kafkalab replay r1/{cell.id}",
    )


def envelope_for(lane: Lane, scenario: str, **baselines: float) -> Envelope:
    """An accepted envelope at the default thresholds."""
    bounds = []
    for name, value in baselines.items():
        metric = METRICS[name]
        ratio = metric.fail_ratio or 0.5
        if metric.higher_is_better:
            bounds.append(Bound(name, scenario, value, value * (1 - ratio), None))
        else:
            bounds.append(Bound(name, scenario, value, None, value * (1 + ratio)))
    return Envelope(
        lane, 1, tuple(bounds), ("runs/before/",), "a person", "first good night", "2026-01-01"
    )


@dataclass
class World:
    """Everything that the gate is handed."""

    run: Run
    cells: list[CellVerdict]
    manifests: list[Manifest]
    scenarios: dict[str, Scenario]
    accepted: dict[Lane, Envelope] = field(default_factory=dict)
    suites: Path = SUITES
    docs: Path | None = None  # building Data Docs takes as long as everything else

    def judge(self, **rest: Any) -> GateResult:
        return judge_run(
            self.run,
            self.manifests,
            self.cells,
            self.accepted.get,
            self.suites,
            self.docs,
            **{"scenarios": self.scenarios, **rest},
        )

    def cell(self, scenario: str) -> CellVerdict:
        return next(c for c in self.cells if c.scenario == scenario)

    def change(self, scenario: str, **changes: Any) -> CellVerdict:
        at = self.cells.index(self.cell(scenario))
        self.cells[at] = replace(self.cells[at], **changes)
        return self.cells[at]

    def change_manifest(self, step: str, **changes: Any) -> None:
        at = next(i for i, m in enumerate(self.manifests) if m.step == step)
        self.manifests[at] = replace(self.manifests[at], **changes)

    def accept(self, scenario: str, **baselines: float) -> Lane:
        lane = lane_of(self.run, self.cell(scenario))
        self.accepted[lane] = envelope_for(lane, scenario, **baselines)
        return lane

    def drop(self, scenario: str) -> None:
        self.cells.remove(self.cell(scenario))


def _scenario(name: str, step: str, claims: tuple[str, ...], metrics: tuple[str, ...]) -> Scenario:
    return Scenario(name, name, "because", step, "none", claims, metrics)


@pytest.fixture
def world() -> World:
    """C01 and P04 on one broker with one client: pass on claims, no baseline yet."""
    c01 = Cell("C01", (CLIENT,), BROKER)
    p04 = Cell("P04", (CLIENT,), BROKER)
    run = Run(
        run_id="r1",
        workflow="kafka_smoke",
        prefix="runs/now/",
        seed=7,
        engine="process",
        subjects=(CLIENT,),
        cells={"correctness/pinned": (c01,), "benchmark/pinned": (p04,)},
        brokers={"pinned": BROKER},
        started_at="2026-01-02T03:04:05+00:00",
        host_class="linux-2c",
    )
    started = "2026-01-02T03:05:00+00:00"
    return World(
        run=run,
        cells=[
            verdict(c01, (claim("lost-write"), claim("stall")), {"close_ms_max": 12.0}),
            verdict(p04, (claim("unseen"),), {"latency_ms_p99": 10.0, "rss_bytes_max": 1e8}),
        ],
        manifests=[
            Manifest("provision", 1, Outcome.PASS, started_at=started),
            Manifest(
                "correctness",
                1,
                Outcome.PASS,
                cell=c01.id,
                started_at=started,
                host=QUIET,
                artifacts={"verdict": "runs/now/correctness/verdict.json"},
            ),
            Manifest(
                "benchmark",
                1,
                Outcome.PASS,
                cell=p04.id,
                started_at=started,
                host=QUIET,
                artifacts={"verdict": "runs/now/benchmark/verdict.json"},
            ),
        ],
        scenarios={
            "C01": _scenario("C01", "correctness", ("lost-write", "stall"), ("close_ms_max",)),
            "P04": _scenario("P04", "benchmark", ("unseen",), ("latency_ms_p99",)),
        },
    )


@pytest.fixture
def one_failure() -> Callable[[GateResult], Any]:
    """The only failure of a result; says which there are when it is not one."""

    def only(result: GateResult) -> Any:
        assert len(result.failures) == 1, [
            (f.kind, f.name, f.cell, f.summary) for f in result.failures
        ]
        return result.failures[0]

    return only
