"""Runs a driver as a container and is its stdin, stdout and stderr: it looks like a process here.

    python -m kafkalab.cluster.docker_attach IMAGE NAME CLUSTER RUN_ID [--env K=V].. -- ARGV...

Bytes go through unchanged in both directions. Nothing is buffered beyond one frame: where the
reader of this program's stdout stalls, reading from the daemon stops, then the daemon's from the
container, then the driver blocks. Its exit code is the container's.

What happens to this program happens to the driver: end of stdin is passed on, SIGTERM and SIGINT
arrive as SIGTERM, and SIGKILL is a crash. For the last, a witness process holds the daemon's
connection open and waits on a pipe; when this program is gone it kills the container. Without it
the driver would see its stdin end and would close cleanly, which is the opposite of a crash. Either
way nothing stays: the container is removed on exit by the daemon, and if both processes die at
once, by the run's guard when the lease ends.

Why not `docker run -i --rm`: the CLI would have to be in the step image (60 MB for one call), and
kill -9 of it leaves a container that sees end of stdin, with the consequence above.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kafkalab.cluster import docker_api
from kafkalab.model.errors import InfrastructureError, LabError, UsageError

if TYPE_CHECKING:
    import docker

_CHUNK_BYTES = 65536
_BY_SIGNAL = 128
_DEADLY = {signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS}
_NEVER_STARTED = 125  # what the Docker CLI answers for a container that it could not start


def main(argv: Sequence[str] | None = None) -> int:
    """Run one container to its end; returns its exit code, 125 when it never started."""
    options = _parse(argv)
    try:
        client = docker_api.connect(timeout_s=None)
        return _run(client, options)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return _NEVER_STARTED


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="docker_attach", description="Run a driver's container.")
    for name in ("image", "name", "cluster", "run_id"):
        parser.add_argument(name)
    parser.add_argument("--env", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("command", nargs="*", help="inside the image; none: the image's own")
    return parser.parse_args(argv)


def _run(client: docker.DockerClient, options: argparse.Namespace) -> int:
    from docker.errors import APIError, ImageNotFound

    try:
        container = client.api.create_container(**_specification(client, options))["Id"]
        attached = client.api.attach_socket(
            container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        )
        _witness(container, attached)
        code = _ExitCode(container)
        client.api.start(container)
    except ImageNotFound as error:
        raise UsageError(
            f"no image {options.image}: build it first (`make images`, see docker/README.md)."
        ) from error
    except APIError as error:
        raise InfrastructureError(
            f"expected to start {options.image} as {options.name}, the daemon says: {error}"
        ) from error
    _pass_signals_on(container)
    pump = threading.Thread(target=_pump_stdin, args=(attached,), daemon=True)
    pump.start()
    _pump_output(attached)
    return _ended(code.wait())


def _specification(client: docker.DockerClient, options: argparse.Namespace) -> dict[str, Any]:
    from docker.types import LogConfig

    host_config = client.api.create_host_config(
        auto_remove=True,
        network_mode=options.cluster,
        log_config=LogConfig(type="none"),  # its output is ours; the daemon need not keep a copy
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
    )
    return {
        "image": options.image,
        "name": options.name,
        "command": options.command or None,
        "environment": options.env,
        "labels": docker_api.labels(options.run_id, options.cluster, "driver"),
        "stdin_open": True,
        "host_config": host_config,
    }


def _ended(code: int) -> int:
    """Die by the signal that ended the driver, as a process would; else pass its code on.

    A container reports both as a number, 128 + n for a signal, as shells do.
    """
    number = code - _BY_SIGNAL
    if number in _DEADLY:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the core would be of this program
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return code


class _ExitCode:
    """The exit code of a container that vanishes on exit: asked for before it starts."""

    def __init__(self, container: str) -> None:
        self._client = docker_api.connect(timeout_s=None)
        self._container = container
        self._answer: list[int] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        answer = self._client.api.wait(self._container, condition="removed")
        self._answer.append(int(answer["StatusCode"]))

    def wait(self) -> int:
        """Block until the container is gone."""
        self._thread.join()
        if not self._answer:
            raise InfrastructureError(
                f"expected the exit code of container {self._container[:12]}, the daemon gave none."
            )
        return self._answer[0]


def _witness(container: str, attached: Any) -> None:
    """Fork a process that kills the container once this one is gone, however it went.

    What the container still writes is read and dropped then: the daemon does not remove a container
    whose output is stuck in a connection, nor answer questions about it.
    """
    gone, alive = os.pipe()  # `alive` stays open in this process only, until it ends
    if os.fork() != 0:
        os.close(gone)
        return
    try:
        os.setsid()  # what kills our process group must leave the witness
        os.close(alive)
        devnull = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(devnull, descriptor)
        os.read(gone, 1)
        threading.Thread(target=_drain, args=(attached,), daemon=True).start()
        _remove(container)
    finally:
        os._exit(0)


def _drain(attached: Any) -> None:
    while os.read(attached.fileno(), _CHUNK_BYTES):
        pass


def _remove(container: str) -> None:
    from docker.errors import APIError

    with contextlib.suppress(APIError):  # it is gone, or going: then there is nothing to do
        docker_api.connect().api.remove_container(container, force=True, v=True)


def _pass_signals_on(container: str) -> None:
    from docker.errors import APIError

    client = docker_api.connect()

    def forward(_number: int, _frame: object) -> None:
        with contextlib.suppress(APIError):  # it has ended: nobody needs the signal
            client.api.kill(container, signal="SIGTERM")

    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGINT, forward)


def _pump_stdin(attached: Any) -> None:
    connection = socket.socket(fileno=os.dup(attached.fileno()))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the driver has ended
        while chunk := os.read(0, _CHUNK_BYTES):
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)


def _pump_output(attached: Any) -> None:
    from docker.utils.socket import frames_iter

    for stream, data in frames_iter(attached, tty=False):  # type: ignore[no-untyped-call]
        view = memoryview(data)
        while view:
            view = view[os.write(stream, view) :]


if __name__ == "__main__":
    raise SystemExit(main())
