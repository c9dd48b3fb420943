"""Every planted defect turns its own claim red, and nothing else; the same cells are green without.

Slow (several minutes): `make test-defects`. `make test` runs two of them (QUICK).
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PLANTED = {
    "drop": ("C01", "lost-write"),
    "duplicate": ("C01", "duplicate"),
    "deliver-twice": ("C01", "delivered-twice"),
    "corrupt": ("C01", "corrupt-value"),
    "null-as-empty": ("C11", "null-becomes-empty"),
    "add-header": ("C11", "changed-content"),
    "misroute": ("C01", "wrong-topic"),
    "swap": ("C01", "int-nonmonotonic-poll"),
    "reorder": ("C01", "int-nonmonotonic-send"),
    "stall": ("C01", "stall"),
    "stay-out": ("C01", "unshared-group"),
    "hang-close": ("C01", "hung-close"),
    "commit-ahead": ("C13", "commit-ahead"),
    "commit-lost": ("C13", "commit-lost"),
    "commit-back": ("C13", "commit-regression"),
    "resume-late": ("C13", "skipped-past-commit"),
    "resume-early": ("C13", "reread-below-commit"),
    "freeze": ("C02", "deadlock"),
    "give-up": ("K03", "unrecovered"),
    "starve": ("B04", "starved-partition"),
    "leak": ("M01", "leak"),
    "slow": ("P02", "regression"),
}
QUICK = ("drop", "commit-ahead")
BESIDE = {"stay-out": ["confluent-kafka@pinned"]}  # who has the group meanwhile
CLEAN = ("C01", "C02", "C11", "C13", "B04", "M01", "P02", "K03")

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


def attempt(scenario: str, *clients: str) -> tuple[int, dict]:
    done = tried(scenario, *clients)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def tried(scenario: str, *clients: str) -> subprocess.CompletedProcess[str]:
    named = [word for client in clients for word in ("--client", client)]
    return subprocess.run(
        [
            sys.executable, "-m", "kafkalab", "try", scenario, *named,
            "--engine", "process", "--json",
        ],
        capture_output=True, text=True, timeout=380, check=False,
    )  # fmt: skip


def red_claims(found: dict) -> dict[str, str]:
    claims = found["cells"][0]["claims"]
    return {c["claim"]: c["verdict"] for c in claims if c["verdict"] != "pass"}


@pytest.mark.parametrize(
    "kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in PLANTED]
)
def test_a_planted_defect_turns_its_claim_red_and_nothing_else(kind):
    scenario, claim = PLANTED[kind]
    code, found = attempt(scenario, *BESIDE.get(kind, []), f"defect:{kind}")
    assert red_claims(found) == {claim: "fail"}
    assert (code, found["verdict"], found["cells"][0]["reason"]) == (1, "fail", "")


@pytest.mark.slow
@pytest.mark.parametrize("scenario", CLEAN)
def test_the_same_wrapper_without_a_defect_is_green(scenario):
    code, found = attempt(scenario, "defect:none")
    assert red_claims(found) == {}
    assert (code, found["verdict"]) == (0, "pass")


@pytest.mark.slow
def test_a_defect_is_told_while_the_load_goes_on():
    done = tried("B01", "defect:corrupt")
    found = json.loads(done.stdout)
    assert red_claims(found) == {"corrupt-value": "fail"}
    assert found["cells"][0]["reason"] == ""  # the live verdicts are those of the end
    told, over = (done.stderr.index(t) for t in ("corrupt-value found:", "recover and drain"))
    assert told < over
