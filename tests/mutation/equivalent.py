"""Mutants that no history can tell from what they came from, each with the reason: excused.txt.

A reason is a line, and the mutants that it excuses follow it, indented: `OWNER | MUTANT`, as the
run prints them. A run with `--excused` fails where one of them is killed after all.
"""

from __future__ import annotations

from pathlib import Path

PATH = Path(__file__).with_name("excused.txt")


def _read(text: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    reason = ""
    for number, line in enumerate(text.splitlines(), 1):
        owner, bar, name = line.strip().partition(" | ")
        if not line.startswith(" "):
            reason = line or reason
        elif not bar or (owner, name) in found:
            raise ValueError(f"{PATH.name}:{number}: expected OWNER | MUTANT, once, found {line!r}")
        else:
            found[owner, name] = reason
    return found


EQUIVALENT = _read(PATH.read_text(encoding="utf-8"))
