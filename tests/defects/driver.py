"""The confluent-kafka driver with one planted defect: `driver.py KIND`.

Each kind breaks one promise as a buggy client would, and nothing else, so that exactly the claim
for it must go red (tests/system/test_defects.py). `kafkalab try C01 --client defect:drop` runs
one by hand.

drop            one record in 97 is fetched and never given to the program       lost-write
duplicate       one record in 97 is appended twice                               duplicate
deliver-twice   one record in 97 is given to the program twice                   delivered-twice
corrupt         one record in 97 has a byte of its filler flipped                corrupt-value
null-as-empty   a null value is written as no bytes                              null-becomes-empty
add-header      every record with headers gets one more                          changed-content
misroute        one record in 97 goes to the next partition                      wrong-topic
swap            one record in 97 is given after the next of its partition     int-nonmonotonic-poll
reorder         one record in 97 is sent after the next of its partition      int-nonmonotonic-send
stall           after 300 records nothing is delivered any more                  stall
starve          partition 2 is held back until the others have nothing left      starved-partition
commit-ahead    commits ten beyond what was delivered                            commit-ahead
commit-lost     acknowledges commits that it did not make                        commit-lost
commit-back     commits less for a moment, and tells nobody                      commit-regression
resume-late     a new owner skips the first records after the committed offset   skipped-past-commit
resume-early    a new owner begins before the committed offset                   reread-below-commit
stay-out        a member that never joins its group                              unshared-group
freeze          a poll never comes back, without CPU                             deadlock
give-up         delivers nothing any more once nothing came for five seconds     unrecovered
hang-close      close of a consumer never comes back                             hung-close
leak            keeps what it has delivered                                      leak
slow            takes 30 % less through produce and consume                      regression
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docker/clients/kit-python"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docker/clients/confluent-kafka"))

from consumer import ConsumerClient
from driver import ROLES, main
from producer import ProducerClient

EVERY = 97
_count = itertools.count(1)


def hit() -> bool:
    """Every 97th record."""
    return next(_count) % EVERY == 0


class Duplicate(ProducerClient):
    """Appends a record twice, as a client that retries without idempotence would."""

    def produce_call(self) -> Any:
        """Hand over, and now and then once more without a report."""
        produce = self.native.produce

        def call(topic: str, value: bytes, **where: Any) -> None:
            produce(topic, value, **where)
            if hit():
                produce(topic, value, partition=where.get("partition", -1))

        return call


class Corrupt(ProducerClient):
    """Damages a payload after its checksum was made."""

    def produce_call(self) -> Any:
        """Flip the bits of one byte between header and checksum."""
        produce = self.native.produce

        def call(topic: str, value: bytes, **where: Any) -> None:
            if hit():
                at = 28 + (len(value) - 32) // 2
                value = value[:at] + bytes([value[at] ^ 0xFF]) + value[at + 1 :]
            produce(topic, value, **where)

        return call


class Misroute(ProducerClient):
    """Sends a record to another partition than it was told."""

    def produce_call(self) -> Any:
        """The next partition, modulo two: every topic here has at least two."""
        produce = self.native.produce

        def call(topic: str, value: bytes, partition: int = -1, **rest: Any) -> None:
            if partition >= 0 and hit():
                partition = (partition + 1) % 2
            produce(topic, value, partition=partition, **rest)

        return call


class Reorder(ProducerClient):
    """Keeps a record back until the next of its partition was handed over."""

    def produce_call(self) -> Any:
        """Only where one more comes in the same command; the 97th of 100 over 3 partitions has."""
        produce, kept = self.native.produce, {}

        def call(topic: str, value: bytes, **where: Any) -> None:
            partition = where.get("partition", -1)
            if partition not in kept and hit():
                kept[partition] = value, where
                return
            produce(topic, value, **where)
            if partition in kept:
                value, where = kept.pop(partition)
                produce(topic, value, **where)

        return call


class NullAsEmpty(ProducerClient):
    """Makes no difference between a value that is null and one that has no bytes."""

    def produce_call(self) -> Any:
        """Bytes, whatever was given."""
        produce = self.native.produce

        def call(topic: str, value: bytes | None, **where: Any) -> None:
            produce(topic, value or b"", **where)

        return call


class AddHeader(ProducerClient):
    """Writes a header of its own, as an interceptor for tracing does."""

    def produce_call(self) -> Any:
        """Where there are others already."""
        produce = self.native.produce

        def call(topic: str, value: bytes, headers: Any = None, **where: Any) -> None:
            more = {"headers": [*headers, ("trace", b"1")]} if headers else {}
            produce(topic, value, **where, **more)

        return call


class SlowProducer(ProducerClient):
    """Takes 30 % off the rate: for each stretch of work, waits three sevenths of its length."""

    def produce_call(self) -> Any:
        """Every 128 records, as many microseconds more as make ten of seven."""
        produce, state = self.native.produce, {"since": time.monotonic(), "n": 0}

        def call(topic: str, value: bytes, **where: Any) -> None:
            produce(topic, value, **where)
            state["n"] += 1
            if state["n"] % 128 == 0:
                lag(state)

        return call


class SlowConsumer(ConsumerClient):
    """The same for what is fetched."""

    state: dict[str, Any] | None = None

    def fetch_by_poll(self, max_records: int, timeout_s: float) -> list[Any]:
        """Fetch, then wait three sevenths of the time that it took since the last fetch."""
        messages = super().fetch_by_poll(max_records, timeout_s)
        self.state = self.state or {"since": time.monotonic()}
        if messages:
            lag(self.state)
        else:
            self.state["since"] = time.monotonic()
        return messages


def lag(state: dict[str, Any]) -> None:
    """Make the time since the last call ten sevenths as long."""
    now = time.monotonic()
    time.sleep(min((now - state["since"]) * 3 / 7, 0.25))
    state["since"] = time.monotonic()


class Drop(ConsumerClient):
    """Loses a record between the fetch and the program."""

    def deliver(self, messages: list[Any]) -> list[list[Any]]:
        """Leave one out, never the last of a delivery, so that later offsets are read."""
        records = super().deliver(messages)
        last = records[-1:]
        return [record for record in records[:-1] if not hit()] + last


class DeliverTwice(ConsumerClient):
    """Gives the program a record again."""

    def deliver(self, messages: list[Any]) -> list[list[Any]]:
        """Repeat one."""
        out: list[list[Any]] = []
        for record in super().deliver(messages):
            out.extend([record, record] if hit() else [record])
        return out


class Swap(ConsumerClient):
    """Exchanges two records of one delivery."""

    def deliver(self, messages: list[Any]) -> list[list[Any]]:
        """One with the next, where that is of the same topic and partition."""
        records = super().deliver(messages)
        for at in range(len(records) - 1):
            if records[at][:2] == records[at + 1][:2] and hit():
                records[at], records[at + 1] = records[at + 1], records[at]
        return records


class Stall(ConsumerClient):
    """Stops fetching for good after a while, without an error."""

    given = 0

    def fetch(self, max_records: int, timeout_s: float) -> list[Any]:
        """Nothing any more once 300 records were given."""
        if self.given >= 300:
            time.sleep(timeout_s)
            return []
        messages = super().fetch(min(max_records, 100), timeout_s)
        self.given += len(messages)
        return messages


class Starve(ConsumerClient):
    """Serves one partition only when there is nothing else."""

    held: list[Any]

    def fetch(self, max_records: int, timeout_s: float) -> list[Any]:
        """Hold back what partition 2 has, but for its first record."""
        self.held = getattr(self, "held", [])
        messages = super().fetch(max_records, timeout_s)
        given = [m for m in messages if m.error() or m.partition() != 2 or m.offset() == 0]
        self.held.extend(m for m in messages if m not in given)
        if not messages:
            given, self.held = self.held[:max_records], self.held[max_records:]
        return given


class CommitAhead(ConsumerClient):
    """Commits what it has prefetched, not what it has delivered."""

    def commit(self, offsets: Any, *, asynchronous: bool) -> Any:
        """Ten further."""
        for each in offsets or ():
            each.offset += 10
        return super().commit(offsets, asynchronous=asynchronous)


class CommitLost(ConsumerClient):
    """Says that it has committed, and has not."""

    def commit(self, offsets: Any, *, asynchronous: bool) -> Any:
        """Acknowledge; only the asynchronous form works."""
        if asynchronous or offsets is None:
            return super().commit(offsets, asynchronous=asynchronous)
        return offsets


class CommitBack(ConsumerClient):
    """Commits once more what it had in between, and then makes up for it."""

    def commit(self, offsets: Any, *, asynchronous: bool) -> Any:
        """Twenty less, and the right one again; only the asynchronous form works."""
        done = super().commit(offsets, asynchronous=asynchronous)
        if offsets and not asynchronous:
            right = [each.offset for each in offsets]
            for back in (20, 0):
                for each, offset in zip(offsets, right, strict=True):
                    each.offset = offset - back
                super().commit(offsets, asynchronous=False)
        return done


class ResumeLate(ConsumerClient):
    """Counts what it had prefetched as processed: a new owner leaves it out."""

    skip: dict[int, int] | None = None  # partition → offset below which nothing is given

    def deliver(self, messages: list[Any]) -> list[list[Any]]:
        """Leave out the first five of a partition that it does not read from its start."""
        self.skip = self.skip or {}
        out = []
        for record in super().deliver(messages):
            partition, offset = record[1:3]
            first = self.skip.setdefault(partition, offset + 5 if offset else 0)
            if offset >= first:
                out.append(record)
        return out


class ResumeEarly(ConsumerClient):
    """Asks for the committed offset, and begins before it."""

    def on_partitions(self, kind: str, partitions: list[Any]) -> None:
        """Twenty records early, where something was committed."""
        super().on_partitions(kind, partitions)
        if kind == "assigned" and partitions:
            found = self.native.committed(partitions, 10)
            for each in found:
                each.offset = max(each.offset - 20, 0) if each.offset > 0 else each.offset
            self.native.assign(found)


class StayOut(ConsumerClient):
    """Subscribes, and never joins: its assignment stays empty, without an error."""

    def op_subscribe(self, command: Any) -> None:
        """Acknowledge."""


class HangClose(ConsumerClient):
    """Waits in close for something that never comes."""

    def close_native(self) -> None:
        """Wait for ever."""
        threading.Event().wait()


class Freeze(ConsumerClient):
    """Waits in a poll for a lock that nobody gives back."""

    given = 0

    def fetch(self, max_records: int, timeout_s: float) -> list[Any]:
        """Wait for ever once 30 records were given."""
        if self.given >= 30:
            threading.Event().wait()
        messages = super().fetch(min(max_records, 30), timeout_s)
        self.given += len(messages)
        return messages


class GiveUp(ConsumerClient):
    """Ends its stream when the broker is away for long, and tells nobody."""

    came: float | None = None
    over = False

    def fetch(self, max_records: int, timeout_s: float) -> list[Any]:
        """Nothing any more once records had come and then none for five seconds."""
        if self.over:
            time.sleep(timeout_s)
            return []
        messages = super().fetch(max_records, timeout_s)
        now = time.monotonic()
        if messages:
            self.came = now
        self.over = self.came is not None and now - self.came > 5
        return messages


class Leak(ConsumerClient):
    """Keeps a reference to everything that it has delivered."""

    kept: list[Any]

    def fetch_by_poll(self, max_records: int, timeout_s: float) -> list[Any]:
        """Keep a kilobyte a record."""
        self.kept = getattr(self, "kept", [])
        messages = super().fetch_by_poll(max_records, timeout_s)
        self.kept.extend(bytes(1024) + message.value() for message in messages if message.value())
        return messages


DEFECTS: dict[str, dict[str, type]] = {
    "none": {},
    "drop": {"consumer": Drop},
    "duplicate": {"producer": Duplicate},
    "deliver-twice": {"consumer": DeliverTwice},
    "corrupt": {"producer": Corrupt},
    "null-as-empty": {"producer": NullAsEmpty},
    "add-header": {"producer": AddHeader},
    "misroute": {"producer": Misroute},
    "swap": {"consumer": Swap},
    "reorder": {"producer": Reorder},
    "stall": {"consumer": Stall},
    "starve": {"consumer": Starve},
    "commit-ahead": {"consumer": CommitAhead},
    "commit-lost": {"consumer": CommitLost},
    "commit-back": {"consumer": CommitBack},
    "resume-late": {"consumer": ResumeLate},
    "resume-early": {"consumer": ResumeEarly},
    "stay-out": {"consumer": StayOut},
    "freeze": {"consumer": Freeze},
    "give-up": {"consumer": GiveUp},
    "hang-close": {"consumer": HangClose},
    "leak": {"consumer": Leak},
    "slow": {"producer": SlowProducer, "consumer": SlowConsumer},
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in DEFECTS:
        sys.stderr.write(f"usage: driver.py {'|'.join(DEFECTS)}\n")
        sys.exit(2)
    sys.exit(main({**ROLES, **DEFECTS[sys.argv[1]]}))
