"""What the mutation run changes, and that it would see a condition that no history asks for."""

import duckdb
import pytest

from kafkalab.checkers.registry import CHECKERS, RELATIONS

from .equivalent import EQUIVALENT
from .operators import python_mutants, same_sql, sql_mutants
from .rests import dependents, parents

SQL = """
SELECT max(a) AS top FROM t ANTI JOIN u USING (a)
WHERE a < 3 AND (b = 'x' OR b IS NULL) GROUP BY c HAVING count(*) > 1
"""


def test_each_condition_of_a_query_is_changed_once():
    assert sorted(mutant.name for mutant in sql_mutants(SQL)) == [
        "drop HAVING COUNT(*) > 1",
        "drop a < 3",
        "drop b = 'x'",
        "drop b = 'x' OR b IS NULL",
        "drop b IS NULL",
        "flip COUNT(*) > 1",
        "flip a < 3",
        "flip b = 'x'",
        "swap MAX(a)",
        "unjoin ANTI JOIN u USING (a)",
    ]


def test_a_mutant_differs_and_runs():
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t (a INT, b VARCHAR, c INT); CREATE TABLE u (a INT)")
        for mutant in sql_mutants(SQL):
            assert mutant.text != same_sql(SQL)
            connection.execute(mutant.text)


def test_the_same_change_at_two_places_has_two_names():
    names = [mutant.name for mutant in sql_mutants("SELECT a < 1, a < 1")]
    assert names == ["flip a < 1", "flip a < 1 #2"]


def test_an_if_of_a_checker_is_never_taken_or_asks_less():
    source = "def f(a, b):\n    if a and b > 1:\n        return 1\n    return 2\n"
    source += "class C:\n    def g(self):\n        return self.a < 3\n"  # its code is not exchanged
    assert sorted(mutant.name for mutant in python_mutants(source)) == [
        "drop a",
        "drop b > 1",
        "flip b > 1",
        "never if a and b > 1",
    ]


@pytest.mark.parametrize("name", sorted(RELATIONS))
def test_every_relation_is_read_as_it_is_written(name):
    again = same_sql(RELATIONS[name].sql)
    assert same_sql(again) == again


def test_what_rests_on_a_relation_comes_after_it():
    order = dependents("outages")
    assert {"deadlocks", "causes", "unrecovered"} <= set(order)
    assert all(parents(name) & {"outages", *order[:n]} for n, name in enumerate(order))


def test_every_excuse_names_its_owner_and_a_reason():
    modules = {checker.__module__ for checker in CHECKERS.values()} | {"kafkalab.checkers.protocol"}
    owners = {"relation": set(RELATIONS), "claim": set(CHECKERS), "code": modules}
    for (owner, _), why in EQUIVALENT.items():
        kind, _, name = owner.partition(" ")
        assert name in owners[kind], owner
        assert len(why.split()) > 3, owner
