"""Mutants that no history can tell from what they came from, each with the reason.

(owner, name) as the run prints them → why. The run fails where an entry is no longer needed.
"""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {}
