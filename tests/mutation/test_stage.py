"""When a history that a mutant changes counts as noticing it."""

import pytest

from kafkalab.model.verdict import ClaimVerdict, Outcome

from .stage import LANGUAGE, Golden, _module

TWO = """
p0 open producer acks=-1
c0 open consumer group=g offset_reset=earliest
c0 subscribe t
c0 assigned t/0
p0 send t/0 1@0 2@1 3@2
c0 poll t/0 1@0!checksum 3@2
"""


@pytest.mark.parametrize(
    ("also", "claim", "outcome", "same"),
    [
        (["corrupt-value"], "corrupt-value", "fail", True),
        (["corrupt-value"], "corrupt-value", "pass", False),
        (["corrupt-value"], "duplicate", "fail", False),
        (["corrupt-value"], "duplicate", "pass", True),
        ([], "corrupt-value", "fail", False),
    ],
)
def test_another_claim_is_red_where_the_section_says_so_and_nowhere_else(
    tmp_path, also, claim, outcome, same
):
    path = tmp_path / "poll-skip.txt"
    path.write_text(f"== two | fail | also={also}\n{TWO}".replace("'", '"'), encoding="utf-8")
    (section,) = _module(LANGUAGE).sections(path)
    verdict = ClaimVerdict(claim, Outcome(outcome), 0, "")
    assert Golden(section).as_expected(claim, verdict) == same
