"""A home and a store of their own for the tests that run a real Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kafkalab.artifacts import server
from kafkalab.artifacts.store import Store

STUB = Path(__file__).resolve().parents[1] / "dags" / "stub_step.py"


@dataclass(frozen=True)
class Place:
    """Where the tests of one module work; the environment names its home and its store."""

    folder: Path
    endpoint: server.StoreEndpoint
    patch: pytest.MonkeyPatch  # undone after the module's tests
    stub: Path = STUB  # stands in for `python -m kafkalab`


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("airflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKALAB_HOME", str(folder / "home"))
        for name in ("KAFKALAB_S3_ENDPOINT", "KAFKALAB_S3_PORT", "KAFKALAB_S3_BUCKET"):
            patch.delenv(name, raising=False)
        with server.serving("tests") as endpoint:
            made = Store(
                endpoint.endpoint, endpoint.bucket, endpoint.access_key, endpoint.secret_key
            )
            made.create_bucket()
            for name, value in endpoint.env().items():
                patch.setenv(name, value)
            yield Place(folder, endpoint, patch)
