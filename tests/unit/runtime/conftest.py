from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of the test's own, so that its leases and processes are nobody else's."""
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
