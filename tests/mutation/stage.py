"""The golden histories, judged once; then asked of each mutant whether they would notice it.

A mutant of a relation is first run alone: where it gives the rows that the relation gave, nothing
behind it can change, and the next history is asked. Else what depends on it is made again, inside
a transaction that is rolled back, and the claims that look at it are judged again. A history
*kills* a mutant when test_golden.py would fail: its own claim ends otherwise than its section says,
or is told otherwise (told.py), or another is red that it does not name, or not red that it names.
So do the histories of test_nothing.py, where a claim passes that may not. Where a relation decides
what is suspect, or treats that otherwise, the histories are asked once more, screened
(screen/onepass.py).
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
from tests.unit.checkers.told import known, told

from kafkalab.checkers import history
from kafkalab.checkers.protocol import HistoryView
from kafkalab.checkers.registry import CHECKERS, RELATIONS
from kafkalab.checkers.screen.onepass import WORTH_ROWS
from kafkalab.model.history import CheckContext

from .found import Found, digest
from .operators import Mutant
from .rests import COMPUTED, FROM_CODE, dependents, looking_at, parents, tells_suspects

ROOT = Path(__file__).parents[2]
LANGUAGE = ROOT / "tests" / "unit" / "checkers" / "conftest.py"
LACKING = ROOT / "tests" / "unit" / "checkers" / "test_nothing.py"
HISTORIES = ROOT / "tests" / "histories"
TOLD = known()
NOTHING = "nothing"  # the claim of a history of test_nothing.py; its outcome: who may pass on it
SCREENED = ", screened"  # ends the name of a history that is judged as a large one would be
INVALID = (duckdb.BinderException, duckdb.ParserException, duckdb.NotImplementedException)


class NoMutantError(Exception):
    """It does not even compile, so it shows nothing."""


class Connection:
    """Notes every statement, and runs another one in place of those in `instead`."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.said: list[str] = []
        self.instead: Mapping[str, str] = {}

    def execute(self, sql: str, *args: Any) -> Any:
        self.said.append(sql)
        return self.real.execute(self.instead.get(sql, sql), *args)

    def sql(self, sql: str) -> Any:
        self.said.append(sql)
        return self.real.sql(self.instead.get(sql, sql))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class Golden:
    """One section of a golden history; relations and verdicts are made when they are needed."""

    def __init__(self, section: Any, *, screened: bool = False) -> None:
        self.section = section
        self.claims = tuple(section.claims or CHECKERS)
        self.view = HistoryView(
            history.table(section.rows), section.context, self.claims, RELATIONS,
            worth_rows=0 if screened else WORTH_ROWS,
        )  # fmt: skip
        self.connection = Connection(self.view._connection)
        self.connection.execute("SET threads = 1")  # so small a history is judged faster
        self.view._connection = self.connection
        self._rows: dict[str, list[str]] = {}
        # those that are screened, and those of test_nothing.py, are not told word for word
        self._told = TOLD.get(f"{section.claim}: {section.name}")
        self._queries: dict[str, frozenset[str]] = {}

    def queries(self, claim: str) -> frozenset[str]:
        """What a claim asks of this history, which it judges as its section says."""
        if claim not in self._queries:
            self.connection.said.clear()
            known = claim in looking_at("cycles", "cyclic_reads") and self.view.has("cyclic_reads")
            with self._aside() if known else nullcontext():
                if known:  # circles are looked for once a history, by the first claim that asks
                    self._forget_computed()
                verdict = CHECKERS[claim](self.view, self.section.context)
            if not self.as_expected(claim, verdict):
                raise AssertionError(f"{self.section.claim}: {self.section.name}: {verdict}")
            asked = (q for q in self.connection.said if not q.startswith("CREATE TEMP"))
            self._queries[claim] = frozenset(asked)
        return self._queries[claim]

    def as_expected(self, claim: str, verdict: Any) -> bool:
        if claim == self.section.claim:
            same = str(verdict.outcome.value) == self.section.outcome
            same = same and self.section.count in (None, verdict.count)
            return same and self._told in (None, told(verdict))
        if self.section.claim == NOTHING and verdict.outcome == "pass":
            return claim in self.section.outcome.split()
        return bool(self.section.allows(verdict))

    def rows(self, name: str) -> list[str]:
        """What a relation holds, in an order of its own."""
        if name not in self._rows:
            if name in COMPUTED:
                for claim in set(looking_at("cycles")) & set(self.claims):
                    self.queries(claim)
            self.view.use(name)
            self._rows[name] = self._ordered(f"SELECT * FROM {name}")
        return self._rows[name]

    def _forget_computed(self) -> None:
        """So that what is not made by SQL is made again; inside a transaction."""
        for name in COMPUTED & self.view._made:
            self.connection.real.execute(f"DROP TABLE {name}")
            self.view._made.discard(name)

    def _ordered(self, sql: str) -> list[str]:
        return sorted(map(repr, self.connection.real.execute(sql).fetchall()))

    def kills_relation(self, name: str, mutant: Mutant) -> bool:
        """Whether a relation with other SQL would be noticed."""
        before = self.rows(name)
        try:
            if self._ordered(mutant.text) == before:
                return False
        except INVALID as error:
            raise NoMutantError(str(error)) from error
        except duckdb.Error:
            return True
        originals = {dependent: self.rows(dependent) for dependent in dependents(name)}
        looking = [claim for claim in looking_at(name, *originals) if claim in self.claims]
        for claim in looking:
            self.queries(claim)
        with self._aside():
            try:
                changed = self._make_again(name, mutant.text, originals)
            except duckdb.Error:
                return True
            return self._noticed([c for c in looking if c in looking_at(*changed)])

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """What is made meanwhile is gone afterwards."""
        made = set(self.view._made)
        self.connection.real.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.real.execute("ROLLBACK")
            self.view._made = made

    def _make_again(self, name: str, sql: str, originals: Mapping[str, list[str]]) -> list[str]:
        changed = [name]
        self._replace(name, sql)
        for dependent, before in originals.items():
            if not parents(dependent) & set(changed):
                continue
            if dependent in COMPUTED and parents(dependent) == FROM_CODE:
                self._forget_computed()
            if dependent not in self.view._made:
                changed.append(dependent)
            elif self._ordered(again := RELATIONS[dependent].sql) != before:
                self._replace(dependent, again)
                changed.append(dependent)
        return changed

    def _replace(self, name: str, sql: str) -> None:
        kind = "VIEW" if name in {"events", "records"} else "TABLE"
        self.connection.real.execute(f"CREATE OR REPLACE TEMP {kind} {name} AS {sql}")

    def kills_query(self, claim: str, mutant: Mutant) -> bool:
        """Whether a claim that asks something else would be noticed."""
        if claim not in self.claims or mutant.of not in self.queries(claim):
            return False
        self.connection.instead = {mutant.of: mutant.text}
        try:
            with self._aside():
                self._forget_computed()
                return self._noticed([claim])
        finally:
            self.connection.instead = {}

    def kills_code(self, claims: Iterable[str]) -> bool:
        """Whether claims whose functions were changed end otherwise."""
        return self._noticed([claim for claim in claims if claim in self.claims])

    def _noticed(self, claims: Iterable[str]) -> bool:
        for claim in sorted(claims, key=lambda c: c != self.section.claim):
            try:
                verdict = CHECKERS[claim](self.view, self.section.context)
            except INVALID as error:
                if self.connection.instead:
                    raise NoMutantError(str(error)) from error
                return True
            except Exception:  # noqa: BLE001 - a checker that crashes is noticed, however it does
                return True
            if not self.as_expected(claim, verdict):
                return True
        return False


