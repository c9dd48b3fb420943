"""What every DAG file promises: found by reading the DAGs as Airflow does, not their text."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from kafkalab.scenarios import loader

DAGS = Path(__file__).resolve().parents[2] / "dags"
NAMES = sorted(path.stem for path in DAGS.glob("*.py"))
RUNS = [name for name in NAMES if name != "kafka_baseline"]

_HEAVY = ("great_expectations", "confluent_kafka", "pandas", "boto3", "duckdb", "matplotlib")
_MEASURE = f"""
import json, os, sys, time
from airflow.dag_processing.dagbag import DagBag
import airflow.sdk
for path in sys.argv[1:]:
    if os.fork() == 0:  # as Airflow's DAG processor does: each file in a process of its own
        started = time.process_time()
        bag = DagBag(path)
        seconds = time.process_time() - started
        assert bag.dags, bag.import_errors
        print(json.dumps([path, seconds, [n for n in {_HEAVY} if n in sys.modules]]), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def dags() -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(DAGS))
    assert not bag.import_errors
    return bag.dags


def test_the_workflows_of_the_lab(dags: dict[str, Any]) -> None:
    expected = {"kafka_smoke", "kafka_nightly", "kafka_merge", "kafka_compat", "kafka_baseline"}
    assert expected <= set(dags)
    assert set(dags) == set(NAMES), "a DAG's id is the stem of its file"


