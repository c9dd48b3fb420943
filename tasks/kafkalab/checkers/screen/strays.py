"""Which partition was a value sent to that another one gave out? That one is suspect as well.

What a suspect partition gave out may have been sent to a quiet one, whatever its payload says of
that, and SQL must see its send. So values that the log does not hold where they were given out are
looked for by the end, in the logs of all partitions and among the sends that are in none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kafkalab.checkers.screen.coded import Codes, Ints
from kafkalab.checkers.screen.logbook import Log
from kafkalab.checkers.screen.marks import Marks

ROWS_MAX = 4_000_000  # kept at once; with more that belong nowhere, SQL looks at everything

Values = npt.NDArray[np.uint64]


class Strays:
    """Values that may be at home elsewhere, and sends that no log holds."""

    def __init__(self, log: Log, marks: Marks) -> None:
        self._log, self._marks = log, marks
        self._given: list[tuple[Codes, Ints, Values]] = []
        self._sent: list[tuple[Values, Codes]] = []
        self._rows = 0
        self._too_many = False

    def given(self, place: Codes, off: Ints, value: Values) -> None:
        """Records that suspect partitions gave out, shape (rows,) each."""
        if len(place) and not self._too_many:
            self._given.append((place, off, value))
            self._rows += len(place)
            if self._rows > ROWS_MAX:
                self._forget_those_at_home()
                self._too_many = self._rows > ROWS_MAX

    def sent(self, value: Values, place: Codes) -> None:
        """Sends that did not end as ok, and where to, shape (rows,) each."""
        if len(value):
            self._sent.append((value, place))

    def finish(self) -> None:
        """Mark the partitions in which values are at home that others gave out."""
        if self._too_many:
            self._marks.everything()
            return
        self._forget_those_at_home()
        if not self._rows:
            return
        values = np.unique(self._given[0][2])
        held = np.flatnonzero(self._log.held[: self._log.size])
        homes = [(self._log.values[held], self._log.places_at(held))] if len(held) else []
        for value, place in (*homes, *self._sent):
            asked = np.flatnonzero((place >= 0) & ~self._marks.suspects(place))
            found = np.isin(value[asked], values)
            self._marks.suspect(np.unique(place[asked[found]]))

    def _forget_those_at_home(self) -> None:
        if not self._given:
            return
        place, off, value = (np.concatenate(column) for column in zip(*self._given, strict=True))
        _, held = self._log.has(place, off, value)
        self._given = [(place[~held], off[~held], value[~held])]
        self._rows = len(self._given[0][0])
