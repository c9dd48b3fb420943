from __future__ import annotations

from kafkalab.orchestration import params
from kafkalab.scenarios.planner import ENGINES, Params


def test_the_request_is_what_the_planner_reads() -> None:
    asked = params.plan_request(
        {"subjects": ["kafka-clients@pinned"], "scenarios": ["C01"], "brokers": [], "seed": 7,
         "engine": "process", "run_id": "mine"}
    )  # fmt: skip
    assert Params.from_dict(asked) == Params(
        subjects=("kafka-clients@pinned",), scenarios=("C01",), seed=7
    )


def test_a_merge_says_what_triggered_it() -> None:
    asked = params.plan_request(
        {"subject": "kafka-clients@3.9.2", "commit": "abc", "branch": "main",
         "repository": "octo/client", "delivery": "d1"}
    )  # fmt: skip
    read = Params.from_dict(asked)
    assert read.subjects == ("kafka-clients@3.9.2",)
    assert read.trigger == {
        "sha": "abc", "branch": "main", "repository": "octo/client", "delivery": "d1",
    }  # fmt: skip


def test_every_default_is_a_request_that_the_planner_takes() -> None:
    defaults = {name: param.value for name, param in params.merge_params().items()}
    assert Params.from_dict(params.plan_request(defaults)) == Params()


def test_engines_are_the_planners() -> None:
    assert params.ENGINES == ENGINES
