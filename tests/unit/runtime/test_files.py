import threading
from pathlib import Path

import pytest

from kafkalab.runtime import files


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    for number in (1, 2):
        files.replace_json(tmp_path / "a.json", {"number": number})

    assert files.read_json(tmp_path / "a.json") == {"number": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    files.replace_json(tmp_path / "a.json", {"number": 1})

    with pytest.raises(TypeError):
        files.replace_json(tmp_path / "a.json", {"number": object()})

    assert files.read_json(tmp_path / "a.json") == {"number": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_that_is_missing_or_damaged_reads_as_empty(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("{")

    assert files.read_json(tmp_path / "none") == {}
    assert files.read_json(tmp_path / "bad") == {}
    with pytest.raises(IsADirectoryError):
        files.read_json(tmp_path)


def test_one_writer_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOCK_S", 0.1)
    refused: list[BaseException] = []

    def second() -> None:
        try:
            with files.exclusive(tmp_path):
                pass
        except TimeoutError as error:
            refused.append(error)

    with files.exclusive(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    assert len(refused) == 1
