"""The tree that the rules look at, and trees with one planted violation."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One file of a tree."""

    path: str  # relative, with "/"
    text: str

    @cached_property
    def syntax(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def stem(self) -> str:
        return Path(self.path).stem

    @property
    def package(self) -> str:
        """`gate` for tasks/kafkalab/gate/x.py; "" for what is in no package of the lab."""
        parts = self.path.split("/")
        inside = parts[:2] == ["tasks", "kafkalab"] and len(parts) > 3
        return parts[2] if inside else ""

    def line(self, number: int) -> str:
        return self.text.splitlines()[number - 1]


@dataclass(frozen=True)
class Tree:
    """The files of a checkout that are, or could be, committed."""

    root: Path
    paths: tuple[str, ...]

    def sources(self, *patterns: str) -> Iterator[Source]:
        """Text files whose path matches one of the patterns (`*` crosses folders)."""
        for path in self.paths:
            if any(fnmatch(path, pattern) for pattern in patterns):
                raw = (self.root / path).read_bytes()
                if b"\0" not in raw:
                    yield Source(path, raw.decode("utf-8"))


def committed(root: Path) -> Tree:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.split("\0")
    return Tree(root, tuple(sorted(p for p in listed if p and (root / p).is_file())))


@pytest.fixture(scope="session")
def tree():
    """This checkout."""
    return committed(ROOT)


@pytest.fixture
def plant(tmp_path):
    """Write files and give them back as a tree."""

    def make(files: dict[str, str]) -> Tree:
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        return Tree(tmp_path, tuple(sorted(files)))

    return make
