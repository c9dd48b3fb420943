"""A Docker daemon for the tests where none runs: started, stopped by its pid, nothing else touched.

    python tests/system/docker_daemon.py start FOLDER    prints the DOCKER_HOST to use, and the base
    image python tests/system/docker_daemon.py stop FOLDER

A daemon that already answers is used as it is, and `stop` leaves it alone. Otherwise, on Debian and
as root, the engine is installed with apt where it is missing, and a daemon starts whose data,
socket and pid file are all in FOLDER, and whose networks are apart from those of any other daemon.
What it takes is said in one sentence with exit code 3 when it cannot be had, and tests skip with
that sentence.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from filelock import FileLock

from kafkalab.cluster import docker_api, docker_base
from kafkalab.model.errors import InfrastructureError, LabError

_PACKAGES = {"dockerd": "docker.io", "iptables": "iptables", "mmdebstrap": "mmdebstrap"}
_INSTALL_S = 300
_UP_S = 60
_DOWN_S = 30


def start(folder: Path) -> str:
    """Make a daemon answer and give it a base image; returns its DOCKER_HOST.

    Raises:
        InfrastructureError: it cannot be had on this host, and why.
    """
    if docker_api.reachable():
        return docker_api.host()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock", timeout=_INSTALL_S):
        _install()
        os.environ["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
        if not docker_api.reachable():
            _start_daemon(folder)
        docker_base.build_base()
    return os.environ["DOCKER_HOST"]


def stop(folder: Path) -> None:
    """Stop the daemon that `start` started in this folder, and remove its data."""
    pid_file = folder / "dockerd.pid"
    if pid_file.is_file():
        try:
            daemon = psutil.Process(int(pid_file.read_text(encoding="ascii")))
            if str(folder) in " ".join(daemon.cmdline()):  # the pid may be another's by now
                daemon.send_signal(signal.SIGTERM)
                daemon.wait(_DOWN_S)
        except psutil.NoSuchProcess:
            pass  # it is down already
    for mount in (folder / "exec" / "netns").glob("*"):
        # The daemon leaves the host's own network namespace mounted when a container has used it.
        subprocess.run(["umount", str(mount)], capture_output=True, check=False)
    if folder.exists():
        shutil.rmtree(folder)


def _install() -> None:
    missing = sorted({package for name, package in _PACKAGES.items() if shutil.which(name) is None})
    if os.geteuid() != 0:
        raise InfrastructureError(
            "expected a Docker daemon, or root to start one; found neither. Start a daemon and "
            "name "
            "it in DOCKER_HOST."
        )
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise InfrastructureError(
            f"expected {', '.join(missing)} to start a Docker daemon, and this host has no "
            "apt-get to "
            "install them. Start a daemon and name it in DOCKER_HOST."
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    for command in (["apt-get", "update", "-qq"], install):
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_INSTALL_S,
            check=False,
        )
        if done.returncode != 0:
            raise InfrastructureError(
                f"expected `{' '.join(command)}` to work, it says: {done.stderr.strip()[-500:]}"
            )


def _start_daemon(folder: Path) -> None:
    log = folder / "dockerd.log"
    command = [
        "dockerd",
        f"--host=unix://{folder}/docker.sock",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/dockerd.pid",
        "--bridge=none",  # the lab's networks are its own, and another daemon may have docker0
    ]
    with log.open("ab") as stream:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    deadline = time.monotonic() + _UP_S
    while not docker_api.reachable():
        if daemon.poll() is not None or time.monotonic() > deadline:
            daemon.terminate()
            words = log.read_text(encoding="utf-8", errors="replace")[-1500:]
            raise InfrastructureError(
                f"expected dockerd to answer within {_UP_S} s, it does not. It says:\n{words}"
            )
        time.sleep(0.2)  # polls a condition


def main(argv: list[str]) -> int:
    """See the module."""
    if len(argv) != 2 or argv[0] not in ("start", "stop"):
        sys.stderr.write("usage: docker_daemon.py start|stop FOLDER\n")
        return 2
    folder = Path(argv[1]).resolve()
    if argv[0] == "stop":
        stop(folder)
        return 0
    try:
        host = start(folder)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.write(f"export DOCKER_HOST={host} KAFKALAB_BASE_IMAGE={docker_base.TAG}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
