"""What a person asks of a DAG on the command line, checked against the DAG's own Params.

Values of `--param KEY=VALUE` are texts: what they stand for is decided by the Param's schema. A
text stays a text, a list has one item for each time that it is given, all else is read as JSON.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kafkalab.model.errors import UsageError

if TYPE_CHECKING:
    from airflow.sdk import Param
    from airflow.sdk.definitions.param import ParamsDict

# Params that `kafkalab run` has an option of its own for
OPTIONS = {
    "subjects": "--subject",
    "scenarios": "--scenario",
    "brokers": "--broker",
    "engine": "--engine",
    "seed": "--seed",
}


def pairs(texts: Iterable[str]) -> dict[str, list[str]]:
    """`KEY=VALUE` texts by key, in order; raises `UsageError` for a text that is none."""
    found: dict[str, list[str]] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise UsageError(f"--param: expected KEY=VALUE, found '{text}'.")
        found.setdefault(key, []).append(value)
    return found


def conf(
    params: ParamsDict, options: Mapping[str, Any], texts: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The configuration of a DAG run.

    Args:
        params: of the DAG; left as they are.
        options: parameter → value, of the options in `OPTIONS` that were given.
        texts: parameter → the values of `--param`, as `pairs` makes them.

    Raises:
        UsageError: a parameter that the DAG does not have (those that it has are named), one that
            is given twice, one that does not fit its schema, or a required one that is missing.
    """
    from airflow.sdk.exceptions import ParamValidationError

    for name in [*options, *texts]:
        if name not in params:
            raise UsageError(_unknown(name, params, name in options))
    if twice := sorted(set(options) & set(texts)):
        raise UsageError(
            f"parameter {twice[0]}: expected once, found {OPTIONS.get(twice[0], 'a value')} and "
            f"--param {twice[0]}."
        )
    checked = copy.deepcopy(params)
    asked = dict(options)
    for name, values in texts.items():
        asked[name] = _read(name, checked.get_param(name), values)
    for name, param in checked.items():
        if name not in asked and not params.get_param(name).has_value:
            raise UsageError(
                f"parameter {name}: required, and not given: --param {name}=VALUE. "
                f"{param.description}"
            )
        try:
            param.resolve(*([asked[name]] if name in asked else []))
        except ParamValidationError as error:
            why = str(error).splitlines()[0]
            raise UsageError(f"parameter {name}: {why}. {param.description}") from error
    return asked


def _unknown(name: str, params: ParamsDict, option: bool) -> str:
    what = f" (option {OPTIONS[name]})" if option and name in OPTIONS else ""
    return f"parameter {name}{what}: unknown; accepted are {', '.join(params)}."


def _read(name: str, param: Param, values: Sequence[str]) -> Any:
    kind = param.schema.get("type")
    if kind == "array":
        return list(values)
    if len(values) > 1:
        raise UsageError(f"parameter {name}: expected once, found {len(values)} --param {name}.")
    if kind == "string":
        return values[0]
    try:
        return json.loads(values[0])
    except ValueError:
        return values[0]  # which its schema refuses, with a better sentence
