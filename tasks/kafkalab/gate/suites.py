"""Reads the suites: the gate's rules as data, one file a step and `quality.json` for all.

A suite file is what Great Expectations itself takes (`name`, `expectations` of `type`, `kwargs`,
`severity`, `meta`), plus `parameters`. A rule changes by review, so it stands here with its
`why`; a bound changes by promotion, so a rule names it as `{"$PARAMETER": name}` and the number
comes from the suite's own `parameters` or from the accepted envelope of the lane
(`<metric>_lower`, `_upper`, `_warn`).

`meta` says which frame a rule looks at (see frames.py), which rows of it (`applies_to`: column →
values; `*` means every value that no other rule of the file names), and what a person reads when it
is broken (`says`, with columns in braces).

Everything that could make a rule look at nothing is refused here, with the file and the key: Great
Expectations drops an expectation of unknown type with a log line, and then passes.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from kafkalab.gate.frames import COLUMNS
from kafkalab.model.errors import UsageError
from kafkalab.model.metric import METRICS
from kafkalab.model.verdict import Outcome

QUALITY = "quality"
REST = "*"
ENVELOPE_SIDES = ("lower", "upper", "warn")


@dataclass(frozen=True)
class Rule:
    """One expectation and what it means."""

    name: str
    file: str  # where it stands, for messages
    type: str  # a Great Expectations expectation
    kwargs: Mapping[str, Any]
    warning: bool  # a broken rule warns and does not make the gate red
    frame: str  # a key of frames.COLUMNS
    applies_to: Mapping[str, tuple[Any, ...]]  # column → values; empty: every row
    outcome: Outcome  # of a finding, where the row itself does not say
    says: str  # template over the frame's columns
    why: str

    @property
    def column(self) -> str:
        """The column that is judged."""
        return str(self.kwargs["column"])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the bounds that the rule leaves open."""
        return tuple(v["$PARAMETER"] for v in self.kwargs.values() if _is_parameter(v))


@dataclass(frozen=True)
class Suite:
    """One suite file, validated."""

    name: str
    file: Path
    rules: tuple[Rule, ...]
    parameters: Mapping[str, Any]  # the suite's own bounds

    def of_frame(self, frame: str) -> tuple[Rule, ...]:
        """The rules that look at one frame."""
        return tuple(rule for rule in self.rules if rule.frame == frame)

    def rows_of(self, rule: Rule, rows: Iterable[Mapping[str, Any]]) -> list[int]:
        """Positions of the rows that a rule judges: counted by hand, so that none is missed."""
        return [i for i, row in enumerate(rows) if self._covers(rule, row)]

    def _covers(self, rule: Rule, row: Mapping[str, Any]) -> bool:
        for column, values in rule.applies_to.items():
            if REST in values:
                if row[column] in self._named(rule.frame, column):
                    return False
            elif row[column] not in values:
                return False
        return True

    def named(self, rule: Rule, column: str) -> list[Any]:
        """Values of a column that the frame's rules name; `*` is every other."""
        return sorted(self._named(rule.frame, column))

    def _named(self, frame: str, column: str) -> set[Any]:
        rules = self.of_frame(frame)
        return {v for rule in rules for v in rule.applies_to.get(column, ()) if v != REST}


def load(folder: Path, name: str) -> Suite:
    """Read and validate `<folder>/<name>.json`.

    Raises:
        UsageError: missing or malformed file, unknown frame, column or parameter; says file, key.
    """
    path = folder / f"{name}.json"
    raw = _read(path, f"the suite '{name}'")
    _validate(path, raw, folder.parent / "schemas" / "suite.schema.json")
    if raw["name"] != name:
        raise UsageError(f"{path}: name: expected '{name}', found '{raw['name']}'.")
    parameters = {key: spec["value"] for key, spec in raw["parameters"].items()}
    rules = tuple(_rule(path, at, entry) for at, entry in enumerate(raw["expectations"]))
    names: set[str] = set()
    for at, rule in enumerate(rules):
        where = f"{path}: expectations[{at}]"
        if rule.name in names:
            raise UsageError(f"{where}.meta.rule: '{rule.name}' is taken; rules need unique names.")
        names.add(rule.name)
        _check_columns(where, rule)
        _check_parameters(where, rule, parameters)
    return Suite(name, path, rules, parameters)


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: expected {what} here, found no file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{path}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}."
        ) from error
    if not isinstance(raw, dict):
        raise UsageError(f"{path}: expected an object, found {type(raw).__name__}.")
    return raw


@cache
def _validator(schema: Path) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(_read(schema, "the schema of suites"))


def _validate(path: Path, raw: Mapping[str, Any], schema: Path) -> None:
    error = jsonschema.exceptions.best_match(_validator(schema).iter_errors(raw))
    if error is not None:
        key = error.json_path.removeprefix("$").lstrip(".") or "the whole file"
        raise UsageError(f"{path}: {key}: {error.message}")


def _rule(path: Path, at: int, raw: Mapping[str, Any]) -> Rule:
    meta = raw["meta"]
    frame = meta["frame"]
    if frame not in COLUMNS:
        raise UsageError(
            f"{path}: expectations[{at}].meta.frame: expected one of {', '.join(COLUMNS)}; "
            f"found '{frame}'."
        )
    return Rule(
        name=meta["rule"],
        file=f"suites/{path.name}",
        type=raw["type"],
        kwargs=raw["kwargs"],
        warning=raw["severity"] == "warning",
        frame=frame,
        applies_to={key: tuple(values) for key, values in meta.get("applies_to", {}).items()},
        outcome=Outcome(meta.get("outcome", "unknown")),
        says=meta["says"],
        why=meta["why"],
    )


def _check_columns(where: str, rule: Rule) -> None:
    columns = COLUMNS[rule.frame]
    try:
        said = [name for _, name, _, _ in string.Formatter().parse(rule.says) if name is not None]
    except ValueError as error:
        raise UsageError(f"{where}.meta.says: {error}") from error
    for key, names in (
        ("kwargs.column", [rule.column]),
        ("meta.applies_to", list(rule.applies_to)),
        ("meta.says", said),
    ):
        for name in names:
            if name not in columns:
                raise UsageError(
                    f"{where}.{key}: frame '{rule.frame}' has no column '{name}'; it has "
                    f"{', '.join(columns)}."
                )


def _check_parameters(where: str, rule: Rule, own: Mapping[str, Any]) -> None:
    for name in rule.parameters:
        metric, _, side = name.rpartition("_")
        from_envelope = rule.frame == "envelope" and side in ENVELOPE_SIDES and metric in METRICS
        if not from_envelope and name not in own:
            raise UsageError(
                f"{where}.kwargs: unknown $PARAMETER '{name}': expected one of the file's "
                f"parameters ({', '.join(own) or 'none'})"
                + (
                    ", or METRIC_lower, METRIC_upper, METRIC_warn."
                    if rule.frame == "envelope"
                    else "."
                )
            )
        if name in own and own[name] is None:
            raise UsageError(f"{where}.kwargs: $PARAMETER '{name}' is null; a bound needs a value.")


def _is_parameter(value: Any) -> bool:
    return isinstance(value, dict) and "$PARAMETER" in value
