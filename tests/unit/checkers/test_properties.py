"""A simulated log with readers: what it does right is never red, what is planted reddens its claim.

The simulation is a few lists: a log per partition, a position per group and partition. Its text is
that of the golden histories (conftest.py).
"""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kafkalab.checkers import history
from kafkalab.checkers.compose import judge
from kafkalab.checkers.registry import CHECKERS
from kafkalab.model.history import CheckContext

PLANTS = (
    "lost-write",
    "unseen",
    "G1a",
    "duplicate",
    "delivered-twice",
    "inconsistent-offsets",
    "corrupt-value",
    "wrong-topic",
    "poll-skip",
    "int-poll-skip",
    "nonmonotonic-poll",
    "int-nonmonotonic-poll",
    "nonmonotonic-send",
    "int-nonmonotonic-send",
    "commit-ahead",
    "commit-behind",
    "commit-regression",
    "commit-lost",
    "startup",
    "stall",
    "hung-close",
)
ORDER = tuple(plant for plant in PLANTS if "skip" in plant or "nonmonotonic" in plant)
PARTS = (0, 1)

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("send"),
            st.sampled_from(PARTS),
            st.lists(
                st.sampled_from(["ok", "ok", "there", "gone", "fail"]), min_size=1, max_size=4
            ),
        ),
        st.tuples(st.just("poll"), st.sampled_from("gh"), st.integers(0, 5)),
        st.tuples(st.just("commit"), st.sampled_from("gh"), st.none()),
        st.tuples(st.just("read"), st.sampled_from("gh"), st.none()),
        st.tuples(st.just("seek"), st.sampled_from("gh"), st.integers(0, 3)),
        st.tuples(st.just("move"), st.sampled_from("gh"), st.none()),
    ),
    min_size=2,
    max_size=14,
)


