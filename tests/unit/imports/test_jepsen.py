"""Small histories in the form of Jepsen's store give the anomaly that they hold, and no other."""

from pathlib import Path

import pytest

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.imports import jepsen
from kafkalab.model.errors import UsageError
from kafkalab.model.history import CheckContext

FOLDER = Path(__file__).parents[2] / "histories" / "jepsen"
FILES = sorted(FOLDER.glob("*.edn"))
REPORTED = {"G0", "G0-process", "G0-realtime", "int-send-skip"}  # never red


def judged(imported):
    assert history.validate(imported.table) == ()
    claims = [claim for claim in imported.claims if claim in CHECKERS]
    return judge(imported.table, claims, CheckContext(finished_ns=10**12))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_history_gives_what_it_holds(path):
    text = path.read_text(encoding="utf-8")
    expected = text.splitlines()[0].removeprefix("; expect: ")
    found = judged(jepsen.read(text))
    assert [v for v in found if "crash" in v.summary] == []
    red = [f"{v.claim} {v.count}" for v in found if v.outcome == "fail"]
    assert red == ([] if expected == "no fail" else [expected]), found


def test_there_is_a_history_for_each_claim_that_can_be_red():
    expected = {p.read_text(encoding="utf-8").split()[2] for p in FILES}
    alike = {"G1c-process", "G1c-realtime"}  # the same circles, by other edges
    assert set(jepsen.CLAIMS) - REPORTED - alike <= expected


def test_a_finding_names_key_value_and_operation():
    imported = jepsen.read((FOLDER / "g1a.edn").read_text(encoding="utf-8"))
    (found,) = [v for v in judged(imported) if v.outcome == "fail"]
    shown = imported.original.annotated(found.evidence[0])
    assert shown["jepsen_value"] == "2 of key :x"
    assert (shown["jepsen_op_failed"], shown["jepsen_op_read"]) == (1, 3)
    assert shown.items() >= found.evidence[0].items()


def test_a_history_without_time_or_index_is_counted():
    text = "{:type :invoke :process 0 :f :send :value [[:send 1 1]]}\n" * 2
    rows = jepsen.read(text).table
    assert rows["index"].to_pylist() == list(range(rows.num_rows))
    assert rows["time_ns"].to_pylist()[-1] == 1_000_000


def test_what_belongs_to_no_client_is_left_out_and_counted():
    imported = jepsen.read((FOLDER / "clean.edn").read_text(encoding="utf-8"))
    assert imported.left_out == 1
    assert "nemesis" not in str(imported.table["process"].to_pylist())


def test_an_operation_without_its_invocation_makes_a_history_that_is_not_judged():
    text = "{:type :ok :process 0 :f :send :value [[:send 1 [0 1]]]}"
    assert "never invoked" in str(history.validate(jepsen.read(text).table))


def test_a_value_that_was_sent_twice_makes_a_history_that_is_not_judged():
    one = "{:type :invoke :process %d :f :send :value [[:send 1 1]]}"
    assert "sent more than once" in str(history.validate(jepsen.read(one % 0 + one % 1).table))


def test_claims_are_those_that_a_history_can_show():
    claims = {name: set(jepsen.read((FOLDER / f"{name}.edn").read_text()).claims)
              for name in ("clean", "subscribed", "transactions")}  # fmt: skip
    assert claims["transactions"] == set(jepsen.CLAIMS)
    assert claims["clean"] == set(jepsen.CLAIMS) - {
        "precommitted-read", "G0", "G0-process", "G0-realtime", "G1c",
    }  # fmt: skip
    assert claims["clean"] - claims["subscribed"] == {"poll-skip", "nonmonotonic-poll"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{:type :invoke", "found no EDN"),
        ("", "found none"),
        ("{:valid? true}", "found {':valid?'"),
        ("1 2 3", "not its results"),
        ("{:type :ok :process 0 :f :read :value [1]}", "found :read"),
        ("{:type :invoke :process 0 :f :txn :value [[:append 1 2]]}", "list-append"),
        ("{:index 7 :type :ok :process 0 :f :poll :value [[:poll {1 [0 1]}]]}", "operation 7"),
        ("{:index 7 :type :ok :process 0 :f :poll :value nil}", "operation 7"),
        ("{:type :odd :process 0 :f :poll :value [[:poll]]}", ":odd"),
    ],
)
def test_what_is_no_such_history_is_refused(text, says):
    with pytest.raises(UsageError) as error:
        jepsen.read(text)
    assert says in str(error.value)
