"""What the golden histories are told: the summary and evidence of each section's own claim.

They stand in tests/histories/told.json, a line a section, so that a change of what people read is
seen where it is made. `make told` writes the file anew, ARGS="lost-write unseen" only what these
claims tell; look at the difference before you commit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.unit.checkers.conftest import sections

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.model.verdict import ClaimVerdict

HISTORIES = Path(__file__).parents[2] / "histories"
PATH = HISTORIES / "told.json"


def told(verdict: ClaimVerdict) -> list[Any]:
    """The summary, and findings in an order of their own."""
    return [verdict.summary, *sorted(json.dumps(e, sort_keys=True) for e in verdict.evidence)]


def known() -> dict[str, list[Any]]:
    """What the file says, by "CLAIM: NAME" of the section."""
    found: dict[str, list[Any]] = json.loads(PATH.read_text(encoding="utf-8"))
    return found


def _write(claims: Sequence[str]) -> None:
    """Judge the sections of these claims, or of all; what the others are told stays as it is."""
    before = known() if claims else {}
    now: dict[str, list[Any]] = {}
    for path in sorted(HISTORIES.glob("*.txt")):
        for one in sections(path):
            name = f"{one.claim}: {one.name}"
            if claims and one.claim not in claims:
                now[name] = before[name]
                continue
            verdicts = judge(history.table(one.rows), one.claims or CHECKERS, one.context)
            now[name] = told(next(v for v in verdicts if v.claim == one.claim))
    lines = (f"{json.dumps(n)}: {json.dumps(t, ensure_ascii=False)}" for n, t in now.items())
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    _write(sys.argv[1:])
