"""The frame around every step: read the run, do the work, store what it left, the manifest last.

A step ends in one of four ways, and each leaves a manifest and one last line of JSON on stdout:
it judged (pass, fail, unknown), it met the lab's or the host's own trouble (unknown, with the
sentence), it was asked for something that cannot be (exit code 2), or it was interrupted (exit
code 130). What cannot be stored stays in the spool and makes the step red.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from kafkalab.artifacts import keys
from kafkalab.artifacts.store import Store, StoreError, to_json
from kafkalab.model.errors import ExitCode, LabError, UsageError
from kafkalab.model.run import Manifest, Run
from kafkalab.model.verdict import Outcome
from kafkalab.runtime import paths
from kafkalab.steps import noise
from kafkalab.steps.progress import Progress


@dataclass(frozen=True)
class Request:
    """What the command line asked of a step."""

    step: str
    run_uri: str
    attempt: int = 1
    cell: str = ""
    role: str = ""


@dataclass(frozen=True)
class StepContext:
    """What a step may use."""

    request: Request
    store: Store
    run: Run
    progress: Progress

    @property
    def workdir(self) -> Path:
        """Folder of this run on this host."""
        folder = paths.home() / "runs" / self.run.run_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def key(self, name: str) -> str:
        """Object key of a file of this step (or of its cell)."""
        at = (self.run.prefix, self.request.step, self.request.attempt)
        below = self.request.cell or self.request.role
        return keys.artifact(*at, below, name) if below else keys.step_prefix(*at) + name


@dataclass(frozen=True)
class StepResult:
    """What a step did. `files` are stored under its prefix before the manifest."""

    outcome: Outcome
    reason: str = ""
    files: Mapping[str, bytes | Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a step ended: all that its caller, or Airflow through XCom, needs to know."""

    code: ExitCode
    outcome: Outcome
    manifest: str  # URI

    def line(self) -> str:
        """The last line of a step's stdout."""
        return json.dumps({"manifest": self.manifest, "verdict": str(self.outcome)})


def execute(request: Request, work: Callable[[StepContext], StepResult]) -> Ended:
    """Run one step of an existing run; nothing that goes wrong in it escapes."""
    _end_on_sigterm()
    store = Store.from_env()
    prefix = store.key(request.run_uri.rstrip("/") + "/")
    run = Run.from_dict(store.get_json(keys.run_document(prefix)))
    progress = Progress(run.run_id, request.step, request.cell)
    context = StepContext(request, store, run, progress)
    started, clock = datetime.now(UTC), time.monotonic()
    before = noise.read()
    progress.event("started", text=f"{request.step} {request.cell or request.role}".strip())
    result, code = _attempt(context, work)
    manifest = Manifest(
        step=request.step,
        attempt=request.attempt,
        outcome=result.outcome,
        reason=result.reason,
        cell=request.cell,
        artifacts={name: context.key(name) for name in result.files},
        started_at=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        host=noise.between(before, noise.read()),
    )
    stored = _store(context, result, manifest)
    code = code if stored else ExitCode(max(code, ExitCode.UNKNOWN))
    outcome = result.outcome if stored else Outcome.UNKNOWN
    ended = f"{outcome} {result.reason}".strip()
    progress.event("ended", outcome=str(outcome), seconds=manifest.seconds, text=ended)
    return Ended(code, outcome, store.uri(_manifest_key(context)))


def _attempt(
    context: StepContext, work: Callable[[StepContext], StepResult]
) -> tuple[StepResult, ExitCode]:
    try:
        result = work(context)
    except KeyboardInterrupt:
        reason = "interrupted before it could judge; what it had started was stopped"
        return StepResult(Outcome.UNKNOWN, reason), ExitCode.INTERRUPTED
    except LabError as error:
        return StepResult(Outcome.UNKNOWN, str(error)), error.exit_code
    except Exception as error:  # noqa: BLE001, the lab's own defect is unknown too
        trace = traceback.format_exc()
        sys.stderr.write(trace)
        reason = f"the lab itself failed: {type(error).__name__}: {error}"
        files = {"traceback.txt": trace.encode()}
        return StepResult(Outcome.UNKNOWN, reason, files), ExitCode.UNKNOWN
    return result, result.outcome.exit_code


def _store(context: StepContext, result: StepResult, manifest: Manifest) -> bool:
    items = {context.key(name): content for name, content in result.files.items()}
    items[_manifest_key(context)] = to_json(manifest.to_dict())
    try:
        context.store.put_or_spool(items)
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return False
    return True


def _manifest_key(context: StepContext) -> str:
    request = context.request
    where = request.cell or request.role
    return keys.manifest(context.run.prefix, request.step, request.attempt, where)


def _end_on_sigterm() -> None:
    """SIGTERM (a task that is cleared, a container that is stopped) ends a step like Ctrl-C."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def require_cell(run: Run, role: str, step: str, cell: str) -> None:
    """Raise `UsageError` when the run has no such cell."""
    known = [c.id for c in run.cells.get(f"{step}/{role}", ())]
    if cell not in known:
        raise UsageError(f"run {run.run_id} has no cell '{cell}' in {step}/{role}: it has {known}.")
