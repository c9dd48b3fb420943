"""Where the code of a client comes from: a release, a folder, or a commit of a git repository.

    NAME@2.6.1              a version in the client's own registry
    NAME@path:DIR           a checkout on this host, as it stands there now
    NAME@git:REPO#REF       a commit, branch or tag of a repository that git can clone

A folder is identified by its content and a commit by its hash, so an unreleased build is built once
per content and never mistaken for an earlier one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kafkalab.clients.command import BuildLog, run
from kafkalab.clients.once import once
from kafkalab.model.errors import UsageError
from kafkalab.model.subject import Subject
from kafkalab.runtime import paths

_HASH = re.compile(r"^[0-9a-f]{40}$")
# What builds leave in a checkout, and what no build reads.
_NOT_SOURCE = frozenset({".git", "node_modules", "__pycache__", ".venv", ".mypy_cache"})


@dataclass(frozen=True)
class Source:
    """The code of one build of a client."""

    release: str = ""  # version in the registry; empty: a folder
    folder: Path | None = None  # a checkout

    def identity(self) -> str:
        """What tells it from every other: the version, or a digest of the folder's content."""
        return self.release or f"sha256:{digest([self.folder or Path()])}"


def source_of(subject: Subject) -> Source:
    """The source that a settled subject names; a repository is fetched into the cache.

    Raises:
        UsageError: there is no such folder, repository or commit.
    """
    kind, _, where = subject.version.partition(":")
    if kind == "path" and where:
        folder = Path(where).expanduser()
        if not folder.is_dir():
            raise UsageError(f"{subject}: expected a folder, found none at {folder.absolute()}.")
        return Source(folder=folder.resolve())
    if kind == "git" and where:
        repository, _, ref = where.rpartition("#")
        return Source(folder=_checkout(subject, repository, _commit(subject, repository, ref)))
    return Source(release=subject.version)


def settle(subject: Subject) -> Subject:
    """Make a subject mean the same in another folder and at another time.

    A relative path becomes absolute; a branch or tag becomes the commit that it is now.
    """
    kind, _, where = subject.version.partition(":")
    if kind == "path" and where:
        return Subject(subject.name, f"path:{Path(where).expanduser().absolute()}")
    if kind == "git" and where:
        repository, _, ref = where.rpartition("#")
        if not repository:
            raise UsageError(f"{subject}: expected git:REPOSITORY#REF, found no '#'.")
        if Path(repository).exists():
            repository = str(Path(repository).absolute())
        return Subject(subject.name, f"git:{repository}#{_commit(subject, repository, ref)}")
    return subject


def digest(roots: Iterable[Path]) -> str:
    """A digest of names and contents of all source files below some folders, 32 hex digits."""
    found = hashlib.sha256()
    for root in roots:
        for name in _files(root):
            path = root / name
            content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
            found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:32]


def _files(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - _NOT_SOURCE)
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or path.is_file():
                yield str(path.relative_to(root))


def _commit(subject: Subject, repository: str, ref: str) -> str:
    if _HASH.match(ref):
        return ref
    found = _git(subject, ["ls-remote", "--", repository, ref, f"{ref}^{{}}"])
    commits = [line.split("\t")[0] for line in found.splitlines()]
    if not commits:
        raise UsageError(
            f"{subject}: {repository} has no branch or tag '{ref}'. Expected git:REPOSITORY#REF "
            "with a branch, a tag or a full commit hash."
        )
    return commits[-1]  # of an annotated tag the commit, which is listed after the tag itself


def _checkout(subject: Subject, repository: str, commit: str) -> Path:
    key = hashlib.sha256(f"{repository}#{commit}".encode()).hexdigest()[:24]

    def fetch(scratch: Path) -> None:
        _git(subject, ["init", "--quiet", str(scratch)])
        at = ["-C", str(scratch)]
        _git(subject, [*at, "fetch", "--quiet", "--depth=1", "--", repository, commit])
        _git(subject, [*at, "checkout", "--quiet", "FETCH_HEAD"])

    return once(paths.cache() / "git" / key, fetch)


def _git(subject: Subject, arguments: list[str]) -> str:
    # Never ask for a password: nobody is there to type one.
    env = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    log = BuildLog()
    done = run(log, ["git", *arguments], env=env)
    if done.returncode:
        raise UsageError(f"{subject}: expected git to find it, git says:\n{log.tail()}")
    return done.stdout