@pytest.mark.parametrize("name", NAMES)
def test_a_person_on_triage_finds_what_they_need(name: str, dags: dict[str, Any]) -> None:
    dag = dags[name]
    for heading in ("**Purpose**", "**Trigger**", "**How to read red**", "**Owner**"):
        assert heading in dag.doc_md
    assert "kafka" in dag.tags
    assert {task.owner for task in dag.tasks} == {"kafkalab"}
    assert len((DAGS / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 100


@pytest.mark.parametrize("name", NAMES)
def test_runs_queue_and_are_neither_made_up_for_nor_retried(
    name: str, dags: dict[str, Any]
) -> None:
    dag = dags[name]
    assert not dag.catchup
    assert dag.max_active_runs == 1
    assert not dag.is_paused_upon_creation
    assert {task.retries for task in dag.tasks} == {0}, "a retry that turns green hides a flake"


def test_the_night_begins_at_two_utc(dags: dict[str, Any]) -> None:
    timetable = dags["kafka_nightly"].timetable
    assert (timetable.expression, str(timetable.timezone)) == ("0 2 * * *", "UTC")
    assert dags["kafka_nightly"].start_date is None, "else a new Airflow runs last night at once"


@pytest.mark.parametrize("now", ["02:00:01", "02:04", "04:23", "12:00", "23:59"])
def test_a_new_airflow_waits_for_the_next_night(
    now: str, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable
    from airflow.timetables.base import TimeRestriction

    today = datetime.fromisoformat(f"2026-03-05T{now}+00:00")
    monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda: today)
    stored = encode_timetable(dags["kafka_nightly"].timetable)
    timetable = decode_timetable(stored)
    first = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(None, None, catchup=False)
    )
    assert first.run_after.isoformat() == "2026-03-06T02:00:00+00:00"


@pytest.mark.parametrize("name", RUNS)
def test_every_cluster_is_taken_down_whatever_happened(name: str, dags: dict[str, Any]) -> None:
    dag = dags[name]
    roles = {task.task_id.split(".")[0] for task in dag.tasks if "." in task.task_id}
    assert {"oldest", "pinned", "newest"} == roles
    for role in roles:
        provision = dag.get_task(f"{role}.provision")
        teardown = dag.get_task(f"{role}.teardown")
        assert provision.is_setup
        assert teardown.is_teardown
        assert teardown.trigger_rule == "all_done"
        assert teardown.on_failure_fail_dagrun
        steps = {t.task_id for t in dag.tasks if t.is_mapped and t.task_id.startswith(f"{role}.")}
        assert steps
        assert teardown.upstream_task_ids == steps | {provision.task_id}


@pytest.mark.parametrize("name", RUNS)
def test_what_its_workflow_plans_has_a_task(name: str, dags: dict[str, Any]) -> None:
    scenarios = loader.catalogue()
    planned = {
        f"{role}.{scenarios[scenario].step}"
        for line in loader.load_workflow(name).plan
        for scenario in line.scenarios
        for role in line.brokers
    }
    assert planned == {task.task_id for task in dags[name].tasks if task.is_mapped}


@pytest.mark.parametrize("name", RUNS)
def test_what_works_the_host_takes_turns(name: str, dags: dict[str, Any]) -> None:
    dag = dags[name]
    pools: dict[str, set[str]] = {}
    for task in dag.tasks:
        pools.setdefault(task.pool, set()).add(task.task_id.split(".")[-1])
    assert pools["default_pool"] == {t for t in pools["default_pool"] if t.endswith("_cells")} | {
        "verdict"
    }
    assert pools["kafkalab_queue"] == {"provision"}
    assert pools["kafkalab_next"] == {"provision"}
    assert {"plan", "teardown", "gate", "publish", "compat"} <= pools["kafkalab_host"]
    first = [t for t in dag.get_task("plan").downstream_list if t.pool == "kafkalab_queue"]
    assert len(first) == 1, "only the first cluster of a run queues for the host"


@pytest.mark.parametrize("name", RUNS)
def test_a_red_cell_stops_no_other_step(name: str, dags: dict[str, Any]) -> None:
    dag = dags[name]
    for task in dag.tasks:
        if task.is_mapped:
            assert task.trigger_rule == "all_done", task.task_id
            assert task.execution_timeout is not None, task.task_id
    for name_ in ("gate", "publish", "verdict"):
        assert dag.get_task(name_).trigger_rule == "all_done"
    assert [t.task_id for t in dag.leaves] == ["verdict"], "the run's state is the gate's verdict"


@pytest.mark.parametrize(
    ("name", "conf", "accepted"),
    [
        ("kafka_smoke", {"engine": "process", "seed": 7, "scenarios": ["C01"]}, True),
        ("kafka_smoke", {"subjects": ["confluent-kafka@2.16.1", "defect:drop"]}, True),
        ("kafka_smoke", {"engine": "podman"}, False),
        ("kafka_smoke", {"seed": -1}, False),
        ("kafka_smoke", {"seed": "7"}, False),
        ("kafka_smoke", {"subjects": ["confluent-kafka"]}, False),
        ("kafka_smoke", {"subjects": ["confluent-kafka@1; rm -rf /"]}, False),
        ("kafka_smoke", {"scenarios": "C01"}, False),
        ("kafka_smoke", {"brokers": ["middle"]}, False),
        ("kafka_smoke", {"run_id": "../x"}, False),
        ("kafka_merge", {"subject": "kafka-clients@3.9.2", "commit": "a" * 40}, True),
        ("kafka_merge", {"commit": "main"}, False),
        ("kafka_merge", {"commit": "a" * 40, "repository": "octo-org/client.py"}, True),
        ("kafka_merge", {"repository": ""}, True),
        ("kafka_merge", {"repository": "https://github.com/octo-org/client"}, False),
        ("kafka_merge", {"repository": "octo-org/.."}, False),
        ("kafka_baseline", {"run": "r", "accepted_by": "me", "why": "because"}, True),
        ("kafka_baseline", {"run": "r", "accepted_by": "me", "why": ""}, False),
        ("kafka_baseline", {"run": "r"}, False),
    ],
)
def test_parameters_are_checked_before_anything_starts(
    name: str, conf: dict[str, Any], accepted: bool, dags: dict[str, Any]
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    params = copy.deepcopy(dags[name].params)
    if accepted:
        params.update(conf)
        params.validate()
        return
    with pytest.raises(ParamValidationError):  # noqa: PT012 - either of the two may refuse
        params.update(conf)
        params.validate()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_says_what_it_is(name: str, dags: dict[str, Any]) -> None:
    for key in dags[name].params:
        param = dags[name].params.get_param(key)
        assert param.description, key
        assert param.schema.get("title"), key
        assert param.schema.get("type"), key


def test_files_parse_fast_and_import_nothing_heavy() -> None:
    files = [str(DAGS / f"{name}.py") for name in NAMES]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *files],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    measured = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    assert [path for path, _, _ in measured] == files
    for path, seconds, heavy in measured:
        assert heavy == [], f"{path} imports {heavy}"
        assert seconds < 2.0, f"{path} takes {seconds:.2f} s of CPU to parse"
