"""Address and keys of the embedded server: chosen once, kept, readable by their owner only.

The port is random and kept, so that an address that was handed out stays right when the server is
started again. KAFKALAB_S3_PORT sets it.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import paths

PORT_VARIABLE = "KAFKALAB_S3_PORT"
BUCKET_DEFAULT = "kafkalab"


@dataclass(frozen=True)
class StoreEndpoint:
    """A running embedded server."""

    endpoint: str  # http://127.0.0.1:PORT
    access_key: str
    secret_key: str
    bucket: str
    data_dir: Path

    @property
    def port(self) -> int:
        """TCP port on loopback."""
        return int(self.endpoint.rpartition(":")[2])

    def env(self) -> dict[str, str]:
        """Environment with which another process, or a container of this host, reaches it."""
        return {
            "KAFKALAB_S3_ENDPOINT": self.endpoint,
            "KAFKALAB_S3_BUCKET": self.bucket,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }


def folder() -> Path:
    """Where the server keeps everything."""
    return paths.home().absolute() / "store"


def existing() -> StoreEndpoint | None:
    """What endpoint.json says; None before the first start."""
    path = folder() / "endpoint.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return StoreEndpoint(
            endpoint=f"http://127.0.0.1:{int(raw['port'])}",
            access_key=str(raw["access_key"]),
            secret_key=str(raw["secret_key"]),
            bucket=os.environ.get("KAFKALAB_S3_BUCKET") or BUCKET_DEFAULT,
            data_dir=folder() / "data",
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InfrastructureError(
            f"{path}: expected port, access_key and secret_key in JSON, found something else "
            f"({error}). Delete the file; it is written anew, and the artifacts stay."
        ) from error


def known(endpoint: str) -> StoreEndpoint | None:
    """The embedded server of this home when `endpoint` is its address, else None."""
    found = existing()
    return found if found is not None and found.endpoint == endpoint.rstrip("/") else None


def wanted_port() -> int:
    """The port that KAFKALAB_S3_PORT asks for; 0 where it is not set."""
    text = os.environ.get(PORT_VARIABLE, "")
    if not text:
        return 0
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise UsageError(f"{PORT_VARIABLE}={text}: expected a port, 1 to 65535.")
    return int(text)


def prepare(before: StoreEndpoint | None) -> StoreEndpoint:
    """Choose the port, make the keys once, and write both for the server and for later callers."""
    port = _free_port(before.port if before else 0)
    access_key = before.access_key if before else secrets.token_hex(10)
    secret_key = before.secret_key if before else secrets.token_hex(20)
    data = folder() / "data"
    data.mkdir(exist_ok=True)
    _check_attributes(data)
    properties = {
        "s3proxy.endpoint": f"http://127.0.0.1:{port}",
        "s3proxy.authorization": "aws-v4",
        "s3proxy.identity": access_key,
        "s3proxy.credential": secret_key,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": str(data),
    }
    # JSON's escapes are those of a Java properties file, which is Latin-1 and reads backslashes.
    text = "".join(f"{key}={json.dumps(value)[1:-1]}\n" for key, value in properties.items())
    _write_private(folder() / "s3proxy.properties", text)
    found = {"port": port, "access_key": access_key, "secret_key": secret_key}
    _write_private(folder() / "endpoint.json", json.dumps(found))
    written = existing()
    if written is None:
        raise InfrastructureError(f"{folder()}: endpoint.json vanished while it was written.")
    return written


def _check_attributes(data: Path) -> None:
    """The server keeps ETags in extended attributes; without them nothing could be replaced."""
    if not hasattr(os, "setxattr"):
        return  # not Linux: its Java writes them another way
    probe = data / f".attributes-{os.getpid()}"
    try:
        probe.touch()
        os.setxattr(probe, "user.kafkalab", b"x")
    except OSError as error:
        raise UsageError(
            f"{data}: expected a file system with extended attributes for the embedded store, "
            f"found one that refuses them ({error}). Set KAFKALAB_HOME to a folder on a local disk."
        ) from error
    finally:
        probe.unlink(missing_ok=True)


def _free_port(before: int) -> int:
    wanted = wanted_port()
    for port in (wanted,) if wanted else (before, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if wanted:
                    raise UsageError(
                        f"{PORT_VARIABLE}={wanted}: expected a free port for the embedded store, "
                        f"found it in use ({error}). End what listens there (`ss -ltnp`), or "
                        f"unset {PORT_VARIABLE} to let the lab choose."
                    ) from error
                continue
            return int(probe.getsockname()[1])
    raise InfrastructureError("expected a free port on 127.0.0.1 for the embedded store: none.")


def _write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, at no moment anyone else."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    scratch.replace(path)
