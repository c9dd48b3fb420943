"""A base image without an image registry: Debian from its own packages, imported into the daemon.

    python -m kafkalab.cluster.docker_base [TAG [PACKAGE...]]

Every Dockerfile of the lab takes its base as a build argument. Where the public bases cannot be
pulled, this makes one that serves for all of them: Debian's minimal system with Python, laid out by
mmdebstrap (20 s), kept as an archive in the cache, and imported (2 s). It carries what the public
bases carry and no more: Java, Kafka and Python packages come from the build context.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from kafkalab.cluster import docker_api
from kafkalab.model.errors import InfrastructureError, LabError
from kafkalab.runtime import paths

TAG = "kafkalab/base:local"
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3")
_OPTIONS = (
    "--variant=minbase",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
)
_MAKE_S = 600


def build_base(tag: str = TAG, *, extra_packages: tuple[str, ...] = ()) -> str:
    """Make and import a base image; returns its tag.

    Args:
        tag: what to call it.
        extra_packages: further Debian packages, for example `postgresql`.

    Raises:
        InfrastructureError: no daemon, or mmdebstrap is missing, not run by root, or fails.
    """
    packages = (*PACKAGES, *extra_packages)
    archive = _archive(packages)
    client = docker_api.connect(timeout_s=_MAKE_S)
    try:
        with docker_api.daemon_errors():
            repository, _, name = tag.rpartition(":")
            client.api.import_image(
                str(archive), repository=repository, tag=name, changes=["ENV LANG=C.UTF-8"]
            )
    finally:
        client.close()
    return tag


def _archive(packages: tuple[str, ...]) -> Path:
    key = "\0".join((SUITE, *packages, *_OPTIONS))
    name = f"base-{SUITE}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.tar"
    archive = paths.cache() / "images" / name
    archive.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{archive}.lock", timeout=_MAKE_S):
        if not archive.is_file():
            _debootstrap(packages, archive)
    return archive


def _debootstrap(packages: tuple[str, ...], archive: Path) -> None:
    if shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        raise InfrastructureError(
            "expected root and mmdebstrap, which makes a base image from Debian packages. Install "
            "it "
            "(`apt-get install mmdebstrap`), or name a base image that can be pulled in "
            "KAFKALAB_BASE_IMAGE."
        )
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".base-") as folder:
        scratch = Path(folder) / "base.tar"
        command = ["mmdebstrap", *_OPTIONS, f"--include={','.join(packages)}", SUITE, str(scratch)]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_MAKE_S,
            check=False,
        )
        if done.returncode != 0:
            raise InfrastructureError(
                f"expected mmdebstrap to lay out Debian {SUITE}, it says:\n{done.stderr[-2000:]}\n"
                "Check the network and the host's sources of packages."
            )
        scratch.replace(archive)


def main(argv: list[str]) -> int:
    """Make the base image and print its tag."""
    try:
        tag = build_base(argv[0] if argv else TAG, extra_packages=tuple(argv[1:]))
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    sys.stdout.write(f"{tag}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
