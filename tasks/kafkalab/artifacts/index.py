"""The index: one row per result, one Parquet file a day, so that a trend needs no crawl.

Several runs may end on one day and add to the same file at once: each reads it, adds its rows and
replaces exactly the version that it has read; who loses reads again, a bounded number of times. A
run that is published again replaces its own rows.

A result is a claim of a cell (`value`: findings), a metric of a cell (`value` in the metric's
unit), or the cell itself (`name` is `cell`, `value` its seconds). The day is the one on which the
run started, UTC.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from kafkalab.artifacts import keys
from kafkalab.artifacts.store import Conflict, Store, StoreError
from kafkalab.model.run import Run
from kafkalab.model.verdict import CellVerdict

TRIES = 30
SCHEMA = pa.schema(
    [
        ("started", pa.timestamp("ms", tz="UTC")),  # of the run; Parquet has no seconds
        ("run", pa.string()),  # prefix
        ("run_id", pa.string()),
        ("workflow", pa.string()),
        ("branch", pa.string()),
        ("sha", pa.string()),
        ("runner", pa.string()),
        ("host_class", pa.string()),
        ("profile", pa.string()),
        ("seed", pa.uint64()),
        ("cell", pa.string()),
        ("scenario", pa.string()),
        ("client", pa.string()),  # several are joined by "+"
        ("broker", pa.string()),
        ("engine", pa.string()),
        ("kind", pa.string()),  # cell | claim | metric
        ("name", pa.string()),
        ("outcome", pa.string()),  # pass | fail | unknown; of a metric: of its cell
        ("value", pa.float64()),
    ]
)


def rows(run: Run, cells: Iterable[CellVerdict]) -> pa.Table:
    """The results of a run as rows of `SCHEMA`."""
    parts = keys.parse_run(run.prefix)
    common = {
        "started": parts.started,
        "run": run.prefix,
        "run_id": run.run_id,
        "workflow": run.workflow,
        "branch": parts.branch,
        "sha": parts.sha,
        "runner": parts.runner,
        "host_class": run.host_class,
        "profile": run.profile,
        "seed": run.seed,
    }
    found = [{**common, **row} for cell in cells for row in _results(cell)]
    return pa.Table.from_pylist(found, schema=SCHEMA)


def add(store: Store, run: Run, cells: Iterable[CellVerdict]) -> str:
    """Add the results of a run to the index of its day; returns the URI of that index.

    Raises:
        Conflict: so many others added at the same time that every try lost.
        StoreError: the store failed.
    """
    new = rows(run, cells)
    key = keys.index_day(keys.parse_run(run.prefix).started.date())

    def once() -> None:
        before = store.get_with_etag(key)
        table = new
        if before is not None:
            old = _parse(key, before.data)
            kept = old.filter(pc.not_equal(old["run"], run.prefix))
            table = pa.concat_tables([kept, new], promote_options="default")
        store.put_if(key, _render(table), before.etag if before else None)

    retrying = Retrying(
        retry=retry_if_exception_type(Conflict),
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        reraise=True,
    )
    retrying(once)
    return store.uri(key)


def read(store: Store, first: date, last: date | None = None) -> pa.Table:
    """Rows of the days from `first` to `last`, both included; None: of one day. May be empty."""
    tables = []
    day = first
    while day <= (last or first):
        found = store.get_with_etag(keys.index_day(day))
        if found is not None:
            tables.append(_parse(keys.index_day(day), found.data))
        day += timedelta(days=1)
    return pa.concat_tables([SCHEMA.empty_table(), *tables], promote_options="default")


def _results(cell: CellVerdict) -> Iterable[dict[str, Any]]:
    common = {
        "cell": cell.cell,
        "scenario": cell.scenario,
        "client": "+".join(cell.clients),
        "broker": cell.broker,
        "engine": cell.engine,
    }
    yield {**common, "kind": "cell", "name": "cell", "outcome": cell.outcome, "value": cell.seconds}
    for claim in cell.claims:
        row = {"kind": "claim", "name": claim.claim, "outcome": claim.outcome, "value": claim.count}
        yield {**common, **row}
    for name, value in cell.metrics.items():
        row = {"kind": "metric", "name": name, "outcome": cell.outcome, "value": value}
        yield {**common, **row}


def _parse(key: str, data: bytes) -> pa.Table:
    try:
        return pq.read_table(io.BytesIO(data))
    except pa.ArrowException as error:
        raise StoreError(
            f"store: {key}: expected a Parquet file, found something else ({error}). Move it away; "
            "publishing a run again adds its rows anew."
        ) from error


def _render(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
