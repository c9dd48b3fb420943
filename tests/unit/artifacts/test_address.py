"""Address and keys are made once, kept private, and a wrong port is named."""

from __future__ import annotations

import socket
import stat
import subprocess

import pytest

from kafkalab.artifacts import address
from kafkalab.model.errors import InfrastructureError, UsageError


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("KAFKALAB_HOME", str(tmp_path / 'a "home" é\\'))
    monkeypatch.delenv("KAFKALAB_S3_PORT", raising=False)
    monkeypatch.delenv("KAFKALAB_S3_BUCKET", raising=False)
    address.folder().mkdir(parents=True)


def test_keys_and_port_are_made_once_and_private():
    first = address.prepare(None)
    again = address.prepare(first)
    assert again == first == address.existing() == address.known(first.endpoint + "/")
    assert address.known("http://127.0.0.1:1") is None
    assert first.endpoint.startswith("http://127.0.0.1:")
    for name in ("endpoint.json", "s3proxy.properties"):
        mode = (address.folder() / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_the_kept_port_gives_way_when_someone_else_has_it():
    first = address.prepare(None)
    with socket.create_server(("127.0.0.1", first.port)):
        second = address.prepare(first)
    assert second.port != first.port
    assert second.secret_key == first.secret_key


def test_a_port_in_use_that_was_asked_for_is_named(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("KAFKALAB_S3_PORT", str(port))
        with pytest.raises(UsageError, match=rf"KAFKALAB_S3_PORT={port}: .* in use"):
            address.prepare(None)
    assert address.prepare(None).port == port


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80.5"])
def test_what_is_no_port_is_refused(monkeypatch, text):
    monkeypatch.setenv("KAFKALAB_S3_PORT", text)
    with pytest.raises(UsageError, match="1 to 65535"):
        address.wanted_port()


def test_a_damaged_file_is_named():
    (address.folder() / "endpoint.json").write_text("{}")
    with pytest.raises(InfrastructureError, match=r"endpoint\.json.*Delete the file"):
        address.existing()


def test_other_processes_learn_all_from_the_environment():
    found = address.prepare(None)
    assert found.env() == {
        "KAFKALAB_S3_ENDPOINT": found.endpoint,
        "KAFKALAB_S3_BUCKET": "kafkalab",
        "AWS_ACCESS_KEY_ID": found.access_key,
        "AWS_SECRET_ACCESS_KEY": found.secret_key,
    }


def test_a_file_system_without_extended_attributes_is_refused():
    data = address.folder() / "data"
    data.mkdir()
    mount = ["mount", "-t", "ramfs", "ramfs", str(data)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a file system here: {done.stderr.strip()}")
    try:
        with pytest.raises(UsageError, match="extended attributes"):
            address.prepare(None)
    finally:
        subprocess.run(["umount", str(data)], check=True)
