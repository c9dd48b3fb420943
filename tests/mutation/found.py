"""What earlier runs found, one line of JSON a mutant: a run goes on where the last one ended.

A line holds for as long as what it rests on is the same text: the mutant, the statements and
functions that its verdict comes from, and the history that killed it. A survivor holds for the
histories that it was asked of; new ones are asked of it. Where a line does not hold, its killer is
asked first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any


def digest(*texts: object) -> str:
    """A short name for these texts."""
    return hashlib.sha256("\0".join(map(str, texts)).encode()).hexdigest()[:12]


class Found:
    """The file of one run after the other; without a path nothing is kept.

    Args:
        path: read and added to, by several processes at once.
        histories: the name of each history → digest of what it says.
    """

    def __init__(self, path: Path | None, histories: dict[str, str]) -> None:
        self._path = path
        self._histories = histories
        self._lines: dict[tuple[str, str], dict[str, Any]] = {}
        self._sets: dict[str, frozenset[str]] = {}
        self._set = digest(*sorted(histories.values()))
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._read(json.loads(line))

    def _read(self, line: dict[str, Any]) -> None:
        if "histories" in line:
            self._sets[line["set"]] = frozenset(line["histories"])
        else:
            self._lines[line["owner"], line["name"]] = line

    def killer(self, owner: str, name: str, rests_on: str) -> str | None:
        """The history that kills this mutant, where that is still known."""
        line = self._lines.get((owner, name), {})
        known = line.get("killer")
        same = line.get("rests_on") == rests_on and line.get("said") == self._histories.get(known)
        return known if known and same else None

    def likely(self, owner: str, name: str) -> str | None:
        """The history that killed it before something changed."""
        known = self._lines.get((owner, name), {}).get("killer")
        return known if known in self._histories else None

    def survived(self, owner: str, name: str, rests_on: str) -> Collection[str]:
        """Digests of the histories that are known not to notice."""
        line = self._lines.get((owner, name), {})
        if line.get("rests_on") != rests_on or line["killer"]:
            return frozenset()
        return self._sets.get(line["set"], frozenset())

    def add(self, owner: str, name: str, rests_on: str, killer: str | None) -> None:
        """Write down what became of a mutant that was asked of every history, or killed."""
        line = {"owner": owner, "name": name, "rests_on": rests_on, "killer": killer}
        line |= {"set": self._set} if killer is None else {"said": self._histories[killer]}
        new = [line]
        if killer is None and self._set not in self._sets:
            new.insert(0, {"set": self._set, "histories": sorted(self._histories.values())})
        for one in new:
            self._read(one)
        self._write(new)

    def _write(self, lines: Iterable[dict[str, Any]]) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(f"{json.dumps(line)}\n" for line in lines))
