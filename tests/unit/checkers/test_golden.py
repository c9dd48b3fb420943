"""Every claim on hand-written histories: clean, one planted anomaly, the nearest look-alike."""

from pathlib import Path

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS

NEVER_RED = {"int-send-skip"}  # reported, and legal
HISTORIES = Path(__file__).parents[2] / "histories"


def test_golden(golden):
    verdicts = {v.claim: v for v in judge(history.table(golden.rows), CHECKERS, golden.context)}
    assert history.validate(history.table(golden.rows)) == ()
    mine = verdicts.pop(golden.claim)
    assert mine.outcome == golden.outcome, mine
    assert golden.outcome != "fail" or (mine.evidence and mine.count >= len(mine.evidence)), mine
    others = [v for v in verdicts.values() if v.outcome == "fail" or "crash" in v.summary]
    assert others == [], "one planted anomaly reddens its own claim and nothing else"


def test_every_claim_has_a_clean_a_planted_and_a_look_alike():
    outcomes = {
        path.stem: [
            line.split("|")[1].strip()
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("== ")
        ]
        for path in HISTORIES.glob("*.txt")
    }
    assert set(outcomes) == set(CHECKERS)
    for claim, found in outcomes.items():
        assert found.count("fail") >= 1 or claim in NEVER_RED, claim
        assert found.count("pass") >= 2, claim
