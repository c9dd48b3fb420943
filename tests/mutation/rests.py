"""Which relations rest on which, which claims look at them, and a digest of all that decides."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
from pathlib import Path

import sqlglot
from sqlglot import exp

from kafkalab.checkers import protocol
from kafkalab.checkers.registry import CHECKERS, RELATIONS

from .found import digest

# made by checkers/cycle_search.py, of these
COMPUTED = frozenset({"cycles", "cycle_counts", "cyclic", "cyclic_reads"})
FROM_CODE = frozenset({"backward", "acts", "wr"})


@functools.cache
def tables(sql: str) -> frozenset[str]:
    """The shared relations that a statement reads; a name of its own hides one, but in itself."""
    tree = sqlglot.parse_one(sql, dialect="duckdb")
    own = {
        cte.alias: {t.name for t in cte.this.find_all(exp.Table)} for cte in tree.find_all(exp.CTE)
    }
    read = {table.name for table in tree.find_all(exp.Table)}
    return frozenset(n for n in read & set(RELATIONS) if n not in own or n in own[n])


@functools.cache
def looking_at(*names: str) -> tuple[str, ...]:
    """Claims whose module asks one of these relations, or what is made of it; nearest first."""
    found = []
    for name in names:
        word = re.compile(rf"\b{name}\b")
        found += [
            claim
            for claim, checker in CHECKERS.items()
            if any(text == name or word.search(text) for text in _asked(checker.__module__))
        ]
    return tuple(dict.fromkeys(found))


@functools.cache
def _asked(module: str) -> tuple[str, ...]:
    """What a module says in SQL, and single words, which may name a relation; not its relations."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    relations = {relation.sql for relation in RELATIONS.values()}
    docs = {ast.get_docstring(tree, clean=False)}
    return tuple(t for t in texts if t not in relations | docs and (" " not in t or "SELECT" in t))


def parents(name: str) -> frozenset[str]:
    if name in COMPUTED and not RELATIONS[name].needs:
        return FROM_CODE
    return tables(RELATIONS[name].sql) - {name}


@functools.cache
def dependents(name: str) -> tuple[str, ...]:
    """Every relation that rests on `name`, in the order in which they can be made."""
    found: set[str] = {name}
    while True:
        more = {other for other in RELATIONS if parents(other) & found} - found
        if not more:
            break
        found |= more
    ordered: list[str] = []
    rest = found - {name}
    while rest:
        ready = sorted(r for r in rest if not parents(r) & rest)
        ordered += ready
        rest -= set(ready)
    return tuple(ordered)


def tells_suspects(kind: str, name: str) -> bool:
    """Whether what is asked here decides which partitions are suspect, or treats them otherwise."""
    if kind == "relation":
        return "quiet" in (name, *dependents(name)) or "suspects" in parents(name)
    return name in looking_at("suspects") if kind == "claim" else name == protocol.__name__


@functools.cache
def rests_on(kind: str, name: str) -> str:
    """A digest of all that decides what becomes of the mutants of an owner."""
    if kind == "relation":
        relations = {name, *dependents(name)}
        claims = looking_at(*relations)
    else:
        claims = [name] if kind == "claim" else list(CHECKERS)
        relations = {r for r in RELATIONS if set(looking_at(r)) & set(claims)}
    while more := {above for r in relations for above in parents(r)} - relations:
        relations |= more
    modules = {CHECKERS[claim].__module__ for claim in claims}
    texts = [_plain(inspect.getsource(sys.modules[module])) for module in sorted(modules)]
    return digest(_shared(), *texts, *(RELATIONS[r].sql for r in sorted(relations)))


@functools.cache
def _shared() -> str:
    """What all claims rest on: the files of checkers that are no claims' own."""
    folder = Path(protocol.__file__).parent
    own = {Path(sys.modules[c.__module__].__file__) for c in CHECKERS.values()}
    paths = sorted({*folder.glob("*.py"), *folder.glob("screen/*.py")} - own)
    kept = [path for path in paths if not path.stem.endswith(("tables", "registry"))]
    return digest(*(_plain(path.read_text(encoding="utf-8")) for path in kept))


def _plain(source: str) -> str:
    """Without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)