class Simulation:
    """One producer, the groups g and h with one active member each."""

    def __init__(self, plant):
        self.plant = plant
        self.logs = {p: [] for p in PARTS}
        self.at = {(g, p): 0 for g in "gh" for p in PARTS}
        self.committed = dict.fromkeys(self.at, -1)
        self.members = {"g": 0, "h": 0}
        self.values = 0
        self.dropped = set()
        slow = " -> +31s ok" if plant == "startup" else ""
        ordered = " idempotence=true" if plant == "int-nonmonotonic-send" else ""
        self.lines = [f"p0 open producer acks=-1{ordered}{slow}"]
        for group in "gh":
            self.join(group)

    def name(self, group):
        return f"{group}{self.members[group]}"

    def join(self, group):
        name, auto = self.name(group), "true" if self.plant == "commit-behind" else "false"
        self.lines += [
            f"{name} open consumer group={group} offset_reset=earliest auto_commit={auto}",
            f"{name} subscribe t",
            f"{name} assigned t/0 t/1",
        ]

    def send(self, part, outcomes):
        words = []
        for outcome in outcomes:
            self.values += 1
            if outcome in ("ok", "there") or (outcome == "fail" and self.plant == "G1a"):
                self.logs[part].append(self.values)
            if outcome == "ok" and self.plant == "duplicate":
                self.logs[part].append(self.values)
            shown = len(self.logs[part]) - 1 if outcome == "ok" else outcome
            words.append(f"{self.values}@{'fail' if shown == 'fail' else shown}")
        text = " ".join(words).replace("@there", "@info").replace("@gone", "@info")
        self.lines.append(f"p0 send t/{part} {text}")

    def poll(self, group, count):
        words = []
        for part in PARTS:
            start = self.at[group, part]
            given = list(enumerate(self.logs[part]))[start : start + count]
            self.at[group, part] = start + len(given)
            words += [f"t/{part}"] if given else []
            words += [self.record(group, o, v) for o, v in given if v not in self.dropped]
        self.lines.append(f"{self.name(group)} poll {' '.join(words)}")

    def record(self, group, offset, value):
        text = f"{value}@{offset}"
        if self.plant == "delivered-twice":
            return f"{text} {text}"
        if self.plant == "corrupt-value":
            return f"{text}!checksum"
        if self.plant == "wrong-topic":
            return f"{text}<t/7"
        if self.plant == "inconsistent-offsets" and group == "h":
            return f"{value + 1000}@{offset}"
        return text

    def offsets(self, group, change=0):
        at = {p: self.at[group, p] for p in PARTS if self.at[group, p]}
        return {p: offset + change for p, offset in at.items()}

    def commit(self, group, _=None, change=0):
        if self.plant == "commit-behind":
            return  # left to the client
        offsets = self.offsets(group, change)
        self.committed.update({(group, p): o for p, o in offsets.items()})
        if offsets:
            shown = " ".join(f"t/{p}={o}" for p, o in offsets.items())
            self.lines.append(f"{self.name(group)} commit -> ok {shown}")

    def read(self, group, _=None, change=0):
        shown = " ".join(f"t/{p}={self.committed[group, p] + change}" for p in PARTS)
        self.lines.append(f"admin group_offsets {group} {shown}")

    def seek(self, group, back):
        offset = max(0, self.at[group, 0] - back)
        self.at[group, 0] = offset
        self.lines.append(f"{self.name(group)} seek t/0@{offset}")

    def move(self, group, _=None):
        """The member leaves cleanly, another goes on where it committed."""
        self.commit(group)
        if self.plant == "commit-behind":
            self.committed.update({(group, p): o for p, o in self.offsets(group).items()})
        self.lines.append(f"{self.name(group)} close")
        self.members[group] += 1
        self.join(group)

    def disorder(self):
        """Three more records, of which two are sent, or given to the group g, out of order."""
        self.poll("g", 100)
        first, base, name = self.values + 1, len(self.logs[0]), self.name("g")
        one, two, three = (f"{first + n}@{base + n}" for n in range(3))
        sends, polls = [f"{one} {two} {three}"], [f"{one} {two} {three}"]
        if self.plant == "poll-skip":
            polls = [one, three]
        elif self.plant == "int-poll-skip":
            polls = [f"{one} {three}"]
        elif self.plant == "nonmonotonic-poll":
            polls = [f"{one} {three}", two]
        elif self.plant == "int-nonmonotonic-poll":
            polls = [f"{one} {three} {two}"]
        elif self.plant == "nonmonotonic-send":
            sends = [two, three, one]
        else:
            sends = [f"{two} {one} {three}"]
        self.lines += [f"p0 send t/0 {words}" for words in sends]
        self.lines += [f"{name} poll t/0 {words}" for words in polls]
        self.values += 3
        self.logs[0] += [first, first + 1, first + 2]
        self.at["g", 0] = base + 3

    def finish(self):
        if self.plant in ORDER:
            self.disorder()
        if self.plant == "stall":
            name = self.name("g")
            self.lines += [f"{name} poll -> +6s ok", f"{name} poll -> +6s ok"]
        for group in "gh":
            self.poll(group, 100)
            if self.plant == "commit-ahead":
                self.commit(group, change=50)
            elif self.plant == "commit-regression":
                self.commit(group)
                self.commit(group, change=-1)
            elif self.plant != "commit-behind":
                self.commit(group)
            slow = " -> +16s ok" if self.plant == "hung-close" else ""
            self.lines.append(f"{self.name(group)} close{slow}")
            if self.plant == "commit-behind":
                self.committed.update({(group, p): o - 1 for p, o in self.offsets(group).items()})
            self.read(group, change=-1 if self.plant == "commit-lost" else 0)


def run(plan, plant, write):
    made = Simulation(plant)
    made.send(0, ["ok", "ok", "ok", "fail"])  # something to plant in
    if plant == "lost-write":
        made.dropped = {2}
    for step, target, argument in plan:
        getattr(made, step)(target, argument)
    made.send(1, ["ok", "ok"])
    if plant == "unseen":
        made.dropped = {made.values}
    made.finish()
    rows, finished_ns = write("\n".join(made.lines))
    return judge(history.table(rows), CHECKERS, CheckContext(finished_ns)), made.lines


OPTIONS = settings(
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # the text that fails is short already
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@settings(OPTIONS, max_examples=15)
@given(plan=steps)
def test_what_is_legal_is_never_red(write, plan):
    verdicts, lines = run(plan, None, write)
    wrong = [v for v in verdicts if v.outcome == "fail" or "crash" in v.summary]
    assert wrong == [], "\n".join(lines)
    judged = {v.claim for v in verdicts if v.outcome == "pass"}
    assert {"lost-write", "unseen", "duplicate", "commit-ahead", "stall"} <= judged


@pytest.mark.parametrize("plant", PLANTS)
@settings(OPTIONS, max_examples=2)
@given(plan=steps)
def test_a_planted_anomaly_reddens_its_claim_and_nothing_else(write, plant, plan):
    verdicts, lines = run(plan, plant, write)
    red = [v.claim for v in verdicts if v.outcome == "fail" or "crash" in v.summary]
    assert red == [plant], "\n".join([str([v for v in verdicts if v.outcome == "fail"]), *lines])
