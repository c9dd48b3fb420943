"""Judges what a cell records while it is recorded: the first finding at once, not after hours.

Every `live_s` seconds of its scenario, what arrived since is expanded, as it would have been at the
end (recorder.py), and given to the live form of the verdict engine (checkers/live). A finding is
told as soon as it is seen, and told again if it turns out to be none. What stands in the verdict is
what the batch form says of the whole history; where the two differ, the lab has a defect and says
so (`differences`). A judge that gave up for want of memory or disk has no part in that.

Judged are those claims of the scenario that the live form knows; loops record no records, so
there is nothing to follow in them.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from kafkalab.checkers import compose, history
from kafkalab.checkers.live.judge import LIVE, Live
from kafkalab.model.history import CheckContext
from kafkalab.model.scenario import Scenario
from kafkalab.model.verdict import ClaimVerdict, Outcome
from kafkalab.workloads.recorder import Recorder

STOP_S = 120.0  # a look takes about a second
HELD_ROWS_MAX = 2_000_000  # readers fall behind under backpressure; takes 800 MiB
SHOWN = 3  # findings of a claim that are told


class Follower:
    """One thread that looks every `scenario.live_s` seconds.

    Args:
        recorder: of the cell.
        scenario: its claims, and how often to look.
        bounds: those that the history will be judged with at the end.
        mark: takes what is found or withdrawn, for the person who watches and for the plots.
        tell: takes a line of its evidence.
    """

    def __init__(
        self,
        recorder: Recorder,
        scenario: Scenario,
        bounds: CheckContext,
        mark: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        self._recorder = recorder
        self._scenario = scenario
        self._bounds = bounds
        self._mark = mark
        self._tell = tell
        self.claims = tuple(claim for claim in scenario.claims if claim in LIVE)
        self._live = Live(bounds, self.claims, held_rows_max=HELD_ROWS_MAX)
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._trace = ""  # of a defect of its own
        self._rows = self._looks = 0
        self._red: set[str] = set()
        self._told: list[dict[str, Any]] = []
        self._differences: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what was recorded since the last look is left to `differences`."""
        self._stop.set()
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            self._trace = f"a look took longer than {STOP_S:g} s"

    def look(self) -> None:
        """Take in what arrived, and tell what changed."""
        now_ns = time.monotonic_ns()
        self._take(history.from_columns(self._recorder.grow()))
        self._looks += 1
        for verdict in self._live.verdicts(now_ns):
            red = verdict.outcome is Outcome.FAIL
            if red and verdict.claim not in self._red:
                self._red.add(verdict.claim)
                self._note(verdict, "found")
            elif not red and verdict.claim in self._red:
                self._red.remove(verdict.claim)
                self._note(verdict, "withdrawn")

    def differences(
        self, table: pa.Table, context: CheckContext, verdicts: Mapping[str, ClaimVerdict]
    ) -> tuple[str, ...]:
        """Where the live form and the batch form differ on the whole history; call it after `stop`.

        Args:
            table: the history.
            context: what it was judged with.
            verdicts: the batch form's, by claim: of those claims that were judged on the history.
        """
        self._differences = tuple(self._compare(table, context, verdicts))
        return self._differences

    def report(self) -> dict[str, Any]:
        """What it did, as `live.json` of the cell."""
        return {
            "interval_s": self._scenario.live_s,
            "claims": list(self.claims),
            "looks": self._looks,
            "rows": self._rows,
            "told": self._told,
            "gave_up": self._live.reason,
            "differences": list(self._differences),
        }

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._scenario.live_s):
                self.look()
        except Exception:  # noqa: BLE001 a defect of the judge must not end the load; the cell tells
            self._trace = traceback.format_exc()

    def _take(self, rows: pa.Table) -> None:
        self._rows += len(rows)
        self._live.fold(rows)

    def _note(self, verdict: ClaimVerdict, what: str) -> None:
        after_s = round(time.monotonic() - self._began, 1)
        evidence = [dict(found) for found in verdict.evidence[:SHOWN]]
        self._told.append(
            {
                "what": what, "claim": verdict.claim, "after_s": after_s,
                "summary": verdict.summary, "evidence": evidence,
            }
        )  # fmt: skip
        self._mark(f"live, after {after_s:g} s: {verdict.claim} {what}: {verdict.summary}")
        for found in evidence if what == "found" else ():
            self._tell(f"  evidence: {found}")

    def _compare(
        self, table: pa.Table, context: CheckContext, verdicts: Mapping[str, ClaimVerdict]
    ) -> Iterable[str]:
        if self._trace:
            yield f"the live judge failed: {self._trace}"
            return
        if replace(context, finished_ns=0) != replace(self._bounds, finished_ns=0):
            yield f"it was judged with {context} and followed with {self._bounds}"
            return
        self._take(table.slice(self._rows))
        found = self._live.finish(context.finished_ns)
        if self._live.reason:
            return
        if set(verdicts) != set(self.claims):  # claims share findings among those judged together
            whole = compose.judge(table, self.claims, context)
            verdicts = {verdict.claim: verdict for verdict in whole}
        for live in found:
            batch = verdicts[live.claim]
            if _told(live) != _told(batch):
                yield f"{live.claim}: live {_told(live)}, at the end {_told(batch)}"


def _told(verdict: ClaimVerdict) -> tuple[str, int, str]:
    return verdict.outcome.value, verdict.count, verdict.summary
