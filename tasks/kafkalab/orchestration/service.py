"""Airflow as a service of this host: what `up` starts and `down` ends.

Scheduler, DAG processor and API server run under one guard, so they outlive the terminal and end
together, whatever becomes of the one who started them. There is no triggerer: no task of the lab
defers. (`airflow standalone` starts all four as children of its terminal, serves the API on every
interface, and leaves children behind on SIGTERM.)

The guard's lease says for how long: until `down`, or a reboot.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.orchestration import database, home
from kafkalab.runtime.guard import RUN_VARIABLE, GuardHandle, Program, start_guarded
from kafkalab.runtime.lease import Lease, path_of, read

NAME = "airflow"  # of the lease and the guard
PORT_DEFAULT = 8080
HEALTHY_SECONDS_MAX = 120
LEASE_SECONDS = 10 * 365 * 86_400.0
MARK = "KAFKALAB_SERVICE"  # names the home whose service started a process
STORE = "store"  # the embedded store marks its processes with this run id; others may use it
_PROGRAMS = {"scheduler": (), "dag-processor": (), "api-server": ("--host", home.HOST)}


@dataclass(frozen=True)
class Service:
    """An Airflow that is up."""

    url: str
    user: str
    password_file: str  # JSON: user → password; readable by this user only
    logs: str


class _NotHealthyError(Exception):
    """Not yet."""


def up(
    port: int | None = None,
    env: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Service:
    """Start Airflow and wait until it is healthy; one that is up is returned as it is.

    Of one that has lost a program (a scheduler that crashed), that program is started again: beside
    a whole new set the two that still serve would go on with the same database.

    Args:
        port: of the API server; None: 8080, or any free one where that is taken.
        env: variables for Airflow and the steps, beside those of this process: the store.
        say: called with progress, a sentence each.

    Raises:
        UsageError: the port that was asked for is taken.
        InfrastructureError: it did not become healthy; nothing is left running.
    """
    if (found := running() or _mended(say)) is not None:
        return found
    chosen = _port(port)
    database.ensure(home.database())
    settings = {**home.environment(home.database(), chosen, env), MARK: str(home.folder())}
    logs = home.folder() / "logs"
    logs.mkdir(exist_ok=True)
    programs = [
        Program(
            name=name,
            argv=(sys.executable, "-m", "airflow", name, *arguments),
            log=logs / f"{name}.log",
            env=settings,
        )
        for name, arguments in _PROGRAMS.items()
    ]
    say(f"starting Airflow on port {chosen}: {', '.join(_PROGRAMS)}")
    guard = start_guarded(NAME, Lease.create(NAME, LEASE_SECONDS), programs, home.folder())
    service = Service(
        url=f"http://{home.HOST}:{chosen}",
        user=home.USER,
        password_file=str(home.folder() / "passwords.json"),
        logs=str(logs),
    )
    try:
        _await_health(service, guard)
    except BaseException:
        down()
        raise
    home.write_private(_file(), json.dumps(asdict(service)))
    return service


def running() -> Service | None:
    """The Airflow of this home when its guard and all its programs run; else None."""
    guard = _guard()
    if guard is None or not guard.alive() or len(guard.pids) < len(_PROGRAMS):
        return None
    if not _file().exists():
        return None
    return Service(**json.loads(_file().read_text(encoding="utf-8")))


def lost() -> list[str]:
    """Programs that ended by themselves while the others of this home go on; sorted."""
    guard = _guard()
    if guard is None or not guard.alive() or not _file().exists():
        return []
    return sorted(set(_PROGRAMS) - set(guard.pids))


def _mended(say: Callable[[str], None]) -> Service | None:
    """The Airflow of this home with its lost programs started again; None: there is none."""
    names, guard = lost(), _guard()
    if not names or guard is None:
        return None
    service = Service(**json.loads(_file().read_text(encoding="utf-8")))
    for name in names:
        say(f"Airflow's {name} had ended (see {service.logs}/{name}.log): starting it again")
        guard.start(guard.programs()[name])
    _await_health(service, guard)
    return service


def down() -> bool:
    """Stop all of it, with every process that it started; whether anything was running.

    Raises:
        InfrastructureError: processes are left that even SIGKILL did not end.
    """
    guard = _guard()
    was_up = guard is not None and guard.alive()
    if guard is not None:
        guard.end(wait_s=30.0)
    if (lease := read(path_of(NAME))) is not None:
        lease.release()
    left = _marked()
    for process in left:
        _tell(process.terminate)
    _, left = psutil.wait_procs(left, timeout=5.0)
    for process in left:
        _tell(process.kill)
    _, left = psutil.wait_procs(left, timeout=5.0)
    _file().unlink(missing_ok=True)
    if left:
        raise InfrastructureError(
            f"expected every process of Airflow to end, left are {[p.pid for p in left]}: see "
            "whether they hang in the kernel (state D in `ps`)."
        )
    return was_up


def _file() -> Path:
    return home.folder() / "service.json"


def _guard() -> GuardHandle | None:
    folder = home.folder() / f"guard-{NAME}"
    return GuardHandle.load(folder) if (folder / "status.json").exists() else None


def _port(wanted: int | None) -> int:
    for port in (wanted or PORT_DEFAULT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((home.HOST, port))
            except OSError as error:
                if wanted:
                    raise UsageError(
                        f"port {wanted} on {home.HOST}: expected it to be free, found it in use "
                        f"({error.strerror}). Stop what has it, or give another port."
                    ) from error
                continue
            return int(probe.getsockname()[1])
    raise InfrastructureError("no free port on the loopback interface.")


def _await_health(service: Service, guard: GuardHandle) -> None:
    @retry(
        stop=stop_after_delay(HEALTHY_SECONDS_MAX),
        wait=wait_fixed(0.5),
        retry=retry_if_exception_type(_NotHealthyError),
        reraise=True,
    )
    def poll() -> None:
        dead = sorted(set(_PROGRAMS) - set(guard.pids))
        if dead:
            raise InfrastructureError(f"Airflow's {dead[0]} ended: {_tail(service, dead[0])}")
        try:
            with urlopen(f"{service.url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310
                health = json.load(answer)
        except (OSError, ValueError) as error:
            raise _NotHealthyError(str(error)) from error
        parts = ("metadatabase", "scheduler", "dag_processor")
        sick = [part for part in parts if health[part]["status"] != "healthy"]
        if sick:
            raise _NotHealthyError(f"{sick[0]} is {health[sick[0]]['status']}")

    try:
        poll()
    except _NotHealthyError as error:
        raise InfrastructureError(
            f"expected Airflow to be healthy within {HEALTHY_SECONDS_MAX} s, found: {error}. Logs "
            f"are in {service.logs}."
        ) from error


def _tail(service: Service, program: str) -> str:
    path = Path(service.logs) / f"{program}.log"
    return path.read_text(encoding="utf-8", errors="replace")[-2000:]


def _marked() -> list[psutil.Process]:
    """Processes that this home's service started, directly or not, but the embedded store."""
    found = []
    for process in psutil.process_iter():
        try:
            environ: Mapping[str, Any] = process.environ()
        except (psutil.Error, OSError):
            continue  # gone, or somebody else's
        ours = environ.get(MARK) == str(home.folder()) and process.pid != os.getpid()
        if ours and environ.get(RUN_VARIABLE) != STORE:
            found.append(process)
    return found


def _tell(signal: Callable[[], None]) -> None:
    try:
        signal()
    except psutil.NoSuchProcess:
        return  # it ended in between, which is what was wanted
