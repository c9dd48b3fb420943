"""A migrated metadata database, in the time that a copy takes.

`airflow db migrate` takes 5 to 7 s, of which most is importing Airflow, and says the same every
time. So it is done once for each version of Airflow and of the pools, into a template in the cache
that every checkout shares; a new database is a copy of it. A run in one process gets a copy of its
own: two runs never wait for each other's locks, and no scheduler can take such a run for its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from kafkalab.model.errors import InfrastructureError
from kafkalab.orchestration import home
from kafkalab.orchestration.pools import POOLS
from kafkalab.runtime import paths

MIGRATE_SECONDS_MAX = 180


def version() -> str:
    """What a database was made for: it changes with Airflow and with the pools."""
    airflow = metadata.version("apache-airflow-core")
    return f"{airflow}-{hashlib.sha256(repr(sorted(POOLS.items())).encode()).hexdigest()[:8]}"


def create(target: Path) -> None:
    """A new, migrated database with the pools; one that is there is replaced."""
    template = _template()
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    scratch.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template, scratch)
    scratch.replace(target)
    _stamp(target).write_text(version(), encoding="utf-8")


def ensure(target: Path) -> None:
    """The database of a home, created or migrated where it has to be; its content is kept."""
    stamp = _stamp(target)
    if not target.exists():
        create(target)
    elif not stamp.exists() or stamp.read_text(encoding="utf-8") != version():
        _migrate(target)
        stamp.write_text(version(), encoding="utf-8")


def prepare() -> None:
    """Make the template now, so that the first run need not."""
    _template()


def _stamp(target: Path) -> Path:
    return target.with_name(f"{target.name}.version")


def _template() -> Path:
    path = paths.cache().absolute() / "airflow" / f"{version()}.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return path
    with FileLock(path.with_suffix(".lock"), timeout=MIGRATE_SECONDS_MAX):
        if not path.exists():
            scratch = path.with_suffix(".part")
            scratch.unlink(missing_ok=True)
            _migrate(scratch)
            scratch.replace(path)
    return path


def _migrate(target: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kafkalab.orchestration.database"],
        env=home.environment(target),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MIGRATE_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        raise InfrastructureError(
            f"{target}: expected Airflow to migrate its database, it exited with "
            f"{done.returncode}: {done.stdout[-2000:]}"
        )


def _main() -> None:
    from airflow.utils.db import initdb

    from kafkalab.orchestration.pools import create_pools

    initdb()
    create_pools()


if __name__ == "__main__":
    _main()
