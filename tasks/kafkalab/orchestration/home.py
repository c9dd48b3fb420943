"""The lab's Airflow home: its folder, its settings as environment variables, its secrets.

Everything is set through the environment and nothing through `airflow.cfg`, so that a checkout can
be moved and an upgrade of Airflow finds no stale file. Secrets are made once and kept in a file
that only the user can read.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from kafkalab.orchestration.pools import PARALLELISM_MIN
from kafkalab.orchestration.store import CONNECTION_VARIABLE, connection_from_environment
from kafkalab.runtime import paths

HOST = "127.0.0.1"
USER = "admin"


def folder() -> Path:
    """Airflow's home under the state folder of the lab; created when it is missing."""
    path = paths.home().absolute() / "airflow"
    path.mkdir(parents=True, exist_ok=True)
    return path


def database() -> Path:
    """Metadata database of the Airflow that `up` starts."""
    return folder() / "airflow.db"


def dags_folder() -> Path:
    """The folder of DAG files."""
    return paths.root() / "dags"


def parallelism() -> int:
    """Tasks at once: what the host has cores for, and never less than the pools need."""
    return max(PARALLELISM_MIN, os.cpu_count() or 1)


def environment(
    database_file: Path, port: int | None = None, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment of an Airflow process on this database.

    Args:
        database_file: SQLite file.
        port: of the API server, where there is one.
        given: variables beside those of this process; the lab's own settings win over both.
    """
    before = {**os.environ, **(given or {})}
    keys = read_secrets()
    settings = {
        "CORE__DAGS_FOLDER": str(dags_folder()),
        "CORE__PLUGINS_FOLDER": str(paths.root() / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(parallelism()),
        "CORE__FERNET_KEY": keys["fernet"],
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(_passwords(keys["password"])),
        "API__HOST": HOST,
        "API__WORKERS": "1",
        "API__SECRET_KEY": keys["api"],
        "API_AUTH__JWT_SECRET": keys["jwt"],
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database_file}",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "LOGGING__BASE_LOG_FOLDER": str(folder() / "logs"),
        "LOGGING__COLORED_CONSOLE_LOG": "False",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    if port is not None:
        settings["API__PORT"] = str(port)
        settings["API__BASE_URL"] = f"http://{HOST}:{port}"
        settings["CORE__EXECUTION_API_SERVER_URL"] = f"http://{HOST}:{port}/execution/"
    variables = {f"AIRFLOW__{name}": value for name, value in settings.items()}
    search = [str(Path(sys.executable).parent), before.get("PATH", "")]
    return {
        **before,
        **variables,
        **_store(before),
        "AIRFLOW_HOME": str(folder()),
        "KAFKALAB_HOME": str(paths.home().absolute()),
        "KAFKALAB_ROOT": str(paths.root().absolute()),
        "PATH": os.pathsep.join(search),
        "PYTHONUNBUFFERED": "1",
        # Importing Airflow takes 2.7 s from source and 1.4 s from bytecode, for every process.
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _store(environ: Mapping[str, str]) -> dict[str, str]:
    """The connection to the store, unless the environment already has one for Airflow."""
    connection = connection_from_environment(environ)
    if CONNECTION_VARIABLE in environ or connection is None:
        return {}
    return {CONNECTION_VARIABLE: json.dumps(connection)}


def read_secrets() -> dict[str, str]:
    """Keys and the password of this home; made at the first call."""
    path = folder() / "secrets.json"
    if not path.exists():
        made = {
            "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "api": secrets.token_urlsafe(32),
            "jwt": secrets.token_urlsafe(64),
            "password": secrets.token_urlsafe(12),
        }
        write_private(path, json.dumps(made))
    return {str(k): str(v) for k, v in json.loads(path.read_text(encoding="utf-8")).items()}


def _passwords(password: str) -> Path:
    path = folder() / "passwords.json"
    if not path.exists():
        write_private(path, json.dumps({USER: password}))
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    scratch.replace(path)
