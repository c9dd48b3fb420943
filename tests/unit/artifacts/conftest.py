"""The real embedded server, once for all tests here; a bucket of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from kafkalab.artifacts import server
from kafkalab.artifacts.store import Store


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.StoreEndpoint]:
    home = tmp_path_factory.mktemp("store-home")

    def environment(patch: pytest.MonkeyPatch) -> None:
        patch.setenv("KAFKALAB_HOME", str(home))
        for name in ("KAFKALAB_S3_PORT", "KAFKALAB_S3_BUCKET", "KAFKALAB_S3_ENDPOINT"):
            patch.delenv(name, raising=False)

    with pytest.MonkeyPatch.context() as patch:
        environment(patch)
        running = server.ensure_server("tests", 900)
    yield running
    with pytest.MonkeyPatch.context() as patch:
        environment(patch)
        server.release_server("tests")


@pytest.fixture
def store(endpoint: server.StoreEndpoint) -> Store:
    found = Store(
        endpoint.endpoint,
        f"t-{uuid.uuid4().hex}",
        endpoint.access_key,
        endpoint.secret_key,
        data_dir=endpoint.data_dir,
    )
    found.create_bucket()
    return found
