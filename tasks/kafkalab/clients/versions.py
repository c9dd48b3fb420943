"""Versions of a package as its registry lists them, and which stand next to one that is not there.

Order is that of numbers first: `2.10.0` stands after `2.9.1`, a pre-release before its release.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

NEAREST = 5
_NUMBERS = re.compile(r"^v?(\d+(?:\.\d+)*)(.*)$")


def ordered(versions: Iterable[str]) -> list[str]:
    """Versions, oldest first."""
    return sorted(versions, key=_rank)


def nearest(version: str, known: Iterable[str]) -> list[str]:
    """The versions that stand next to a wrong one; the newest when it is no version at all."""
    found = ordered(known)
    place = len(found)
    if _NUMBERS.match(version):
        place = sum(1 for each in found if _rank(each) < _rank(version))
    start = max(0, min(place - NEAREST // 2, len(found) - NEAREST))
    return found[start : start + NEAREST]


def _rank(version: str) -> tuple[list[int], bool, str]:
    match = _NUMBERS.match(version)
    if match is None:
        return [], False, version
    numbers = [int(number) for number in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return numbers, match[2] == "", match[2]
