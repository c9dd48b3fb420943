"""Where everything lies in the store, as pure functions from names to object keys.

    runs/<workflow>/<branch>/<sha>/<runner>/<broker>/<client>/<utc timestamp>-<run id>/
        run.json
        <step>/attempt=<n>/manifest.json
        <step>/attempt=<n>/<cell>/{history,metrics}.parquet, verdict.json, logs/...
        gate/gate.json             the latest attempt's; gate/attempt=<n>/gate.json keeps each
        report/index.html          likewise
    baselines/<lane>/current.json
    baselines/<lane>/history/<n>.json
    index/<yyyy-mm-dd>.parquet

A part (a branch, a client, ...) may be any text. Characters outside `[A-Za-z0-9._+=@-]` become
`~HH`, one for each byte of their UTF-8 form, so a part never holds a slash and reads back exactly.
`~` was taken because `%` is decoded by some servers on the way. An empty part is `~`. A part over
100 characters keeps its beginning and ends in `~~` and a hash of the whole: still unique and
stable, no longer readable back in full. S3 allows 1,024 bytes for a key, file systems 255 for a
name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime

from kafkalab.model.errors import UsageError
from kafkalab.model.run import Lane

PART_MAX = 100
KEY_BYTES_MAX = 1024
RUNS = "runs/"
BASELINES = "baselines/"
INDEX = "index/"

_UNSAFE = re.compile(rb"[^A-Za-z0-9._+=@-]")
_ESCAPED = re.compile(rb"~([0-9A-F]{2})")
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_ATTEMPT = re.compile(r"(?:^|/)(?P<step>[^/]+)/attempt=(?P<attempt>[0-9]+)/(?P<rest>.+)$")


def safe(text: str) -> str:
    """One part of a key that stands for this text: no slash, never `.` or `..`, never empty."""
    escaped = _UNSAFE.sub(lambda m: b"~%02X" % m[0][0], text.encode()).decode()
    if not escaped:
        return "~"
    if escaped in (".", ".."):
        return escaped.replace(".", "~2E")
    if len(escaped) <= PART_MAX:
        return escaped
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    head = re.sub(r"~.?$", "", escaped[: PART_MAX - 2 - len(digest)])
    return f"{head}~~{digest}"


def unsafe(part: str) -> str:
    """The text that a part stands for; of a shortened part the beginning, `…` and the hash."""
    if part == "~":
        return ""
    head, shortened, digest = part.partition("~~")
    raw = _ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), head.encode())
    text = raw.decode(errors="replace")
    return f"{text}…{digest}" if shortened else text


@dataclass(frozen=True)
class RunParts:
    """The parts of a run's prefix, as a person wrote them."""

    workflow: str  # DAG id, or "try"
    branch: str  # "main"; "" where there is none
    sha: str
    runner: str  # name of the host that ran it
    broker: str  # "kafka@3.9.2"
    client: str  # "confluent-kafka@2.16.1", or several joined with "+"
    started: datetime  # aware, whole seconds
    run_id: str


def run_prefix(parts: RunParts) -> str:
    """Prefix of everything that a run stores, with its final slash."""
    if parts.started.tzinfo is None:
        raise UsageError("run prefix: expected a start time with a time zone, found none.")
    *names, started, run_id = astuple(parts)
    stamp = started.astimezone(UTC).strftime(_TIMESTAMP)
    return checked(RUNS + "/".join(map(safe, names)) + f"/{stamp}-{safe(run_id)}/")


