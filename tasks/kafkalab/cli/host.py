"""Commands about this host: `up`, `down`, `reap`, `setup`, `images`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kafkalab.cli import output
from kafkalab.model.errors import ExitCode
from kafkalab.model.subject import Subject
from kafkalab.runtime import paths, pins

STORE_HOLDER = "up"
FIRST_RUN = "kafka_smoke"  # what `make run` executes
UNTIL_DOWN_S = 10 * 365 * 86_400.0  # the lease of what only `down`, or a reboot, ends


def up(port: int) -> ExitCode:
    """Start Airflow and the embedded store, and say where they are."""
    from kafkalab.artifacts import server
    from kafkalab.orchestration import service

    store = (
        {}
        if os.environ.get("KAFKALAB_S3_ENDPOINT")
        else server.ensure_server(STORE_HOLDER, UNTIL_DOWN_S).env()
    )
    started = service.up(port or None, store, output.say)
    output.say(f"Airflow is up: {started.url}, user {started.user}")
    output.say(f"password: {started.password_file} (readable by you only); logs: {started.logs}")
    output.say("stop it with: make down")
    return ExitCode.PASS


def down() -> ExitCode:
    """Stop Airflow and the store; what a run left is reaped."""
    from kafkalab.artifacts import server
    from kafkalab.cluster.reaper import reap as end_dead
    from kafkalab.orchestration import service

    was_up = service.down()
    server.release_server(STORE_HOLDER)
    for item in end_dead(dry_run=False):
        output.say(f"reaped {item}")
    output.say("stopped" if was_up else "nothing was up")
    return ExitCode.PASS


def reap(dry_run: bool) -> ExitCode:
    """End what has no valid lease."""
    from kafkalab.cluster.reaper import reap as end_dead

    found = end_dead(dry_run)
    for item in found:
        output.say(f"{'would end' if dry_run else 'ended'} {item}")
    if not found:
        output.say("nothing to reap: every process, container and network here has a valid lease")
    return ExitCode.PASS


def images(names: tuple[str, ...], base: str) -> ExitCode:
    """Build the images of the docker engine."""
    from kafkalab.clients import images as clients
    from kafkalab.cluster import docker_images

    def parts(client: str, version: str) -> list[tuple[Path, str]]:
        return clients.parts(Subject(client, version), pins.load())

    docker_images.build(names, base or None, output.say, parts)
    return ExitCode.PASS


def setup() -> ExitCode:
    """Fetch and build what a first run needs; a second call finds it in the cache."""
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=len(_NEEDED)) as pool:
        done = {name: pool.submit(need) for name, need in _NEEDED.items()}
        for name, future in done.items():
            future.result()
            output.say(f"ready: {name}")
    output.say(f"set up in {time.monotonic() - started:.0f} s; cache: {paths.cache()}")
    return ExitCode.PASS


def _java() -> None:
    from kafkalab.runtime.java import java_binary

    java_binary()


def _brokers() -> None:
    from kafkalab.cluster.kafka import coordinates
    from kafkalab.runtime.maven import resolve

    for version in pins.load().brokers["kafka"].values():
        resolve(coordinates(version))


def _store() -> None:
    from kafkalab.runtime.maven import resolve

    resolve([pins.load().artifacts["s3proxy"]])


def _clients() -> None:
    """The clients of the smoke; any other is built at its first use."""
    from kafkalab.clients.resolver import resolve_client
    from kafkalab.scenarios.loader import load_workflow

    known, flow = pins.load(), load_workflow(FIRST_RUN)
    for text in dict.fromkeys((*flow.subjects, *flow.everyone)):
        resolve_client(Subject.parse(text), known, "process")


def _airflow() -> None:
    from kafkalab.orchestration.database import prepare

    prepare()


_NEEDED: dict[str, Callable[[], None]] = {
    "JRE": _java,
    "Kafka, oldest, pinned and newest": _brokers,
    "embedded store": _store,
    "clients of the smoke": _clients,
    "Airflow's database": _airflow,
}
