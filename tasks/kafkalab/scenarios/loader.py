"""Reads the catalogue and the workflows: the last place that sees raw dictionaries.

Every error names the file, the key, what was found and what would be accepted.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kafkalab.model.claim import CLAIMS
from kafkalab.model.errors import UsageError
from kafkalab.model.metric import METRICS
from kafkalab.model.scenario import STEPS, Scenario

FOLDER = Path(__file__).parent
PROFILES = ("smoke", "nightly")

# Of a line: the run's subjects; every client of the workflow; each of these with a partner.
CLIENTS = ("subjects", "everyone", "mixed")
_REQUIRED = ("id", "title", "why", "step", "workload", "claims", "load")
_OPTIONAL = ("metrics", "needs", "seconds_max", "profiles", "options", "live_s")


@dataclass(frozen=True)
class PlanLine:
    """One line of a workflow: scenarios × clients × brokers."""

    scenarios: tuple[str, ...]
    clients: str  # one of CLIENTS
    brokers: tuple[str, ...]  # roles


@dataclass(frozen=True)
class Workflow:
    """What a DAG crosses by default."""

    name: str
    profile: str
    subjects: tuple[str, ...]
    everyone: tuple[str, ...]
    plan: tuple[PlanLine, ...]
    partners: tuple[str, ...] = ()  # whom a client shares a mixed group with: the first other one


def load_scenario(path: Path, profile: str = "smoke") -> Scenario:
    """Read one scenario file under a load profile; raises `UsageError`."""
    raw = _read(path)
    _check_keys(path, raw)
    if raw["id"] != path.stem:
        raise UsageError(
            f"{path.name}: id: expected '{path.stem}', the file's name; found '{raw['id']}'."
        )
    _check_names(path, "step", [raw["step"]], STEPS)
    _check_names(path, "claims", raw["claims"], CLAIMS)
    _check_names(path, "metrics", raw.get("metrics", []), METRICS)
    profiles = raw.get("profiles", {})
    _check_names(path, "profiles", profiles, PROFILES)
    own = dict(profiles.get(profile, {}))
    scenario = Scenario(
        id=raw["id"],
        title=raw["title"],
        why=raw["why"].strip(),
        step=raw["step"],
        workload=raw["workload"],
        claims=tuple(raw["claims"]),
        metrics=tuple(raw.get("metrics", ())),
        load=raw["load"],
        needs=tuple(raw.get("needs", ())),
        options=_options(path, raw.get("options", {})),
        live_s=_seconds(path, "live_s", raw.get("live_s", 0)),
        seconds_max=int(own.pop("seconds_max", raw.get("seconds_max", 120))),
    )
    return scenario.with_load(own)


def catalogue(profile: str = "smoke", folder: Path = FOLDER / "catalogue") -> dict[str, Scenario]:
    """All scenarios by id, under one load profile."""
    scenarios = (load_scenario(path, profile) for path in sorted(folder.glob("*.yaml")))
    return {scenario.id: scenario for scenario in scenarios}


def scenario_named(name: str, scenarios: Mapping[str, Scenario]) -> Scenario:
    """Look a scenario up; raises `UsageError` with the nearest names."""
    if name in scenarios:
        return scenarios[name]
    near = difflib.get_close_matches(name.upper(), scenarios, n=3, cutoff=0.3) or list(scenarios)
    raise UsageError(
        f"unknown scenario '{name}': did you mean {', '.join(near)}? "
        f"There are {', '.join(scenarios)}."
    )


def load_workflow(name: str, folder: Path = FOLDER / "workflows") -> Workflow:
    """Read what a DAG crosses; raises `UsageError`."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise UsageError(f"unknown workflow '{name}': there are {known}.")
    raw = _read(path)
    for key in ("profile", "subjects", "plan", "everyone"):
        if key not in raw:
            raise UsageError(f"{path.name}: {key}: expected, found nothing.")
    _check_names(path, "profile", [raw["profile"]], PROFILES)
    lines = []
    for line in raw["plan"]:
        _check_names(path, "plan: clients", [line.get("clients")], CLIENTS)
        lines.append(PlanLine(tuple(line["scenarios"]), line["clients"], tuple(line["brokers"])))
    partners = tuple(raw.get("partners", ()))
    if len({partner.partition("@")[0] for partner in partners}) < 2 and any(
        line.clients == "mixed" for line in lines
    ):
        raise UsageError(
            f"{path.name}: partners: a mixed group needs two clients of different names to choose "
            f"from, found {list(partners)}."
        )
    subjects, everyone = tuple(raw["subjects"]), tuple(raw["everyone"])
    return Workflow(name, raw["profile"], subjects, everyone, tuple(lines), partners)


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path.name}: is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise UsageError(f"{path.name}: expected a mapping, found {type(raw).__name__}.")
    return raw


def _options(path: Path, raw: Any) -> dict[str, dict[str, Any]]:
    """Options by client and role, such as {"sarama": {"consumer": {...}}}."""
    for client, roles in raw.items() if isinstance(raw, dict) else [(raw, None)]:
        if not isinstance(roles, dict) or not all(isinstance(o, dict) for o in roles.values()):
            raise UsageError(
                f"{path.name}: options: {client}: expected a mapping of roles, each with the "
                f"client's own options, found {roles!r}."
            )
        _check_names(path, f"options: {client}", roles, ("producer", "consumer"))
    return dict(raw)


def _seconds(path: Path, key: str, raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or raw < 0:
        raise UsageError(f"{path.name}: {key}: expected seconds, 0 or more, found {raw!r}.")
    return float(raw)


def _check_keys(path: Path, raw: Mapping[str, Any]) -> None:
    for key in _REQUIRED:
        if key not in raw:
            raise UsageError(f"{path.name}: {key}: expected, found nothing.")
    for key in raw:
        if key not in (*_REQUIRED, *_OPTIONAL):
            accepted = ", ".join((*_REQUIRED, *_OPTIONAL))
            raise UsageError(f"{path.name}: {key}: unknown key; accepted are {accepted}.")
    for key, kind in (("claims", list), ("load", dict), ("title", str), ("why", str)):
        if not isinstance(raw[key], kind):
            found = type(raw[key]).__name__
            raise UsageError(f"{path.name}: {key}: expected a {kind.__name__}, found {found}.")


def _check_names(
    path: Path, key: str, names: Sequence[Any] | Mapping[str, Any], known: Any
) -> None:
    for name in names:
        if name not in known:
            raise UsageError(
                f"{path.name}: {key}: unknown '{name}'; accepted are {', '.join(known)}."
            )
