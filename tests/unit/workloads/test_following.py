"""What is recorded is judged while it grows, told once, and compared with the end."""

import json
import time
import zlib
from dataclasses import replace

import pytest

from kafkalab.checkers import compose, history
from kafkalab.model.history import CheckContext
from kafkalab.model.scenario import Scenario
from kafkalab.workloads.following import Follower
from kafkalab.workloads.recorder import Recorder

CLAIMS = ("duplicate", "corrupt-value", "unshared-group")
BOUNDS = CheckContext(0)


class Cell:
    """A recorder with a driver that answers what the test says."""

    def __init__(self, live_s=0.01, claims=CLAIMS):
        self.recorder = Recorder()
        self.said = []
        self.listen = self.recorder.listener("d0")
        scenario = Scenario("B01", "t", "w", "backpressure", "slow_consumer", claims, live_s=live_s)
        self.follower = Follower(
            self.recorder, scenario, BOUNDS, self.said.append, self.said.append
        )
        self.time = time.monotonic_ns()
        self.ids = 0

    def call(self, client, op, *, ok=None, **fields):
        self.ids += 1
        base = {"id": self.ids, "op": op, "client": client}
        self.recorder.command("d0", self.ids, {"op": op, **fields})
        self.event({"type": "invoke", **base})
        self.event({"type": "ok", **base, **(ok or {})})

    def event(self, event):
        self.time += 1000
        self.listen({"t": self.time, **event})

    def begin(self):
        self.call("p0", "open", role="producer", config={})
        self.call("c0", "open", role="consumer", config={"group": "g"})
        self.call("c0", "subscribe", topics=["t"])

    def send(self, value, offset):
        results = [["ok", 0, offset, None]]
        self.call("p0", "send", topic="t", records=[[0, value, 50]], ok={"results": results})

    def poll(self, value, offset, problem=None):
        record = ["t", 0, offset, value, 50, problem, 0, zlib.crc32(b"t")]
        self.call("c0", "poll", ok={"records": [record]})

    def table(self):
        return history.from_columns(self.recorder.columns())

    def differences(self, claims=CLAIMS, bounds=BOUNDS):
        table, context = self.table(), replace(bounds, finished_ns=self.time)
        verdicts = {v.claim: v for v in compose.judge(table, claims, context)}
        return self.follower.differences(table, context, verdicts)


def until(happens, seconds=20):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_finding_is_told_while_the_load_goes_on_and_only_once():
    cell = Cell()
    cell.begin()
    cell.follower.start()
    cell.send(1, 0)
    cell.poll(1, 0, problem="checksum")
    until(lambda: cell.said)
    first = list(cell.said)
    cell.send(2, 1)
    cell.poll(2, 1)
    cell.follower.stop()
    assert "corrupt-value found" in first[0]
    assert "evidence" in first[1]
    assert cell.said == first
    assert cell.differences() == ()
    report = json.loads(json.dumps(cell.follower.report()))
    assert [(t["what"], t["claim"]) for t in report["told"]] == [("found", "corrupt-value")]
    assert report["rows"] == len(cell.table())
    assert report["looks"] > 0
    assert report["claims"] == ["duplicate", "corrupt-value"]


def test_what_nobody_looked_at_yet_is_judged_at_the_end():
    cell = Cell()
    cell.begin()
    cell.follower.look()
    cell.send(1, 0)
    cell.poll(1, 0)
    cell.poll(1, 1)
    assert cell.differences(("duplicate", "corrupt-value")) == ()
    assert cell.follower.report()["rows"] == len(cell.table())


def test_a_finding_that_is_none_any_more_is_withdrawn():
    cell = Cell(claims=("corrupt-value",))
    cell.begin()
    cell.send(6, 0)
    cell.poll(7, 1)  # from nowhere: its send is written down more than five seconds later
    cell.time += 6_000_000_000
    cell.call("c0", "poll")
    cell.follower.look()
    cell.send(7, 1)
    cell.follower.look()
    assert [t["what"] for t in cell.follower.report()["told"]] == ["found", "withdrawn"]


def test_a_difference_to_the_end_is_a_defect():
    cell = Cell(claims=("corrupt-value",))
    cell.begin()
    cell.follower.look()
    cell.send(1, 0)
    cell.follower._rows += 2  # which it never saw
    cell.poll(1, 0, problem="checksum")
    (one,) = cell.differences(("corrupt-value",))
    assert one.startswith("corrupt-value: live ('")
    assert "at the end ('fail', 1" in one
    assert cell.follower.report()["differences"] == [one]


def test_other_bounds_at_the_end_are_a_defect():
    cell = Cell()
    cell.begin()
    (one,) = cell.differences(bounds=CheckContext(0, redelivery_allowed=True))
    assert "followed with" in one


def test_a_judge_that_breaks_is_told_and_ends_nothing(monkeypatch):
    cell = Cell()
    monkeypatch.setattr(cell.follower, "look", lambda: 1 / 0)
    cell.follower.start()
    until(lambda: not cell.follower._thread.is_alive())
    cell.follower.stop()
    (one,) = cell.differences()
    assert "ZeroDivisionError" in one


def test_claims_that_are_judged_elsewhere_are_left_out_of_the_comparison():
    cell = Cell(claims=("duplicate", "corrupt-value", "commit-lost"))
    cell.begin()
    cell.send(1, 0)
    cell.poll(1, 0)
    assert cell.differences(("duplicate", "corrupt-value", "commit-lost")) == ()


@pytest.mark.parametrize("late", [True, False])
def test_an_answer_before_its_command_is_remembered_waits(late):
    cell = Cell()
    cell.begin()
    before = len(cell.recorder.grow()["index"])
    cell.event({"type": "invoke", "id": 99, "op": "send", "client": "p0"})
    cell.event({"type": "assigned", "client": "c0", "partitions": [["t", 0]]})
    assert len(cell.recorder.grow()["index"]) == 0
    cell.recorder.command("d0", 99, {"op": "send", "topic": "t", "records": [[0, 1, 50]]})
    grown = cell.recorder.grow() if late else {"index": range(before, before + 2)}
    assert list(grown["index"]) == [before, before + 1]
    table = cell.table()
    assert table["op"].to_pylist()[-2:] == ["send", "assigned"]
    assert table["value"].to_pylist()[-2] == 1