def parse_run(key: str) -> RunParts:
    """Parts of the run that a prefix, or any key below it, belongs to; else a `UsageError`."""
    parts = key.removeprefix(RUNS).split("/")
    if not key.startswith(RUNS) or len(parts) < 7:
        raise UsageError(
            f"'{key}' is not in a run: expected {RUNS}<workflow>/<branch>/<sha>/<runner>/"
            "<broker>/<client>/<utc timestamp>-<run id>/."
        )
    stamp, _, run_id = parts[6].partition("-")
    try:
        started = datetime.strptime(stamp, _TIMESTAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise UsageError(
            f"'{key}': expected a UTC timestamp such as 20260131T020000Z before the run id, "
            f"found '{stamp}'."
        ) from error
    workflow, branch, sha, runner, broker, client = map(unsafe, parts[:6])
    return RunParts(workflow, branch, sha, runner, broker, client, started, unsafe(run_id))


def run_prefix_of(key: str) -> str:
    """Prefix of the run that a key belongs to; raises `UsageError` when it belongs to none."""
    parse_run(key)
    return "/".join(key.split("/")[:8]) + "/"


def run_document(prefix: str) -> str:
    """Key of `run.json`."""
    return f"{_slashed(prefix)}run.json"


def cluster(prefix: str, attempt: int, role: str) -> str:
    """Key of the `cluster.json` that one attempt of provision left for one broker role."""
    return f"{step_prefix(prefix, 'provision', attempt)}{safe(role)}/cluster.json"


def step_prefix(prefix: str, step: str, attempt: int) -> str:
    """Prefix of everything that one attempt of one step stores, with its final slash."""
    if attempt < 1:
        raise UsageError(f"attempt: expected 1 or more, found {attempt}.")
    return checked(f"{_slashed(prefix)}{safe(step)}/attempt={attempt}/")


def manifest(prefix: str, step: str, attempt: int, cell: str = "") -> str:
    """Key of the manifest of one attempt: of the step, or of one cell when cells are tasks."""
    at = cell_prefix(prefix, step, attempt, cell) if cell else step_prefix(prefix, step, attempt)
    return checked(f"{at}manifest.json")


def cell_prefix(prefix: str, step: str, attempt: int, cell: str) -> str:
    """Prefix of everything that one attempt of one cell stores, with its final slash."""
    return checked(f"{step_prefix(prefix, step, attempt)}{safe(cell)}/")


def artifact(prefix: str, step: str, attempt: int, cell: str, name: str) -> str:
    """Key of a file of a cell; `name` may hold slashes (`logs/b1.log`), each part is made safe."""
    tail = "/".join(safe(part) for part in name.split("/") if part)
    return checked(f"{cell_prefix(prefix, step, attempt, cell)}{tail}")


def verdict(prefix: str, step: str, attempt: int, cell: str) -> str:
    """Key of the verdict of one attempt of one cell."""
    return artifact(prefix, step, attempt, cell, "verdict.json")


def parse_attempt(key: str) -> tuple[str, int, str] | None:
    """(step, attempt, rest of the key), or None when the key is not below an attempt."""
    found = _ATTEMPT.search(key)
    return (found["step"], int(found["attempt"]), found["rest"]) if found else None


def gate(prefix: str, attempt: int | None = None) -> str:
    """Key of what the gate decided: in one attempt, or (None) in the latest."""
    at = step_prefix(prefix, "gate", attempt) if attempt else f"{_slashed(prefix)}gate/"
    return f"{at}gate.json"


def report(prefix: str, attempt: int | None = None) -> str:
    """Key of the report: of one attempt, or (None) of the latest."""
    at = step_prefix(prefix, "report", attempt) if attempt else f"{_slashed(prefix)}report/"
    return f"{at}index.html"


def baseline_prefix(lane: Lane) -> str:
    """Prefix of everything about the baseline of a lane, with its final slash."""
    return checked(BASELINES + "/".join(map(safe, astuple(lane))) + "/")


def baseline_current(lane: Lane) -> str:
    """Key of the accepted envelope of a lane."""
    return f"{baseline_prefix(lane)}current.json"


def baseline_entry(lane: Lane, number: int) -> str:
    """Key of one entry of a lane's history."""
    return f"{baseline_prefix(lane)}history/{number}.json"


def parse_lane(key: str) -> Lane:
    """Lane that a key below `baselines/` belongs to; else a `UsageError`."""
    parts = key.removeprefix(BASELINES).split("/")
    if not key.startswith(BASELINES) or len(parts) < 6:
        raise UsageError(
            f"'{key}' is not in a lane: expected {BASELINES}<workflow>/<broker>/<client line>/"
            "<engine>/<host class>/."
        )
    return Lane(*map(unsafe, parts[:5]))


def index_day(day: date) -> str:
    """Key of the index of one day (UTC)."""
    return f"{INDEX}{day:%Y-%m-%d}.parquet"


def checked(key: str) -> str:
    """The key; a `UsageError` when it is longer than S3 allows."""
    if len(key.encode()) > KEY_BYTES_MAX:
        raise UsageError(
            f"object key: expected at most {KEY_BYTES_MAX} bytes, found {len(key.encode())}: "
            f"{key[:200]}…; use shorter names."
        )
    return key


def _slashed(prefix: str) -> str:
    return prefix if prefix.endswith("/") else f"{prefix}/"
