"""Every claim on hand-written histories: clean, one planted anomaly, the nearest look-alike."""

from pathlib import Path

import pytest
from tests.unit.checkers.conftest import sections
from tests.unit.checkers.told import known, told

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.checkers.timeline.focus import leaves
from kafkalab.model.history import CheckContext
from kafkalab.model.verdict import ClaimVerdict, Outcome

NEVER_RED = {"int-send-skip", "G0", "G0-process", "G0-realtime"}  # reported, and legal
HISTORIES = Path(__file__).parents[2] / "histories"
TOLD = known()


def test_golden(golden):
    claims = golden.claims or CHECKERS
    verdicts = {v.claim: v for v in judge(history.table(golden.rows), claims, golden.context)}
    assert history.validate(history.table(golden.rows)) == ()
    mine = verdicts.pop(golden.claim)
    assert mine.outcome == golden.outcome, mine
    assert golden.count in (None, mine.count), mine
    assert golden.outcome != "fail" or (mine.evidence and mine.count >= len(mine.evidence)), mine
    for finding in mine.evidence if golden.outcome == "fail" else ():
        rows = [leaf for key, leaf in leaves(finding) if key.startswith("row")]
        assert rows, f"where in the history? {finding}"
        assert all(0 <= row < len(golden.rows) for row in rows), finding
    assert told(mine) == TOLD.get(f"{golden.claim}: {golden.name}"), "see told.py"
    assert verdicts.keys() >= set(golden.also), "only what is judged can be red"
    others = [v for v in verdicts.values() if not golden.allows(v)]
    assert others == [], "a section reddens its own claim, what `also` names, and nothing else"


def test_a_section_may_say_which_other_claims_are_red(tmp_path):
    path = tmp_path / "stall.txt"
    path.write_text('== two | fail | also=["deadlock","unseen"]\n== one | fail | stall_ns=5\n')
    two, one = sections(path)

    def ends(claim, outcome, summary=""):
        return ClaimVerdict(claim, Outcome(outcome), 0, summary)

    assert (two.also, one.also) == (("deadlock", "unseen"), ())
    assert two.allows(ends("deadlock", "fail"))
    assert not two.allows(ends("deadlock", "pass")), "a named one has to fail"
    assert not two.allows(ends("unseen", "unknown"))
    assert not two.allows(ends("lost-write", "fail")), "no other may"
    assert not one.allows(ends("deadlock", "fail"))
    assert one.allows(ends("deadlock", "pass"))
    assert not one.allows(ends("deadlock", "unknown", "the checker crashed"))


@pytest.mark.slow  # as many judgements again; make test has a sample in screen/test_onepass.py
def test_the_screen_changes_no_verdict(golden):
    claims, table = golden.claims or CHECKERS, history.table(golden.rows)
    found = [judge(table, claims, golden.context, worth_rows=rows) for rows in (0, 10**9)]
    screened, whole = ({v.claim: (v.outcome, v.count) for v in each} for each in found)
    assert screened == whole


def test_every_claim_has_a_clean_a_planted_and_a_look_alike():
    outcomes = {
        path.stem: [
            line.split("|")[1].split()[0]
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("== ")
        ]
        for path in HISTORIES.glob("*.txt")
    }
    assert set(outcomes) == set(CHECKERS)
    assert len(TOLD) == sum(map(len, outcomes.values())), "told.json: run `make told`"
    for claim, found in outcomes.items():
        assert found.count("fail") >= 1 or claim in NEVER_RED, claim
        assert found.count("pass") >= 2, claim


def test_records_of_others_within_a_command_are_counted(write):
    rows, finished_ns = write(
        "p0 open producer\np1 open producer\n"
        "p0 send t/0 1@0 2@1 3@3\np1 send t/0 4@2 5@4\np1 send t/0 6@9"
    )
    context = CheckContext(finished_ns)
    (verdict,) = judge(history.table(rows), ["int-send-skip"], context)
    assert verdict.outcome == "pass"
    assert verdict.summary.startswith("2 of 3 records"), verdict
