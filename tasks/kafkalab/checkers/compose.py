"""Judge several claims on one history.

A history that is not well formed is judged `unknown` throughout. A claim that the budget does not
suffice for is `unknown: out of budget`, and the others go on. A checker that crashes makes its own
claim `unknown`, with the traceback as evidence, and leaves the others alone: a check that did not
look must never pass, and one defect of the lab must not hide nine verdicts.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from kafkalab.checkers.budget import Budget, out_of_budget
from kafkalab.checkers.protocol import HistoryView, unknown, worth
from kafkalab.checkers.reading import read
from kafkalab.checkers.registry import CHECKERS, asks_runs, relations_for
from kafkalab.checkers.screen.onepass import WORTH_ROWS
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict


def judge(
    source: pa.Table | Path,
    claims: Iterable[str],
    context: CheckContext,
    *,
    worth_rows: int = WORTH_ROWS,
    budget: Budget | None = None,
) -> tuple[ClaimVerdict, ...]:
    """One verdict a claim, in the order asked for.

    Args:
        source: a history, as `history.table` makes it, as read back from Parquet, or that file.
        claims: names from `registry.CHECKERS`; another name is answered by `unknown`. Name those
            that belong together (the whole log family): a finding goes to the most specific
            claim among those that are judged.
        context: what was configured, and the bounds.
        worth_rows: histories with fewer rows are judged without a screen (screen/onepass.py).
        budget: what it may take; default: `Budget()`.
    """
    wanted = tuple(dict.fromkeys(claims))
    budget = budget or Budget()
    try:
        found = read(source, budget, worth_rows=worth(context, worth_rows), runs=asks_runs(wanted))
        if found.problems:
            return _malformed(wanted, found.problems)
        with HistoryView(
            source, context, wanted, relations_for(wanted), screened=found.screened, budget=budget
        ) as view:
            verdicts = tuple(judge_one(view, claim, context, budget) for claim in wanted)
        problems = found.asking.result() if found.asking else ()
        return _malformed(wanted, problems) if problems else verdicts
    except (OSError, pa.ArrowException):  # the file cannot be read: for its owner to mend
        raise
    except Exception as error:  # noqa: BLE001 - no claim was looked at, so all of them say why
        return tuple(_crashed(claim, error, budget) for claim in wanted)


def _malformed(claims: Iterable[str], problems: Sequence[str]) -> tuple[ClaimVerdict, ...]:
    evidence = tuple({"problem": problem} for problem in problems)
    why = f"the history cannot be judged: {problems[0]}"
    return tuple(unknown(claim, why, evidence) for claim in claims)


def judge_one(
    view: HistoryView, claim: str, context: CheckContext, budget: Budget | None = None
) -> ClaimVerdict:
    """One claim on one view; a crash of its checker is `unknown`."""
    checker = CHECKERS.get(claim)
    if checker is None:
        return unknown(claim, f"no checker judges '{claim}' on a history")
    try:
        return checker(view, context)
    except Exception as error:  # noqa: BLE001 - whatever it was, the verdict is unknown and says so
        return _crashed(claim, error, budget or Budget())


def _crashed(claim: str, error: Exception, budget: Budget) -> ClaimVerdict:
    if out_of_budget(error):
        return unknown(claim, budget.exceeded(), ({"error": str(error)},))
    if isinstance(error, json.JSONDecodeError) or "Malformed JSON" in str(error):
        why = "the history cannot be judged: the detail of a row is no JSON"
        return unknown(claim, why, ({"problem": str(error)},))
    return unknown(
        claim,
        f"the checker crashed ({type(error).__name__}): a defect of the lab, please report it",
        ({"traceback": "".join(traceback.format_exception(error))},),
    )
