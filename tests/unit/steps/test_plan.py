"""Planning as a step: parameters from a command line, and what cannot be is refused early."""

from __future__ import annotations

import pytest

from kafkalab.model.errors import UsageError
from kafkalab.steps import plan


def test_a_run_has_a_seed_a_prefix_and_resolved_cells():
    said = []
    run = plan.make_run("kafka_smoke", "smoke-x", {"engine": "process"}, said.append)
    assert run.seed > 0
    assert run.prefix.startswith("runs/kafka_smoke/")
    assert run.prefix.endswith("-smoke-x/")
    assert all(
        "pinned" not in c for group in run.cells.values() for cell in group for c in cell.clients
    )
    assert run.brokers["oldest"].startswith("kafka@3.3")
    assert any("seed" in line for line in said)


def test_the_same_seed_is_kept():
    params = {"engine": "process", "seed": 5, "scenarios": ["C01"]}
    assert plan.make_run("kafka_smoke", "smoke-y", params, lambda _: None).seed == 5


def test_the_lab_s_own_commit_is_never_taken_for_another_repository_s():
    params = {"engine": "process", "scenarios": ["C01"], "trigger": {"repository": "octo/client"}}
    trigger = plan.make_run("kafka_merge", "merge-x", params, lambda _: None).trigger
    assert trigger == {"repository": "octo/client"}


@pytest.mark.parametrize("text", ["[1]", "{", "nothing"])
def test_params_that_are_no_object_are_refused(text):
    with pytest.raises(UsageError, match="expected a JSON object"):
        plan.parse_params(text)


def test_a_version_that_does_not_exist_is_refused_before_anything_starts():
    params = {"engine": "process", "subjects": ["kafka-clients@3.9.99"], "scenarios": ["C01"]}
    with pytest.raises(UsageError, match=r"3\.9\."):
        plan.make_run("kafka_smoke", "smoke-z", params, lambda _: None)


def test_the_host_class_names_cores_and_memory():
    assert plan.host_class().split("-")[-1].endswith("g")
