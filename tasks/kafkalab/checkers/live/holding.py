"""The rows that a live judge (judge.py) holds, and how they become fewer.

recs    sends and polls (rows.COLUMNS), an Arrow table that the store knows by this name
acts    all others that a claim may look at
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from kafkalab.checkers.budget import Budget
from kafkalab.checkers.live import tables, watch
from kafkalab.checkers.live.columns import ints
from kafkalab.checkers.live.evident import settled
from kafkalab.checkers.live.intake import Intake
from kafkalab.checkers.live.memory import Memory
from kafkalab.checkers.live.readers import Readers
from kafkalab.checkers.live.rows import whole
from kafkalab.checkers.live.store import Store
from kafkalab.checkers.protocol import HistoryView
from kafkalab.checkers.registry import RELATIONS
from kafkalab.checkers.screen.arrays import arrow, plain
from kafkalab.model.history import CheckContext


class Holding:
    """Takes rows in, and keeps aside what is settled.

    Args:
        context: what was configured, and the bounds.
        judged: the claims.
        settled_rows_max: settled rows that are kept to look back at.
        budget: of the tables, and once more of each view.
    """

    def __init__(
        self,
        context: CheckContext,
        judged: Collection[str],
        settled_rows_max: int,
        budget: Budget,
    ) -> None:
        self._context, self._judged, self._budget = context, judged, budget
        self._since = 0  # first row that was not looked at for stalls
        self._polls_stay = False  # of deliveries that were kept aside
        self._readers: Readers
        self.problems: tuple[str, ...] = ()
        self.store = Store(budget)
        self.store.run(tables.SETTINGS, [context.stall_ns, context.redelivery_allowed])
        for statement in tables.STATE:
            self.store.run(statement)
        self.intake = Intake(self.store, counts_commands="int-send-skip" in judged)
        self._memory = Memory(self.store, budget, settled_rows_max)

    @property
    def rows(self) -> int:
        """How many are held."""
        return len(self.store.recs) + self.store.number("SELECT count(*) FROM acts")

    @property
    def lost(self) -> bool:
        """Whether rows came back into question that had been given up."""
        return self._memory.beyond

    def take(self, rows: pa.Table) -> None:
        """Take the next rows in; they wait until `look`."""
        self.problems = self.intake.take(rows)

    def look(self) -> None:
        """Place what came, bring back what it puts in question, and settle what is plain."""
        if self.problems or not (self.intake.fresh or self.intake.acted):
            return
        self.intake.place()
        if self.intake.acted:
            self.store.run(tables.READERS)
            self._readers = Readers.of(self.store)
            self.intake.acted = False
        since = {"since": self._since}
        if self._sent_again(self.store.number(watch.SENT_AGAIN, since)):
            return
        self._memory.look_back(self._since)
        if self.lost:
            return
        if self.store.number(watch.PAUSES, since):
            self._mark_stalls()
        self.store.run(watch.LATEST, since)
        self._since = self.intake.rows
        sticky = plain(self.store.table("SELECT value FROM sticky")["value"])
        found = settled(self.store.recs, self._readers, sticky)
        if found is not None:
            self._memory.add(found.rows, found.records)
            self.store.recs = found.rest
            self._polls_stay = True
        pa.default_memory_pool().release_unused()  # what the batches took

    def settle(self) -> None:
        """Keep aside all that is settled of what was looked at, and polls that nobody can need."""
        for statement in tables.FIRST_LOOK:
            self.store.run(statement)
        if self._sent_again(self.store.number(watch.TWICE)):
            return
        for statement in (*tables.SETTLE, watch.POLLS):
            self.store.run(statement)
        records = self.store.table("SELECT * FROM settling")
        if len(records):
            self._memory.add(self.store.table(watch.LEAVING), records)
        self.store.recs = self.store.table(watch.REST)
        self._polls_stay = False

    def view(self, now_ns: int, held: str = watch.HELD) -> HistoryView:
        """What is held, as a history that ended at `now_ns`; a context manager.

        Args:
            now_ns: the time against which what lasts is measured.
            held: watch.HELD or watch.HELD_NOW.
        """
        self._drop_polls()
        kept, others = self.store.table(held), self.store.table("SELECT * FROM acts")
        return HistoryView(
            whole(kept, others, self.intake.names),
            replace(self._context, finished_ns=now_ns),
            self._judged,
            RELATIONS,
            worth_rows=sys.maxsize,
            settled=self._settled(),
            budget=self._budget,
        )

    def check_values(self) -> None:
        """Note a problem where values are not unique among what is held."""
        self._sent_again(self.store.number(watch.SENT_TWICE))

    def close(self) -> None:
        """Let everything go, and all tables."""
        self._memory.clear()
        self.store.close()

    def clear(self) -> None:
        """Let all rows go."""
        self.store.recs = self.store.recs.slice(0, 0)
        self.store.run("DELETE FROM acts")
        self._memory.clear()

    def _settled(self) -> dict[str, int]:
        if "int-send-skip" not in self._judged:
            return self._memory.counts
        ((pairs, apart),) = self.store.rows(watch.PAIRS)
        all_ = self.intake.neighbours
        counted = {"pairs": all_.pairs - pairs, "pairs_apart": all_.apart - apart}
        return {**self._memory.counts, **counted}

    def _sent_again(self, values: int) -> bool:
        if values:
            self.problems = (f"{values:,} values were sent, or completed, more than once",)
        return bool(values)

    def _drop_polls(self) -> None:
        """Let polls go whose deliveries were: without them, their reader would seem to stall.

        As of the last look: what came since may have ended a stall, whose polls are still asked of.
        """
        if not self._polls_stay:
            return
        recs = self.store.recs
        old = arrow(ints(recs["idx"]) < self._since)
        self.store.recs = recs.filter(old)
        for statement in (*tables.READ_SO_FAR, watch.POLLS):
            self.store.run(statement)
        kept = [
            self.store.table(watch.WITHOUT_POLLS).cast(recs.schema),
            recs.filter(pc.invert(old)),
        ]
        self.store.recs = pa.concat_tables(kept)
        self._polls_stay = False

    def _mark_stalls(self) -> None:
        """What proves a stall stays: its polls, and the deliveries at either side."""
        if not {"stall", "unseen", "lost-write"} & set(self._judged):
            return
        with self.view(self.intake.newest_ns) as view:
            view.use("stalls")
            found = view.rows("SELECT reader, scope, from_ns, to_ns, first_value FROM stalls")
        names = self.intake.names
        self.store.run("DELETE FROM stalls_found")
        for one in found:  # stalls, which are few
            scope = one["scope"]
            if scope.startswith("client:"):
                scope = f"client:{names.number(scope.removeprefix('client:'))}"
            reader = -1 if one["reader"].startswith("group:") else names.number(one["reader"])
            self.store.run(
                "INSERT INTO stalls_found VALUES (?, ?, ?, ?, ?)",
                [reader, scope, one["from_ns"], one["to_ns"], one["first_value"]],
            )
        for statement in (tables.CAME, *watch.STALLED):
            self.store.run(statement)