def _module(path: Path) -> types.ModuleType:
    name = f"golden_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _nothing(language: types.ModuleType) -> Iterator[Any]:
    """The histories of test_nothing.py, where a claim passes only if it is named."""
    for name, (text, may_pass) in _module(LACKING).HISTORIES.items():
        writer = language.Writer()
        for line in text.splitlines():
            writer.line(line)
        context = CheckContext(finished_ns=writer.now)
        outcome = " ".join(sorted(may_pass))
        yield language.Section(NOTHING, name, outcome, tuple(writer.rows), context)


class Stage:
    """All sections, each judged when it is first asked."""

    def __init__(self, results: Path | None = None) -> None:
        language = _module(LANGUAGE)
        paths = sorted(HISTORIES.glob("*.txt"))
        self.sections = [s for path in paths for s in language.sections(path)]
        plain = len(self.sections)
        self.sections += _nothing(language)
        self.whole = len(self.sections)  # what follows is screened
        self.sections += [replace(s, name=s.name + SCREENED) for s in self.sections[:plain]]
        self.names = {f"{s.claim}: {s.name}": n for n, s in enumerate(self.sections)}
        self.digests = [digest(section) for section in self.sections]
        self.found = Found(results, dict(zip(self.names, self.digests, strict=True)))
        self._goldens: dict[int, Golden] = {}
        self._killers: dict[str, list[int]] = {}

    def golden(self, number: int) -> Golden:
        if number >= self.whole:
            return Golden(self.sections[number], screened=True)  # seldom asked: not worth the room
        if number not in self._goldens:
            self._goldens[number] = Golden(self.sections[number])
        return self._goldens[number]

    def asked(
        self, owner: str, mutant: str, rests_on: str, claims: Sequence[str]
    ) -> Iterator[tuple[int, Golden]]:
        """First those that killed this owner's mutants, then those of `claims`, then all others.

        Others may notice as well: each section judges every claim, and none but its own is red.
        """
        claims, whole = [*claims, NOTHING], self.sections[: self.whole]
        near = [n for claim in claims for n, s in enumerate(whole) if s.claim == claim]
        rest = range(len(self.sections) if tells_suspects(*owner.split(" ")) else self.whole)
        likely = self.found.likely(owner, mutant)
        first = [self.names[likely]] if likely else []
        known = self.found.survived(owner, mutant, rests_on)
        for number in dict.fromkeys((*first, *self._killers.get(owner, ()), *near, *rest)):
            if self.digests[number] not in known:
                yield number, self.golden(number)

    def killed(self, owner: str, number: int) -> str:
        """Remember who killed a mutant of `owner`; returns its name."""
        known = self._killers.setdefault(owner, [])
        if number in known:
            known.remove(number)
        known.insert(0, number)
        return tuple(self.names)[number]

    def queries(self, claim: str) -> list[str]:
        """What a claim asks, in any section of its own."""
        own = [n for n in range(self.whole) if self.sections[n].claim == claim]
        asked = [sql for n in own for sql in sorted(self.golden(n).queries(claim))]
        return [sql for sql in dict.fromkeys(asked) if " FROM found" not in sql]


@contextmanager
def changed_code(module: types.ModuleType, source: str) -> Iterator[None]:
    """The module's functions run the code of `source` meanwhile, whoever holds them."""
    compiled = types.ModuleType(module.__name__)
    compiled.__dict__.update({k: v for k, v in vars(module).items() if k.startswith("__")})
    namespace = dict(vars(module))
    body = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef)]
    exec(compile(ast.Module(body, []), module.__file__, "exec"), namespace)
    names = [node.name for node in body]
    before = {name: getattr(module, name).__code__ for name in names}
    try:
        for name in names:
            getattr(module, name).__code__ = namespace[name].__code__
        yield
    finally:
        for name, code in before.items():
            getattr(module, name).__code__ = code
