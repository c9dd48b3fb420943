"""The documents of a run in the store: `run.json`, manifests, verdicts, what the gate decided.

A manifest is written last and only when all that it names is stored, so who finds one can rely on
it. The other way round, an attempt without a manifest did not finish, and is never taken for its
result: `read_cells` judges a cell by its latest attempt, finished or not, and never falls back to
an earlier one that looked better. No attempt is hidden: `read_attempts` gives them all.

A cell's manifest lies in the cell's folder, because cells of one step run as tasks of their own and
would write the same key otherwise. For `provision` the broker's role takes the place of the cell.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from kafkalab.artifacts import keys
from kafkalab.artifacts.store import Conflict, Store, StoreError, to_json
from kafkalab.model.errors import UsageError
from kafkalab.model.gate import GateResult
from kafkalab.model.run import Manifest, Run
from kafkalab.model.scenario import STEPS, Cell
from kafkalab.model.verdict import CellVerdict, Outcome

_RUN_DEPTH = 7  # folders between runs/ and run.json
_REPLACE_TRIES = 10


@dataclass(frozen=True)
class Attempt:
    """One attempt of one cell, as far as it got."""

    step: str
    attempt: int
    cell: str  # the cell's folder: `keys.safe` of its identifier
    prefix: str  # of everything that it stored
    manifest: Manifest | None  # None: it did not finish
    verdict: CellVerdict | None  # None: it found nothing that it could say

    @property
    def problem(self) -> str:
        """Why this attempt has no result, as a sentence; empty when it has one."""
        if self.manifest is None:
            return f"attempt {self.attempt} of {self.step} did not finish: it left no manifest."
        if self.verdict is None:
            reason = self.manifest.reason or "its manifest gives no reason."
            return f"attempt {self.attempt} of {self.step} left no verdict: {reason}"
        return ""


def write_run(store: Store, run: Run) -> str:
    """Store what a run is to do; returns the URI of its prefix."""
    keys.parse_run(run.prefix)
    store.put_json(keys.run_document(run.prefix), run.to_dict())
    return store.uri(run.prefix)


def read_run(store: Store, run: str) -> Run:
    """Read `run.json` of a prefix or URI; `StoreError` when there is none."""
    return Run.from_dict(store.get_json(keys.run_document(store.key(run))))


def write_manifest(store: Store, prefix: str, manifest: Manifest) -> str:
    """Store a manifest, last; returns its URI.

    Raises:
        StoreError: it names an artifact that is not stored, or the store failed.
    """
    prefix = store.key(prefix)
    at = keys.step_prefix(prefix, manifest.step, manifest.attempt)
    stored = set(store.list(at))
    for name, uri in manifest.artifacts.items():
        key = store.key(uri)
        if key not in stored and not store.exists(key):
            raise StoreError(
                f"manifest of {at}: expected its artifact '{name}' in the store, found no {key}. "
                "Store the artifacts first; a manifest comes last."
            )
    key = keys.manifest(prefix, manifest.step, manifest.attempt, manifest.cell)
    return store.put_json(key, manifest.to_dict())


def read_manifests(store: Store, prefix: str, *, latest: bool = False) -> list[Manifest]:
    """Manifests of a run by step, cell and attempt; `latest`: only the last attempt of each."""
    found = [
        Manifest.from_dict(store.get_json(key))
        for key in store.list(keys.run_prefix_of(store.key(prefix)))
        if key.endswith("/manifest.json")
    ]
    found.sort(key=lambda m: (m.step, m.cell, m.attempt))
    if latest:
        return list({(m.step, m.cell): m for m in found}.values())
    return found


def read_attempts(store: Store, prefix: str) -> list[Attempt]:
    """Every attempt of every cell, by step, cell and attempt, finished or not."""
    prefix = keys.run_prefix_of(store.key(prefix))
    below: dict[tuple[str, str, int], set[str]] = {}
    finished: set[tuple[str, int]] = set()
    for key in store.list(prefix):
        at = keys.parse_attempt(key)
        if at is None or at[0] not in STEPS:
            continue
        step, attempt, rest = at
        cell, _, name = rest.partition("/")
        if name:
            below.setdefault((step, cell, attempt), set()).add(name)
        elif cell == "manifest.json":
            finished.add((step, attempt))
    attempts = []
    for (step, cell, attempt), names in sorted(below.items()):
        at_prefix = f"{keys.step_prefix(prefix, step, attempt)}{cell}/"
        manifest_key = _manifest_key(prefix, step, attempt, cell, names, finished)
        attempts.append(
            Attempt(
                step=step,
                attempt=attempt,
                cell=cell,
                prefix=at_prefix,
                manifest=Manifest.from_dict(store.get_json(manifest_key)) if manifest_key else None,
                verdict=CellVerdict.from_dict(store.get_json(f"{at_prefix}verdict.json"))
                if "verdict.json" in names
                else None,
            )
        )
    return attempts


def read_cells(store: Store, prefix: str) -> list[CellVerdict]:
    """Verdict of the latest attempt of each cell that was begun, by step and cell.

    A latest attempt without a manifest or a verdict gives `unknown` with the reason, whatever the
    attempts before it found. Cells that were planned and never begun are not among them.
    """
    latest = {(a.step, a.cell): a for a in read_attempts(store, prefix)}
    if not latest:
        return []
    run = read_run(store, keys.run_prefix_of(store.key(prefix)))
    planned = {keys.safe(c.id): c for group in run.cells.values() for c in group}
    return [_result(run, attempt, planned.get(attempt.cell)) for attempt in latest.values()]


def write_gate(store: Store, prefix: str, attempt: int, result: GateResult) -> str:
    """Store what one attempt of the gate decided, and make it the current one; returns its URI."""
    key = keys.gate(store.key(prefix), attempt)
    uri = store.put_json(key, result.to_dict())
    replace_current(store, keys.gate(store.key(prefix)), to_json(result.to_dict()))
    return uri


def read_gate(store: Store, prefix: str) -> GateResult | None:
    """What the latest attempt of the gate decided; None when no gate has run."""
    key = keys.gate(store.key(prefix))
    return GateResult.from_dict(store.get_json(key)) if store.exists(key) else None


def write_report(store: Store, prefix: str, attempt: int, html: bytes) -> str:
    """Store the report of one attempt, and make it the current one, whose URI is returned."""
    store.put_bytes(keys.report(store.key(prefix), attempt), html, "text/html; charset=utf-8")
    current = keys.report(store.key(prefix))
    replace_current(store, current, html, "text/html; charset=utf-8")
    return store.uri(current)


def replace_current(store: Store, key: str, data: bytes, content_type: str | None = None) -> str:
    """Make `data` what a key holds, over whatever it holds now; returns the ETag."""
    retrying = Retrying(
        retry=retry_if_exception_type(Conflict),
        stop=stop_after_attempt(_REPLACE_TRIES),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        reraise=True,
    )

    def once() -> str:
        before = store.get_with_etag(key)
        return store.put_if(key, data, before.etag if before else None, content_type)

    return retrying(once)


def list_runs(store: Store) -> list[str]:
    """Prefixes of all runs in the store, oldest first."""
    found: Iterable[str] = (keys.RUNS,)
    for _ in range(_RUN_DEPTH):
        found = [below for prefix in found for below in store.folders(prefix)]
    return sorted(_runs_only(found), key=lambda prefix: (keys.parse_run(prefix).started, prefix))


def find_run(store: Store, text: str) -> str:
    """Prefix of the run that a person means.

    Args:
        store: where to look.
        text: a run id, a prefix or URI, any key below one, or a fragment that only one run has.

    Raises:
        UsageError: no run or several; the nearest are named.
    """
    wanted = store.key(text.strip())
    if wanted.startswith(keys.RUNS) and wanted.count("/") >= _RUN_DEPTH:
        prefix = keys.run_prefix_of(wanted)
        if store.exists(keys.run_document(prefix)):
            return prefix
    runs = list_runs(store)
    ids = {prefix: keys.parse_run(prefix).run_id for prefix in runs}
    exact = [prefix for prefix in runs if ids[prefix] == wanted]
    found = exact or [prefix for prefix in runs if wanted and wanted in f"{prefix}\n{ids[prefix]}"]
    if len(found) == 1:
        return found[0]
    if found:
        names = "\n  ".join(found[-10:])
        raise UsageError(f"'{text}' means {len(found)} runs; say which, by more of:\n  {names}")
    near = difflib.get_close_matches(wanted, list(ids.values()), n=3, cutoff=0.4)
    near = near or [ids[prefix] for prefix in runs[-3:]]
    hint = f"Nearest: {', '.join(near)}." if near else "The store holds no run yet."
    raise UsageError(f"no run '{text}' in {store.place}. {hint}")


def _runs_only(prefixes: Iterable[str]) -> Iterator[str]:
    for prefix in prefixes:
        try:
            keys.parse_run(prefix)
        except UsageError:
            continue  # something that others keep below runs/
        yield prefix


def _manifest_key(
    prefix: str, step: str, attempt: int, cell: str, names: set[str], finished: set[tuple[str, int]]
) -> str | None:
    """Key of the manifest that vouches for a cell: its own, or the one of a step of many cells."""
    at = keys.step_prefix(prefix, step, attempt)
    if "manifest.json" in names:
        return f"{at}{cell}/manifest.json"
    return f"{at}manifest.json" if (step, attempt) in finished else None


def _result(run: Run, attempt: Attempt, planned: Cell | None) -> CellVerdict:
    if not attempt.problem and attempt.verdict is not None:
        return attempt.verdict
    known = attempt.verdict or CellVerdict(
        scenario=planned.scenario if planned else "",
        clients=planned.clients if planned else (),
        broker=planned.broker if planned else "",
        engine=run.engine,
        cell=planned.id if planned else keys.unsafe(attempt.cell),
        outcome=Outcome.UNKNOWN,
        seconds=attempt.manifest.seconds if attempt.manifest else 0.0,
        claims=(),
        metrics={},
    )
    # A claim that was seen broken stays broken; a pass of an attempt that did not finish is none.
    outcome = Outcome.FAIL if known.outcome is Outcome.FAIL else Outcome.UNKNOWN
    return replace(known, outcome=outcome, reason=attempt.problem)
