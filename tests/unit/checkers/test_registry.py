from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from kafkalab import checkers
from kafkalab.checkers.registry import CHECKERS, RELATIONS, describe
from kafkalab.model.claim import CLAIMS

PAGE = Path(__file__).parents[3] / "docs" / "claims.md"


def test_every_checker_judges_a_named_claim():
    assert set(CHECKERS) <= set(CLAIMS)


def test_the_page_is_what_the_docstrings_say():
    assert PAGE.read_text(encoding="utf-8") == describe(), (
        "docs/claims.md is out of date; see the docstring of checkers/registry.py"
    )


def test_the_page_names_every_claim_and_each_argument():
    page = describe()
    assert all(f"| `{claim}` |" in page for claim in CLAIMS)
    assert all(f"    {claim} " in page for claim in CHECKERS), "an argument lacks a claim"


def test_no_relation_hides_another():
    modules = [
        import_module(f"{checkers.__name__}.{m.name}") for m in iter_modules(checkers.__path__)
    ]
    found = [vars(m).get(name) for m in modules for name in ("BASE", "RELATIONS")]
    parts = {id(each): each for each in found if isinstance(each, dict)}.values()
    assert len(RELATIONS) == sum(len(each) for each in parts)
