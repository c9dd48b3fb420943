"""What this host can do, what it lacks, and how to get it: `kafkalab doctor`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.table import Table

from kafkalab.cli import output
from kafkalab.model.errors import ExitCode, LabError
from kafkalab.runtime import java, paths, pins

MEMORY_GIB_MIN = 4.0
DISK_GIB_MIN = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: str  # ok | lacks | optional
    found: str
    todo: str = ""


def run(json_output: bool) -> ExitCode:
    """Look at everything; 0 when the process engine can run, else 2."""
    findings = [check() for check in _CHECKS]
    if json_output:
        output.print_json({"findings": [asdict(finding) for finding in findings]})
    table = Table(title="kafkalab doctor", title_justify="left")
    for column in ("what", "state", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(finding.what, finding.state, finding.found, finding.todo)
    output.stderr.print(table)
    lacking = any(finding.state == "lacks" for finding in findings)
    return ExitCode.USAGE if lacking else ExitCode.PASS


def _python() -> Finding:
    version = sys.version.split()[0]
    state = "ok" if sys.version_info >= (3, 11) else "lacks"
    return Finding(
        "Python ≥ 3.11", state, version, "" if state == "ok" else "install 3.11 or newer"
    )


def _java() -> Finding:
    try:
        return Finding("JRE ≥ 17", "ok", f"{java.java_version()} at {java.java_binary()}")
    except LabError as error:
        return Finding("JRE ≥ 17", "lacks", str(error), "make setup, or set KAFKALAB_JAVA")


def _memory() -> Finding:
    free = psutil.virtual_memory().available / 2**30
    state = "ok" if free >= MEMORY_GIB_MIN else "lacks"
    todo = "" if state == "ok" else f"{MEMORY_GIB_MIN:g} GiB are needed for brokers and lab"
    return Finding("memory", state, f"{free:.1f} GiB available", todo)


def _cores() -> Finding:
    count = os.cpu_count() or 1
    state = "ok" if count >= 2 else "optional"
    return Finding("cores", state, str(count), "" if state == "ok" else "benchmarks want 2")


def _disk() -> Finding:
    home = paths.home()
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free / 2**30
    state = "ok" if free >= DISK_GIB_MIN else "lacks"
    todo = "" if state == "ok" else f"free {DISK_GIB_MIN:g} GiB, or move KAFKALAB_HOME"
    return Finding("disk", state, f"{free:.0f} GiB free at {home}", todo)


def _artifacts() -> Finding:
    """Whether a run could start without a network."""
    known = pins.load()
    cached = sorted((paths.cache() / "maven").glob("*.json"))
    if cached:
        return Finding("artifacts", "ok", f"{len(cached)} resolved sets in {paths.cache()}")
    wanted = ", ".join(known.brokers["kafka"].values())
    return Finding("artifacts", "optional", "none cached", f"make setup fetches Kafka {wanted}")


def _docker() -> Finding:
    from kafkalab.cluster.registry import select_engine

    try:
        select_engine("docker")
    except LabError as error:
        return Finding("engine docker", "optional", str(error), "a Docker daemon, then make images")
    return Finding("engine docker", "ok", "a daemon answers and the images are built")


def _store() -> Finding:
    endpoint = os.environ.get("KAFKALAB_S3_ENDPOINT", "")
    if not endpoint:
        return Finding("store", "ok", f"embedded, in {paths.home() / 'store'}")
    from kafkalab.artifacts.store import Store

    try:
        Store.from_env().check()
    except LabError as error:
        return Finding("store", "lacks", str(error), "see docs/store.md")
    return Finding("store", "ok", endpoint)


def _airflow() -> Finding:
    """Whether what `up` started is whole: nothing starts a program again by itself."""
    from kafkalab.orchestration import service

    if lost := service.lost():
        found = f"{', '.join(lost)} ended; see {paths.home() / 'airflow' / 'logs'}"
        return Finding("Airflow", "optional", found, "make up starts it again")
    up = service.running()
    return Finding("Airflow", "ok", f"up, {up.url}" if up else "not up; make up starts it")


def _connections() -> Finding:
    """Whether bytes per connection can be had from the kernel, rather than from clients."""
    from kafkalab.cluster.wire import Ledger

    try:
        ledger = Ledger()
    except LabError as error:
        return Finding("connections", "optional", str(error), "bytes on the wire are not measured")
    ledger.close()
    if ledger.hears_ends:
        return Finding("connections", "ok", "counted by the kernel to their end")
    todo = "counts are a lower bound; CAP_NET_ADMIN makes them exact"
    return Finding("connections", "ok", "counted by the kernel, without their last bytes", todo)


def _noise() -> Finding:
    """Pressure stall information tells a noisy host from a slow build."""
    there = Path("/proc/pressure/cpu").exists()
    if there:
        return Finding("host noise", "ok", "pressure stall information is there")
    return Finding("host noise", "optional", "no PSI in this kernel", "only steal time is measured")


_CHECKS: tuple[Callable[[], Finding], ...] = (
    _python, _java, _memory, _cores, _disk, _artifacts, _docker, _store, _airflow, _connections,
    _noise,
)  # fmt: skip
