"""Unreleased builds: a folder is its content, a reference is its commit."""

from __future__ import annotations

import subprocess

import pytest

from kafkalab.clients import sources
from kafkalab.clients.sources import settle, source_of
from kafkalab.model.errors import UsageError
from kafkalab.model.subject import Subject


def git(folder, *arguments):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "-b", "main")
    (folder / "code").write_text("one")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "tag", "-a", "v1", "-m", "first")
    (folder / "code").write_text("two")
    git(folder, "commit", "--quiet", "-am", "two")
    return folder


def test_a_release_is_its_version():
    source = source_of(Subject("sarama", "1.46.3"))
    assert (source.release, source.folder, source.identity()) == ("1.46.3", None, "1.46.3")
    assert settle(Subject("sarama", "1.46.3")) == Subject("sarama", "1.46.3")


def test_a_folder_is_its_content(tmp_path):
    (tmp_path / "a").write_text("1")
    subject = Subject("sarama", f"path:{tmp_path}")
    before = source_of(subject).identity()
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("x")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "m").write_text("x")
    assert source_of(subject).identity() == before
    (tmp_path / "a").write_text("2")
    changed = source_of(subject).identity()
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({before, changed, source_of(subject).identity()}) == 3


def test_a_relative_path_means_the_same_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "client").mkdir()
    monkeypatch.chdir(tmp_path)
    assert settle(Subject("sarama", "path:client")).version == f"path:{tmp_path / 'client'}"


@pytest.mark.parametrize(("ref", "content"), [("main", "two"), ("v1", "one")])
def test_a_branch_or_tag_is_settled_as_its_commit_and_checked_out(repository, ref, content):
    settled = settle(Subject("sarama", f"git:{repository}#{ref}"))
    commit = git(repository, "rev-parse", f"{ref}^{{commit}}")
    assert settled.version == f"git:{repository}#{commit}"
    folder = source_of(settled).folder
    assert (folder / "code").read_text() == content
    assert source_of(settled).folder == folder


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("path:/no/such/folder", "expected a folder, found none at /no/such/folder"),
        ("git:{repository}#nobranch", "no branch or tag 'nobranch'"),
        ("git:/no/such/repository#main", "git says"),
        ("git:{repository}", "found no '#'"),
    ],
)
def test_what_is_not_there_is_said(repository, version, words):
    subject = Subject("sarama", version.format(repository=repository))
    with pytest.raises(UsageError) as raised:
        source_of(settle(subject))
    assert words in str(raised.value)


def test_a_commit_that_is_gone_leaves_nothing_half_done(repository):
    subject = Subject("sarama", f"git:{repository}#{'0' * 40}")
    with pytest.raises(UsageError, match="git says"):
        source_of(subject)
    assert [p for p in (sources.paths.cache() / "git").iterdir() if p.is_dir()] == []
