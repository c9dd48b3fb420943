"""What the golden histories are told: the summary and evidence of each section's own claim.

They stand in tests/histories/told.json, a line a section, so that a change of what people read is
seen where it is made. `make told` writes the file anew; look at the difference before you commit.
"""

from __future__ import annotations

import json
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


def _write() -> None:
    lines = []
    for path in sorted(HISTORIES.glob("*.txt")):
        for one in sections(path):
            verdicts = judge(history.table(one.rows), one.claims or CHECKERS, one.context)
            (mine,) = (v for v in verdicts if v.claim == one.claim)
            name = json.dumps(f"{one.claim}: {one.name}")
            lines.append(f"{name}: {json.dumps(told(mine), ensure_ascii=False)}")
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
