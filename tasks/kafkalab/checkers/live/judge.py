"""The claims of LIVE judged while a history grows, with bounded memory: the same verdicts, earlier.

The judge takes a history in batches, in order, and holds some of its rows. Asked for verdicts, it
gives the rows that it holds to the checkers of the batch form (registry.py), as if they were the
whole. So the claims are argued where they always were; what is argued here is why the rows that it
does not hold would have changed nothing. Now and then (STEP_ROWS) it looks for records that are
*settled*, those that are so for plain reasons first (evident.py), then all (tables.py): their rows
leave the held ones, are kept aside (memory.py), and come back if something later puts them in
question. What they add to the numbers in summaries is counted.

Settled is a record whose send ended as ok or info and that was delivered, so that
    - it is one value at one place: where it was sent, acknowledged and delivered from agree, no
      other value was seen there, no payload was damaged (content.py, loss.py: nothing to find;
      and it was read, so it is neither lost nor unseen). What failed is never settled (G1a), nor
      what was sent in a transaction before that has committed;
    - every reader that is alive and has a part in its partition is at or beyond it, so nobody
      waits for it (stall.py), and no reader was given it twice without a reason that
      delivered-twice allows;
    - each client that was given it was given one before and one after it in the same stretch,
      with rising offsets, and no place that is known lies between those and it. Without it the
      two are neighbours: they rise as well, and nothing lies between them either (order.py). What a
      stretch leapt over is held, with both ends of the leap;
    - its send is above all those that its producer had called before, or it is no finding that it
      is not; it had ended before the oldest send that is still in flight was called; and it is not
      the highest of those. Whatever is sent later is compared with the highest that had ended.

Witnesses are held though they would be settled, since later questions need one of a kind:
the first and last delivery of each stretch (order, spans, skips); the first send, first
acknowledged and highest of a producer and partition (startup, order); the highest record of a
partition, and the first one beyond each reader (stall); the deliveries and polls at either side of
a stall, and the sends that prove a disorder. They are few: they grow with the moves of clients and
with findings, not with records.

Polls are only asked about where a stall is in question: between the last delivery of a reader for
whom a record is available, and now. All others are let go, but for those in stalls that were found.
All rows of other operations are held, but for the operations that no claim here looks at.

Looking back. A settled record comes back, with its neighbours in the log, when something is
delivered or acknowledged at or below the highest settled offset of its partition at a place not
held, when a stretch goes on beyond that from below it, or when its value is delivered anywhere. So
a redelivery, a duplicate, a late record, a group that starts from the beginning, or a client
that comes back from the dead is judged with all that it touches; and is settled again.

Limits. Records that cannot be settled stay: not read yet, read by nobody, aborted, out of order;
sends of unknown outcome that never came; and those that a reader is still due to read, so a reader
must not fall behind by more than `held_rows_max`. Beyond that limit, beyond the memory, or where
rows are needed that had been given up (`settled_rows_max`), the judge stops: claims that were
broken by then stay failed, all others are `unknown: out of budget`. The rows of transactions count:
none is let go, since a record that comes back is asked when its own had ended.

Before the end, `unseen` cannot fail (it may still be read), nor does a record count as never
sent before its send had time to arrive.

Not exact: numbers in evidence that count settled records (how many were skipped or waiting). Not
looked at: the claims that are not in LIVE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pyarrow as pa

from kafkalab.checkers.budget import Budget
from kafkalab.checkers.compose import judge_one
from kafkalab.checkers.live import watch
from kafkalab.checkers.live.holding import Holding
from kafkalab.checkers.live.store import OutOfBudgetError, budgeted
from kafkalab.checkers.protocol import unknown
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome

LIVE = (
    "lost-write", "unseen", "G1a", "duplicate", "delivered-twice", "inconsistent-offsets",
    "corrupt-value", "wrong-topic", "poll-skip", "int-poll-skip", "nonmonotonic-poll",
    "int-nonmonotonic-poll", "nonmonotonic-send", "int-nonmonotonic-send", "int-send-skip",
    "startup", "stall", "hung-close",
)  # fmt: skip
STEP_ROWS = 150_000  # rows that are taken in before what is settled is looked for
WORTH_SETTLING = 10  # one row of so many that came must be left, before SQL looks at what is held
HELD_ROWS_MAX = 400_000  # a row takes 440 bytes while it is judged: so many fit in 300 MiB
SETTLED_ROWS_MAX = 40_000_000
BUDGET = Budget(memory_bytes=64 * 10**6, threads=1)


class Live:
    """Judges a history while it grows; use it as a context manager.

    Args:
        context: what was configured, and the bounds; its `finished_ns` is not looked at.
        claims: names; those that are not in LIVE are answered by `unknown`.
        step_rows: rows between two searches for what is settled.
        held_rows_max: rows that cannot be settled, beyond which the judge gives up.
        settled_rows_max: settled rows that are kept to look back at.
        budget: of the rows kept, and once more of each question about those that are held.
    """

    def __init__(
        self,
        context: CheckContext,
        claims: Iterable[str],
        *,
        step_rows: int = STEP_ROWS,
        held_rows_max: int = HELD_ROWS_MAX,
        settled_rows_max: int = SETTLED_ROWS_MAX,
        budget: Budget = BUDGET,
    ) -> None:
        self._context = context
        self._claims = tuple(dict.fromkeys(claims))
        self._judged = tuple(claim for claim in self._claims if claim in LIVE)
        self._step_rows = step_rows
        self._held_rows_max = held_rows_max
        self._stepped = 0  # first row that came after the last step
        self._left = 0  # rows that were held after all that can be settled was
        self._given_up: dict[str, ClaimVerdict] | None = None
        self.reason = ""  # why it gave up; empty: it did not
        self._budget = budget
        self._holding = Holding(context, self._judged, settled_rows_max, budget)

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *_: object) -> None:
        self._holding.close()

    @property
    def held_rows(self) -> int:
        """Rows that are not settled: what memory and time depend on."""
        return self._holding.rows

    def fold(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Take the next rows of the history in, in order."""
        if self._holding.problems or self._given_up is not None:
            return
        rows = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        with self._or_give_up():
            self._holding.take(rows)
            if self._holding.intake.rows - self._stepped >= self._step_rows:
                self._step()

    def verdicts(self, now_ns: int | None = None) -> tuple[ClaimVerdict, ...]:
        """What can be said now: findings so far; no claim passes that only the end can judge.

        Args:
            now_ns: the time against which what lasts is measured; None: that of the newest row.
        """
        now = self._holding.intake.newest_ns if now_ns is None else now_ns
        return self._answer(now, ended=False)

    def finish(self, finished_ns: int) -> tuple[ClaimVerdict, ...]:
        """The verdicts on the whole history, in the order asked for: those of `compose.judge`."""
        return self._answer(finished_ns, ended=True)

    def _answer(self, now_ns: int, *, ended: bool) -> tuple[ClaimVerdict, ...]:
        found: dict[str, ClaimVerdict] = {}
        if self._given_up is None:
            with self._or_give_up():
                self._look()
                if self._given_up is None:
                    found = self._judge(now_ns, ended=ended)
        if self._given_up is not None:
            found = self._given_up
        return tuple(self._verdict(claim, found, ended=ended) for claim in self._claims)

    def _verdict(self, claim: str, found: dict[str, ClaimVerdict], *, ended: bool) -> ClaimVerdict:
        if claim not in LIVE:
            return unknown(claim, "not judged while the history grows: judge the whole of it")
        verdict = found.get(claim)
        open_end = not ended or self.reason
        if open_end and claim == "unseen" and verdict and verdict.outcome is Outcome.FAIL:
            return unknown(claim, f"not over yet: {verdict.count:,} records are still to be read")
        if verdict is None or (self.reason and verdict.outcome is not Outcome.FAIL):
            evidence = tuple({"problem": problem} for problem in self._holding.problems)
            return unknown(claim, self._why_not(), evidence)
        if self.reason:
            text = f"{verdict.summary}; not all was judged: {self.reason}"
            return replace(verdict, summary=text)
        return verdict

    def _why_not(self) -> str:
        if self._holding.problems:
            return f"the history cannot be judged: {self._holding.problems[0]}"
        if not self._holding.intake.rows:
            return "the history is empty: nothing was recorded"
        return f"out of budget: {self.reason}"

    def _judge(self, now_ns: int, *, ended: bool) -> dict[str, ClaimVerdict]:
        self._holding.check_values()
        if self._holding.problems or not self._holding.intake.rows:
            return {}
        context = replace(self._context, finished_ns=now_ns)
        with self._holding.view(now_ns, watch.HELD if ended else watch.HELD_NOW) as view:
            return {claim: judge_one(view, claim, context, self._budget) for claim in self._judged}

    def _look(self) -> None:
        self._holding.look()
        if self._holding.lost:
            self._give_up("rows came back that had been given up long before")

    def _step(self) -> None:
        self._look()
        if self._holding.problems or self._given_up is not None:
            return
        self._stepped = self._holding.intake.rows
        if self.held_rows - self._left < self._step_rows // WORTH_SETTLING:
            return
        self._holding.settle()
        self._left = self.held_rows
        if (held := self.held_rows) > self._held_rows_max:
            self._give_up(f"{held:,} rows cannot be settled, more than {self._held_rows_max:,}")

    @contextmanager
    def _or_give_up(self) -> Iterator[None]:
        try:
            with budgeted():
                yield
        except OutOfBudgetError as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        """Keep what was found so far, and let everything else go."""
        self.reason = reason
        self._given_up = {}
        with suppress(OutOfBudgetError), budgeted():
            self._given_up = self._judge(self._holding.intake.newest_ns, ended=False)
        self._holding.clear()
