"""What a run can be asked for: Airflow Params with a JSON schema each, and the request they make.

Airflow refuses a run whose parameters do not fit, before anything starts. Names of scenarios,
clients and versions are checked by `plan`, which knows the catalogue and the pins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from kafkalab.model.run import REPOSITORY

ROLES = ("oldest", "pinned", "newest")
ENGINES = ("auto", "process", "docker")
_SUBJECT = (
    "^([a-z0-9][a-z0-9._-]*@([A-Za-z0-9][A-Za-z0-9._+-]*|(path|git|image):[^\\s]+)"
    "|defect:[a-z][a-z-]*)$"
)
_TRIGGER = ("branch", "sha", "repository", "delivery", "who")


def _texts(title: str, description: str, **items: Any) -> Param:
    schema = {"type": "string", **items}
    return Param(
        [],
        title=title,
        description=description,
        type="array",
        items=schema,
        uniqueItems=True,
        maxItems=64,
    )


def _text(title: str, description: str, pattern: str = "^.*$", length_max: int = 200) -> Param:
    return Param(
        "",
        title=title,
        description=description,
        type="string",
        pattern=pattern,
        maxLength=length_max,
    )


def run_params() -> dict[str, Param]:
    """Parameters of every workflow that plans a run."""
    return {
        "subjects": _texts(
            "Subjects",
            "Builds under test, one a line: NAME@VERSION, for example confluent-kafka@2.16.1 or "
            "kafka-clients@pinned; NAME@path:DIR, NAME@git:REPO#REF or NAME@image:REF for what is "
            "not released. Empty: the workflow's own.",
            pattern=_SUBJECT,
        ),
        "scenarios": _texts(
            "Scenarios",
            "Identifiers of the catalogue, one a line, for example C01. Empty: the workflow's own.",
            pattern="^[A-Z][0-9]{2}$",
        ),
        "brokers": _texts(
            "Brokers",
            "Broker roles, one a line: oldest, pinned or newest. Empty: the workflow's own.",
            enum=list(ROLES),
        ),
        "engine": Param(
            "auto",
            title="Engine",
            description="Where brokers and steps run. auto: docker where a daemon answers and has "
            "the step image, else process.",
            type="string",
            enum=list(ENGINES),
        ),
        "seed": Param(
            0,
            title="Seed",
            description="Seed of every random choice of the run. 0: draw one, and print it.",
            type="integer",
            minimum=0,
            maximum=2**63 - 1,
        ),
        "run_id": _text(
            "Run id",
            "Identifier of the run in the store and on everything it starts. Empty: made from the "
            "DAG and the time.",
            pattern="^([A-Za-z0-9][A-Za-z0-9_.-]*)?$",
            length_max=80,
        ),
    }


def merge_params() -> dict[str, Param]:
    """Parameters of a merge: what was merged, and who told us."""
    return {
        **run_params(),
        "subject": _text(
            "Subject",
            "Build under test: NAME@VERSION. Empty: the workflow's own.",
            pattern=f"^$|{_SUBJECT}",
        ),
        "commit": _text("Commit", "Full hash of the merged commit.", pattern="^([0-9a-f]{7,64})?$"),
        "branch": _text("Branch", "Branch that was merged into.", length_max=255),
        "repository": _text(
            "Repository",
            "GitHub repository of the commit, OWNER/NAME: it gets a commit status. Empty: none.",
            pattern=f"^({REPOSITORY})?$",
        ),
        "delivery": _text(
            "Delivery", "Identifier of the webhook delivery that triggered the run; empty by hand."
        ),
    }


def baseline_params() -> dict[str, Param]:
    """Parameters of the promotion of a run's proposal to the baseline of its lanes."""
    required = {"type": "string", "minLength": 1, "maxLength": 1000}
    return {
        "run": Param(
            title="Run",
            description="The run whose proposal is accepted: its URI or its prefix in the store.",
            **required,
        ),
        "lane": _text(
            "Lane", "The one lane to accept. Empty: every lane of the proposal.", length_max=500
        ),
        "accepted_by": Param(
            title="Accepted by", description="Who answers for it: a person or a rule.", **required
        ),
        "why": Param(title="Why", description="Kept in the lane's history.", **required),
    }


def plan_request(params: Mapping[str, Any]) -> dict[str, Any]:
    """What `plan` is asked for, in the form that `scenarios.planner.Params` reads."""
    subjects = list(params.get("subjects") or [])
    if (subject := params.get("subject")) and subject not in subjects:
        subjects.append(subject)
    given = {**params, "sha": params.get("commit", "")}
    trigger = {key: str(given[key]) for key in _TRIGGER if given.get(key)}
    return {
        "subjects": subjects,
        "scenarios": list(params.get("scenarios") or []),
        "brokers": list(params.get("brokers") or []),
        "seed": int(params.get("seed") or 0),
        **({"trigger": trigger} if trigger else {}),
    }
