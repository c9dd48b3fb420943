"""The live form against the batch form: the same history must get the same verdicts from both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from kafkalab.checkers.compose import judge
from kafkalab.checkers.live.judge import LIVE, Live
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict

from . import batch
from .frame import Frame, concat

PIECES = 5  # that a history comes in
STEP_SHARE = 6  # of its rows are taken in between two looks at what is settled: one in so many


def differences(
    table: pa.Table, context: CheckContext, seed: int, *, pieces: int = PIECES
) -> tuple[list[str], int]:
    """Where the two do not agree, as text; and the rows that the live form held at the end.

    Args:
        table: the history; it is cut at random places.
        context: the bounds.
        seed: of the places.
        pieces: how many.
    """
    with Live(context, LIVE, step_rows=len(table) // STEP_SHARE) as live:
        for number, piece in enumerate(cut(table, pieces, seed)):
            live.fold(piece)
            if number == pieces // 2:
                live.verdicts()  # asking must change nothing
        held = live.held_rows
        found = live.finish(context.finished_ns)
    whole = judge(table, LIVE, context)
    pairs = zip(found, whole, strict=True)
    return [f"live {_told(a)}\nbatch {_told(b)}" for a, b in pairs if _told(a) != _told(b)], held


def of_frames(frames: Sequence[Frame], kind: str, seed: int) -> list[str]:
    """The same of the cases of a batch, as one history."""
    table = concat(frames).table()
    return differences(table, batch.context(table, kind), seed)[0]


def cut(table: pa.Table, pieces: int, seed: int) -> Iterator[pa.Table]:
    """A history in pieces of random lengths."""
    ends = np.random.default_rng(seed).integers(1, len(table), pieces - 1)
    bounds = [0, *sorted(ends.tolist()), len(table)]
    for start, end in itertools.pairwise(bounds):
        yield table.slice(start, end - start)


def _told(verdict: ClaimVerdict) -> tuple[str, str, int, str]:
    return verdict.claim, verdict.outcome.value, verdict.count, verdict.summary
