"""Evaluates rules with Great Expectations, which only this module imports; builds its Data Docs.

Four ways in which Great Expectations passes or gives up without having looked, each turned into a
`problem` that the gate reports as unknown:

- an empty frame, or a `row_condition` that selects nothing: passes. The rows that a rule must
  judge are counted here first, and the count that comes back must be the same.
- null and NaN: skipped by every map expectation. Any missing value is a problem.
- a missing `$PARAMETER` raises SuiteParameterError, two null bounds a ValidationError: for all
  rules of the suite at once.
- an unknown expectation type: logged, dropped, passes. A rule without a result is a problem.

The import takes 5.5 s, so it happens when the first suite is evaluated.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

from kafkalab.gate.docs import INDEX, SITE, make_offline
from kafkalab.gate.frames import Row
from kafkalab.gate.suites import REST, Rule, Suite


@dataclass(frozen=True)
class Check:
    """What one rule found."""

    rule: Rule
    rows: int  # rows judged
    broken: tuple[Row, ...]  # the rows that break it
    bound: str  # the bound in words, numbers filled in
    problem: str = ""  # why the rule could not be judged; then `broken` says nothing


class Expectations:
    """One Great Expectations context for one gate."""

    def __init__(self, docs_dir: Path | None, run_name: str) -> None:
        # read at import: results belong to the user, and hosts may be offline
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )

        self._gx = gx
        self._docs_dir = docs_dir
        self._run_name = run_name
        self._context = gx.get_context(
            mode="ephemeral",
            project_config=DataContextConfig(
                analytics_enabled=False,
                data_docs_sites={SITE: _site(docs_dir)} if docs_dir else {},
                progress_bars=ProgressBarsConfig(globally=False),
                store_backend_defaults=InMemoryStoreBackendDefaults(),
            ),
        )
        self._source = self._context.data_sources.add_pandas("run")

    def evaluate(
        self,
        suite: Suite,
        frame: str,
        rows: Sequence[Row],
        parameters: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> list[Check]:
        """Judge the rules of one frame; a rule that applies to no row is left out.

        Args:
            suite: where the rules stand.
            frame: which of its rules.
            rows: the frame.
            parameters: bounds beside the suite's own; they win.
            name: name of the result in the Data Docs, unique in a run.
        """
        covered = {rule.name: suite.rows_of(rule, rows) for rule in suite.of_frame(frame)}
        rules = [rule for rule in suite.of_frame(frame) if covered[rule.name]]
        if not rules:
            return []
        values = {**suite.parameters, **(parameters or {})}
        missing = sorted({p for rule in rules for p in rule.parameters if p not in values})
        if missing:
            problem = f"no value for the bound {', '.join(missing)}"
            return [Check(r, len(covered[r.name]), (), "", problem) for r in rules]
        results = self._run(name or f"{suite.name}.{frame}", suite, rules, rows, values)
        if isinstance(results, str):
            return [Check(r, len(covered[r.name]), (), "", results) for r in rules]
        return [
            _check(rule, covered[rule.name], rows, results.get(rule.name), bound(rule, values))
            for rule in rules
        ]

    def _run(
        self,
        name: str,
        source: Suite,
        rules: Sequence[Rule],
        rows: Sequence[Row],
        values: Mapping[str, Any],
    ) -> dict[str, Any] | str:
        """Result of every rule by its name, or why there are none."""
        import pandas as pd
        from great_expectations.compatibility import pydantic
        from great_expectations.core.run_identifier import RunIdentifier
        from great_expectations.exceptions import GreatExpectationsError

        gx = self._gx
        data = pd.DataFrame([{"row": at, **row} for at, row in enumerate(rows)])
        asset = self._source.add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe("all")
        try:
            entries = [_configuration(rule, source, values) for rule in rules]
            suite = self._context.suites.add(gx.ExpectationSuite(name=name, expectations=entries))
            definition = self._context.validation_definitions.add(
                gx.ValidationDefinition(name=name, data=batch, suite=suite)
            )
            result = definition.run(
                batch_parameters={"dataframe": data},
                expectation_parameters={p: values[p] for r in rules for p in r.parameters},
                run_id=RunIdentifier(run_name=self._run_name),
                result_format={
                    "result_format": "COMPLETE",
                    "unexpected_index_column_names": ["row", "cell"],
                    "return_unexpected_index_query": False,
                },
            )
        except (GreatExpectationsError, pydantic.ValidationError) as error:
            return f"{type(error).__name__}: {error}"
        return {r.expectation_config.meta["rule"]: r for r in result.results}

    def build_docs(self) -> str:
        """Write the Data Docs as a folder that opens without a network; returns its index's name.

        Empty where no folder was given.
        """
        if self._docs_dir is None:
            return ""
        self._context.build_data_docs(site_names=[SITE])
        make_offline(self._docs_dir)
        return INDEX


def _site(docs_dir: Path) -> dict[str, Any]:
    docs_dir.mkdir(parents=True, exist_ok=True)
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(docs_dir),
        },
    }


def _configuration(rule: Rule, suite: Suite, values: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = dict(rule.kwargs)
    rows = ""
    if rule.applies_to:
        kwargs["row_condition"] = _condition(rule, suite)
        rows = " where " + " and ".join(
            f"{column} is {'any other' if REST in named else ' or '.join(named)}"
            for column, named in rule.applies_to.items()
        )
    return {
        "type": rule.type,
        "kwargs": kwargs,
        "severity": "warning" if rule.warning else "critical",
        "description": f"{rule.name}: {rule.column} {bound(rule, values)}{rows}. {rule.why}",
        "meta": {"rule": rule.name, "why": rule.why},
    }


def _condition(rule: Rule, suite: Suite) -> Any:
    """What `applies_to` selects, once more, as Great Expectations writes it."""
    from great_expectations.expectations.row_conditions import Column

    parts = [
        Column(name).is_not_in(suite.named(rule, name))
        if REST in values
        else Column(name).is_in(values)
        for name, values in rule.applies_to.items()
    ]
    return reduce(and_, parts)


def _check(rule: Rule, covered: Sequence[int], rows: Sequence[Row], raw: Any, words: str) -> Check:
    def problem(text: str) -> Check:
        return Check(rule, len(covered), (), words, text)

    if raw is None:
        return problem(f"Great Expectations did not evaluate '{rule.type}'")
    if failure := _exception(raw.exception_info):
        return problem(failure)
    seen = raw.result["element_count"]
    if seen != len(covered):
        return problem(f"{len(covered)} rows to judge, {seen} were judged")
    if raw.result.get("missing_count"):
        return problem(f"{raw.result['missing_count']} of {seen} rows have no {rule.column}")
    broken = [int(entry["row"]) for entry in raw.result.get("unexpected_index_list") or ()]
    if bool(broken) == bool(raw.success):
        return problem(f"success is {raw.success} with {len(broken)} broken rows")
    return Check(rule, seen, tuple(rows[at] for at in broken), words)


def _exception(info: Mapping[str, Any]) -> str:
    """Message of an exception inside an expectation; one per metric, or one in all."""
    entries = [info] if "raised_exception" in info else list(info.values())
    for entry in entries:
        if entry["raised_exception"]:
            return str(entry["exception_message"] or "an exception without a message")
    return ""


def bound(rule: Rule, values: Mapping[str, Any]) -> str:
    """A rule's bound in words, with the numbers filled in."""

    def value(key: str) -> Any:
        raw = rule.kwargs.get(key)
        return values.get(raw["$PARAMETER"]) if isinstance(raw, dict) else raw

    words = []
    if (low := value("min_value")) is not None:
        words.append(f"≥ {_number(low)}")
    if (high := value("max_value")) is not None:
        words.append(f"≤ {_number(high)}")
    if (allowed := value("value_set")) is not None:
        texts = [v if isinstance(v, str) else json.dumps(v) for v in allowed]
        words.append("must be " + " or ".join(t or "empty" for t in texts))
    return " and ".join(words)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"
