"""What a cell leaves behind: its files, the numbers that the history holds, and crashed clients."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kafkalab.artifacts.store import to_json
from kafkalab.clients.driver import Driver
from kafkalab.cluster.engine import CONNECTIONS, Engine
from kafkalab.model import series
from kafkalab.model.cluster import Wire
from kafkalab.model.scenario import Scenario
from kafkalab.model.series import Reading
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome, Skipped
from kafkalab.steps.frame import StepContext

LOG_BYTES_MAX = 2 * 2**20
# what an engine or a driver must be able to for a metric to exist
_NEEDS = {
    "fetched_bytes_per_delivered_byte": CONNECTIONS,
    "buffered_records_max": "buffered-records",
}
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)

_METRICS = {
    "startup_ms_max": """
        SELECT max(first_ns - open_ns) / 1e6 FROM
          (SELECT process, min(time_ns) AS open_ns FROM history
           WHERE op = 'open' AND type = 'invoke' GROUP BY process) JOIN
          (SELECT process, min(time_ns) AS first_ns FROM history
           WHERE type = 'ok' AND (op = 'send' OR (op = 'poll' AND topic IS NOT NULL))
           GROUP BY process) USING (process)""",
    "close_ms_max": """
        SELECT max(done.time_ns - start.time_ns) / 1e6 FROM (SELECT * FROM history WHERE op =
        'close' AND type = 'invoke') AS start JOIN (SELECT * FROM history WHERE op = 'close' AND
        type = 'ok') AS done
          USING (process, op_id)""",
    "drain_ms": """
        SELECT greatest(0,
          (SELECT max(time_ns) FROM history WHERE op = 'poll' AND topic IS NOT
        NULL) - (SELECT max(time_ns) FROM history WHERE op = 'send' AND type = 'ok')) / 1e6""",
    "poll_gap_ms_max": """
        SELECT max(gap) / 1e6 FROM (SELECT time_ns - lag(time_ns) OVER
          (PARTITION BY process ORDER BY "index") AS gap
          FROM history WHERE op = 'poll' AND type = 'ok' AND topic IS NOT NULL)""",
    "throughput_records_per_s_median": """
        SELECT median(n) FROM (SELECT count(*) AS n FROM history
          WHERE op = 'poll' AND type = 'ok' AND topic IS NOT NULL
          GROUP BY time_ns // 1000000000)""",
}


def metrics(table: pa.Table, readings: Sequence[Reading], scenario: Scenario) -> dict[str, float]:
    """Those of the scenario's metrics that history and series hold; the others are left out."""
    found: dict[str, float] = {}
    rss = [r.value for r in readings if r.metric == "rss_bytes"]
    if rss and "rss_bytes_max" in scenario.metrics:
        found["rss_bytes_max"] = max(rss)
    with duckdb.connect(":memory:") as connection:
        connection.register("history", table)
        for name in scenario.metrics:
            row = connection.execute(_METRICS[name]).fetchone() if name in _METRICS else None
            if row and row[0] is not None:
                found[name] = float(row[0])
    return found


def skipped(
    scenario: Scenario, found: Mapping[str, float], engine: Engine, drivers: Iterable[Driver]
) -> tuple[Skipped, ...]:
    """Metrics of the scenario that could not be measured, for want of which capability."""
    missing = [name for name in scenario.metrics if name not in found and name in _NEEDS]
    if not missing:
        return ()
    able = engine.capabilities()
    for driver in drivers:
        able |= frozenset(driver.hello["capabilities"])
    return tuple(Skipped(name, _NEEDS[name]) for name in missing if _NEEDS[name] not in able)


def files(
    context: StepContext,
    verdict: CellVerdict,
    table: pa.Table,
    readings: Sequence[Reading],
    logs: Path,
    wire: Wire | None = None,
) -> dict[str, bytes | Path]:
    """Everything of a cell under its name; `verdict.json` names where the evidence is."""
    found: dict[str, bytes | Path] = {
        "history.parquet": _parquet(table),
        "metrics.parquet": _parquet(_series_table(readings)),
    }
    for log in sorted(logs.glob("*.log")):
        found[f"logs/{log.name}"] = log.read_bytes()[-LOG_BYTES_MAX:]
    uri = context.store.uri(context.key("history.parquet"))
    raw = verdict.to_dict()
    for claim in raw["claims"]:
        claim["evidence_uri"] = uri
    raw["series"] = {"metrics": context.key("metrics.parquet")}
    if wire is not None:
        found["wire.json"] = to_json(wire.to_dict())
        raw["series"]["wire"] = context.key("wire.json")
    found["verdict.json"] = to_json(raw)
    return found


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def _series_table(readings: Sequence[Reading]) -> pa.Table:
    columns = {
        name: pa.array([getattr(r, name) for r in readings], pa.type_for_alias(dtype))
        for name, dtype in series.COLUMNS
    }
    return pa.table(columns)


def loaded_clients(drivers: Iterable[Driver]) -> tuple[str, ...]:
    """NAME@VERSION as the drivers say they loaded, never as it was asked for."""
    clients = (driver.hello["client"] for driver in drivers)
    return tuple(dict.fromkeys(f"{client['name']}@{client['version']}" for client in clients))


def crashes(drivers: Iterable[Driver]) -> Iterable[ClaimVerdict]:
    """Clients that ended by themselves; a SIGKILL from outside (the OOM killer) is none."""
    for driver in drivers:
        code = driver.exited_unasked
        if code is None or code in _FROM_OUTSIDE:
            continue
        summary = f"driver process {driver.name} ended by itself with exit code {code}"
        found = {"driver": driver.name, "exit_code": code, "stderr": driver.last_lines(40)}
        yield ClaimVerdict("crash", Outcome.FAIL, 1, summary, (found,))
