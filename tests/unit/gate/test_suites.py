"""A suite that could judge nothing is refused, with the file and the key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kafkalab.gate.suites import load
from kafkalab.model.errors import UsageError

EXPECTATIONS = Path(__file__).parents[3] / "expectations"
ENTRY = {
    "type": "expect_column_values_to_be_between",
    "kwargs": {"column": "value", "min_value": {"$PARAMETER": "rows_min"}},
    "severity": "critical",
    "meta": {"rule": "rows", "frame": "samples", "says": "{value}", "why": "because of the test"},
}


def _write(tmp_path: Path, raw) -> Path:
    shutil.copytree(EXPECTATIONS / "schemas", tmp_path / "schemas")
    folder = tmp_path / "suites"
    folder.mkdir()
    text = raw if isinstance(raw, str) else json.dumps(raw)
    (folder / "x.json").write_text(text)
    return folder


def _suite(**changes):
    parameters = {"rows_min": {"value": 1, "why": "because of the test"}}
    raw = {
        "name": "x",
        "meta": {"why": "because of the test"},
        "parameters": parameters,
        "expectations": [ENTRY],
    }
    return {**raw, **changes}


def _entry(**changes):
    return {**ENTRY, **changes}


def _meta(**changes):
    return _entry(meta={**ENTRY["meta"], **changes})


def test_a_good_suite_is_read(tmp_path):
    suite = load(_write(tmp_path, _suite()), "x")
    assert suite.parameters == {"rows_min": 1}
    (rule,) = suite.rules
    assert (rule.name, rule.column, rule.parameters) == ("rows", "value", ("rows_min",))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("{", r"x\.json: line 1, column 2: not JSON"),
        ("[]", r"x\.json: expected an object, found list"),
        (_suite(name="y"), r"x\.json: name: expected 'x', found 'y'"),
        (_suite(expectations=[]), r"x\.json: expectations: "),
        (_suite(extra=1), r"x\.json: the whole file: .*'extra' was unexpected"),
        (
            _suite(expectations=[_entry(type="expect_column_values_to_be_betwen")]),
            r"x\.json: expectations\[0\]\.type: 'expect_column_values_to_be_betwen' is not one of",
        ),
        (_suite(expectations=[_entry(severity="fatal")]), r"expectations\[0\]\.severity: 'fatal'"),
        (_suite(expectations=[_meta(why="")]), r"expectations\[0\]\.meta\.why: "),
        (
            _suite(expectations=[_meta(frame="cell")]),
            r"meta\.frame: expected one of .*found 'cell'",
        ),
        (_suite(expectations=[_meta(says="{nope}")]), r"meta\.says: frame 'samples' has no column"),
        (_suite(expectations=[_meta(says="{")]), r"expectations\[0\]\.meta\.says: "),
        (
            _suite(expectations=[_meta(applies_to={"nope": ["a"]})]),
            r"meta\.applies_to: frame 'samples' has no column 'nope'",
        ),
        (
            _suite(expectations=[_entry(kwargs={"column": "nope", "min_value": 1})]),
            r"kwargs\.column: frame 'samples' has no column 'nope'",
        ),
        (
            _suite(expectations=[_entry(kwargs={"column": "value"})]),
            r"x\.json: expectations\[0\]\.kwargs: ",
        ),
        (
            _suite(
                expectations=[
                    _entry(kwargs={"column": "value", "min_value": {"$PARAMETER": "rows_mim"}})
                ]
            ),
            r"expectations\[0\]\.kwargs: unknown \$PARAMETER 'rows_mim': .*rows_min",
        ),
        (
            _suite(parameters={"rows_min": {"value": None, "why": "because of the test"}}),
            r"\$PARAMETER 'rows_min' is null",
        ),
        (_suite(expectations=[ENTRY, ENTRY]), r"expectations\[1\]\.meta\.rule: 'rows' is taken"),
    ],
)
def test_a_bad_suite_is_refused_by_file_and_key(tmp_path, raw, message):
    with pytest.raises(UsageError, match=message):
        load(_write(tmp_path, raw), "x")


def test_a_parameter_of_an_envelope_must_name_a_metric(tmp_path):
    def envelope(name):
        kwargs = {"column": "value", "min_value": {"$PARAMETER": name}}
        return _suite(
            expectations=[_entry(kwargs=kwargs, meta={**ENTRY["meta"], "frame": "envelope"})]
        )

    good = _write(tmp_path / "good", envelope("latency_ms_p99_lower"))
    assert load(good, "x").rules[0].parameters == ("latency_ms_p99_lower",)
    bad = _write(tmp_path / "bad", envelope("latency_ms_p98_lower"))
    with pytest.raises(UsageError, match="unknown \\$PARAMETER 'latency_ms_p98_lower'"):
        load(bad, "x")


def test_a_missing_suite_and_a_missing_schema_name_the_file(tmp_path):
    folder = _write(tmp_path, _suite())
    with pytest.raises(UsageError, match=r"nope\.json: expected the suite 'nope' here"):
        load(folder, "nope")
    shutil.rmtree(tmp_path / "schemas")
    with pytest.raises(UsageError, match=r"suite\.schema\.json: expected the schema"):
        load(folder, "x")
