"""The one JSON object of the command line (DESIGN 7a) and where progress goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from kafkalab.model.run import Run
from kafkalab.model.verdict import CellVerdict, Outcome, Skipped
from kafkalab.report.text import clean

stderr = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line of progress."""
    stderr.print(text, markup=False, soft_wrap=True)


def tell(lines: Sequence[str]) -> None:
    """A timeline: what proves the finding stands out."""
    for line in lines:
        style = "bold red" if line.startswith(">") else ""
        stderr.print(Text(f"           {clean(line)}", style), soft_wrap=True)


def print_json(document: dict[str, Any]) -> None:
    """The one object on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


def document(
    run: Run | None, outcome: Outcome, cells: Sequence[CellVerdict], report: str, replay: str
) -> dict[str, Any]:
    """A run, or a history without one, as the command line promises it."""
    return {
        "run": run.run_id if run else None,
        "verdict": str(outcome),
        "seed": run.seed if run else None,
        "report": report,
        "replay": replay,
        "skipped": [asdict(s) for s in run.skipped] if run else [],
        "cells": [cell(verdict) for verdict in cells],
    }


def cell(verdict: CellVerdict) -> dict[str, Any]:
    """One cell of the object."""
    return {
        "scenario": verdict.scenario,
        "clients": list(verdict.clients),
        "broker": verdict.broker,
        "engine": verdict.engine,
        "verdict": str(verdict.outcome),
        "seconds": verdict.seconds,
        "reason": verdict.reason,
        "replay": verdict.replay,
        "claims": [
            {
                "claim": claim.claim,
                "verdict": str(claim.outcome),
                "count": claim.count,
                "summary": claim.summary,
                "evidence": claim.evidence_uri or "",
                "timeline": list(claim.timelines[0]) if claim.timelines else [],
            }
            for claim in verdict.claims
        ],
        "metrics": dict(verdict.metrics),
        "skipped": [asdict(skipped) for skipped in verdict.skipped],
    }


def skipped(items: Sequence[Skipped]) -> str:
    """Skipped things as one line."""
    return "; ".join(f"{item.what}: needs {item.needs}" for item in items)
