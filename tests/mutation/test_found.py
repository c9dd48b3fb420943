"""What an earlier run found is believed for as long as nothing that it rests on has changed."""

import json

from .found import Found, digest

HISTORIES = {"stall: clean": "aaa", "stall: one": "bbb"}


def test_a_killer_is_known_until_the_mutant_or_the_history_changes(tmp_path):
    path = tmp_path / "results"
    Found(path, HISTORIES).add("claim stall", "drop a", "x1", "stall: one")
    again = Found(path, HISTORIES)
    assert again.killer("claim stall", "drop a", "x1") == "stall: one"
    assert again.killer("claim stall", "drop a", "x2") is None
    assert again.killer("claim stall", "drop b", "x1") is None
    changed = Found(path, {**HISTORIES, "stall: one": "ccc"})
    assert changed.killer("claim stall", "drop a", "x1") is None
    assert changed.likely("claim stall", "drop a") == "stall: one"
    assert Found(path, {"stall: clean": "aaa"}).likely("claim stall", "drop a") is None


def test_a_survivor_is_asked_of_new_histories_only(tmp_path):
    path = tmp_path / "results"
    Found(path, HISTORIES).add("claim stall", "drop a", "x1", None)
    more = Found(path, {**HISTORIES, "stall: two": "ddd"})
    assert set(more.survived("claim stall", "drop a", "x1")) == {"aaa", "bbb"}
    assert not more.survived("claim stall", "drop a", "x2")
    assert not more.survived("claim stall", "drop b", "x1")
    more.add("claim stall", "drop a", "x1", "stall: two")
    assert not more.survived("claim stall", "drop a", "x1")


def test_the_last_line_of_a_mutant_holds(tmp_path):
    path = tmp_path / "results"
    found = Found(path, HISTORIES)
    found.add("claim stall", "drop a", "x1", "stall: one")
    found.add("claim stall", "drop a", "x2", None)
    assert Found(path, HISTORIES).killer("claim stall", "drop a", "x1") is None
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [sorted(line) for line in lines] == [
        ["killer", "name", "owner", "rests_on", "said"],
        ["histories", "set"],
        ["killer", "name", "owner", "rests_on", "set"],
    ]


def test_without_a_file_a_run_starts_anew():
    Found(None, HISTORIES).add("claim stall", "drop a", "x1", "stall: one")
    assert Found(None, HISTORIES).killer("claim stall", "drop a", "x1") is None


def test_digests_tell_texts_apart():
    assert digest("a", "b") == digest("a", "b") != digest("ab")
