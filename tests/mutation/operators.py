"""What a mutant is: one condition less, or one comparison, bound or extreme changed.

Of SQL (sqlglot, dialect duckdb):
    drop    one operand of an AND or OR; the only condition of WHERE, HAVING, FILTER or JOIN ON;
            one branch of a CASE
    flip    < and <=, > and >=, = and <> beside a literal, IS DISTINCT FROM
    unjoin  an ANTI or SEMI JOIN taken away
    swap    min and max, arg_min and arg_max, least and greatest
Of Python (the functions of checkers): an `if` that is never taken; one operand of `and` or `or`
less; a comparison flipped.

Left out: = between two columns is not flipped (dropping it says as much), lists of IN stay whole.
A mutant's name is made of what it changes, so that it stays the same while other code moves.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import sqlglot
from sqlglot import exp

Node = exp.Expression

_FLIPS = {exp.LT: exp.LTE, exp.LTE: exp.LT, exp.GT: exp.GTE, exp.GTE: exp.GT}
_EQUAL = {exp.EQ: exp.NEQ, exp.NEQ: exp.EQ}
_DISTINCT = {exp.NullSafeEQ: exp.NullSafeNEQ, exp.NullSafeNEQ: exp.NullSafeEQ}
_SWAPS = {
    exp.Min: exp.Max,
    exp.Max: exp.Min,
    exp.ArgMin: exp.ArgMax,
    exp.ArgMax: exp.ArgMin,
    exp.Least: exp.Greatest,
    exp.Greatest: exp.Least,
}
_PYTHON_FLIPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Mutant(NamedTuple):
    """`text` is the whole mutated source, `name` what was changed in it, `of` what it was."""

    name: str
    text: str
    of: str


def sql_mutants(*statements: str) -> list[Mutant]:
    """All mutants of these statements, each with a name of its own."""
    found: list[Mutant] = []
    for sql in statements:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
        for place, node in enumerate(tree.walk()):
            for name, change in _changes(node):
                whole = tree.copy()
                change(_at(whole, place))
                found.append(Mutant(name, whole.sql(dialect="duckdb"), sql))
    return _numbered(found)


def same_sql(sql: str) -> str:
    """The statement as the mutants write it, unchanged: what they are compared with."""
    return sqlglot.parse_one(sql, dialect="duckdb").sql(dialect="duckdb")


def _at(tree: Node, place: int) -> Node:
    return next(node for number, node in enumerate(tree.walk()) if number == place)


def _changes(node: Node) -> Iterator[tuple[str, Callable[[Node], object]]]:
    text = _text(node)
    kind = type(node)
    if kind in (exp.And, exp.Or) and type(node.parent) is not kind:
        for number, operand in enumerate(node.flatten()):
            yield f"drop {_text(operand)}", lambda n, k=number: _without(n, k)
    if kind in (exp.Where, exp.Having) and not isinstance(node.this, exp.And | exp.Or):
        yield f"drop {text}", lambda n: n.this.replace(exp.true())
    if kind is exp.Join:
        yield from _join_changes(node)
    if kind is exp.Case:
        for number, branch in enumerate(node.args["ifs"]):
            yield f"drop {_text(branch)}", lambda n, k=number: _without_branch(n, k)
    for flips in (_FLIPS, _DISTINCT, _SWAPS):
        if kind in flips:
            verb = "swap" if flips is _SWAPS else "flip"
            yield f"{verb} {text}", lambda n, f=flips: n.replace(f[type(n)](**n.args))
    if kind in _EQUAL and any(
        isinstance(s, exp.Literal | exp.Null) for s in node.unnest_operands()
    ):
        yield f"flip {text}", lambda n: n.replace(_EQUAL[type(n)](**n.args))


def _join_changes(node: Node) -> Iterator[tuple[str, Callable[[Node], object]]]:
    if node.args.get("kind") in ("ANTI", "SEMI"):
        yield f"unjoin {_text(node)}", lambda n: n.pop()
    condition = node.args.get("on")
    if condition is not None and not isinstance(condition, exp.And | exp.Or | exp.Boolean):
        yield f"drop ON {_text(condition)}", lambda n: n.set("on", exp.true())


def _without(node: Node, number: int) -> None:
    rest = [operand.copy() for k, operand in enumerate(node.flatten()) if k != number]
    joined = rest[0] if len(rest) == 1 else type(node)(this=rest[0], expression=rest[1])
    for operand in rest[2:]:
        joined = type(node)(this=joined, expression=operand)
    node.replace(exp.paren(joined, copy=False))


def _without_branch(node: Node, number: int) -> None:
    branches = [branch for k, branch in enumerate(node.args["ifs"]) if k != number]
    if branches:
        node.set("ifs", branches)
    else:
        node.replace(node.args.get("default") or exp.null())


def _text(node: Node) -> str:
    return " ".join(node.sql(dialect="duckdb").split())


def python_mutants(source: str) -> list[Mutant]:
    """All mutants of a module's functions, methods left out; `text` is the whole module."""
    tree = ast.parse(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    found = []
    for place, node in enumerate(ast.walk(tree)):
        for name, change in _python_changes(node) if id(node) in inside else ():
            whole = copy.deepcopy(tree)
            change(next(n for k, n in enumerate(ast.walk(whole)) if k == place))
            found.append(Mutant(name, ast.unparse(ast.fix_missing_locations(whole)), source))
    return _numbered(found)


def _python_changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], object]]]:
    if isinstance(node, ast.If):
        yield f"never if {ast.unparse(node.test)}", _never
    if isinstance(node, ast.BoolOp):
        for number, operand in enumerate(node.values):
            yield f"drop {ast.unparse(operand)}", lambda n, k=number: n.values.pop(k)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _PYTHON_FLIPS:
        yield f"flip {ast.unparse(node)}", _flip


def _never(node: ast.AST) -> None:
    node.test = ast.Constant(value=False)


def _flip(node: ast.AST) -> None:
    node.ops[0] = _PYTHON_FLIPS[type(node.ops[0])]()


def _numbered(mutants: list[Mutant]) -> list[Mutant]:
    """The same change at several places is told apart by a number."""
    seen: Counter[str] = Counter()
    named = []
    for mutant in mutants:
        seen[mutant.name] += 1
        count = seen[mutant.name]
        named.append(mutant._replace(name=mutant.name if count == 1 else f"{mutant.name} #{count}"))
    return named
