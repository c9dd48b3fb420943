"""The producer role: sends with a callback a record, and transactions.

`send` and `flush` of this client may block (for metadata, up to max_block_ms; up to 2.1 for room)
and a `close` from another thread does not end them. So they run in a thread of their own, which is
left behind where a close does not wait any longer.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import outcomes
from client import KafkaPythonClient, offsets_of
from driverkit import SLICE_S, Command, Outcome, Packer, parts, problem, sent
from kafka import KafkaProducer
from produce_loop import ProduceLoop
from settings import settings

UNREPORTED = "the client was closed before it reported this"
BLOCKED = "closed while the client was blocked in a call"


class ProducerClient(KafkaPythonClient):
    """Hosts one `KafkaProducer`."""

    native: KafkaProducer | None = None
    close_error: Exception | None = None
    closed = False

    def op_open(self, command: Command) -> None:
        """Make the producer; it connects before this returns."""
        self.opened(KafkaProducer(**settings(KafkaProducer, "producer", command)))

    def op_send(self, command: Command) -> dict[str, Any]:
        """Send records and wait until the client has reported each of them."""
        batch = Batch(command)
        native, flush = self.native, not command.get("linger", False)
        thread(lambda: batch.hand_over(native, flush=flush))
        while not batch.done.wait(SLICE_S):
            if self.closing:
                self.close_once()  # what it reports meanwhile counts
                break
        return sent(batch.outcomes())

    def op_produce(self, command: Command) -> dict[str, Any]:
        """Run a loop."""
        loop, done, found = ProduceLoop(self, command), threading.Event(), []

        def work() -> None:
            try:
                found.append(loop.run())
            except Exception as error:  # noqa: BLE001 raised again where commands are reported
                found.append(error)
            done.set()

        thread(work)
        while not done.wait(SLICE_S):
            # it ends by itself unless it is blocked; one more slice for its last samples
            if self.close_by is not None and time.monotonic() > self.close_by + SLICE_S:
                raise Outcome("info", problem(BLOCKED))
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]

    def op_txn(self, command: Command) -> None:
        """One step of a transaction."""
        action, native = command["action"], self.native
        if action == "send_offsets":
            group = self.siblings[command["group_of"]].native
            metadata = getattr(group, "group_metadata", None)
            member = metadata() if metadata else group.config["group_id"]
            native.send_offsets_to_transaction(offsets_of(command["offsets"]), member)
            return
        steps = {
            "init": "init_transactions",
            "begin": "begin_transaction",
            "commit": "commit_transaction",
            "abort": "abort_transaction",
        }
        if action not in steps:
            expected = ", ".join([*steps, "send_offsets"])
            raise ValueError(f"action: expected one of {expected}, found {action}")
        getattr(native, steps[action])()

    def buffered(self) -> int | None:
        """Records handed over and not yet reported."""
        if self.native is None:
            return None
        batches = self.native._accumulator._incomplete.all()  # noqa: SLF001 nothing else shows them
        return sum(batch.record_count for batch in batches)

    def close_once(self) -> None:
        """Close the native client; what it raises is kept for the answer to `close`."""
        if self.native is None or self.closed:
            return
        self.closed = True
        try:
            self.native.close(timeout=self.left_s())
        except Exception as error:  # noqa: BLE001 raised again by `close_native`
            self.close_error = error

    def close_native(self) -> None:
        """Close within the close's time."""
        self.close_once()
        if self.close_error is not None:
            raise self.close_error


class Batch:
    """The records of one `send`."""

    def __init__(self, command: Command) -> None:
        self.topic: str = command["topic"]
        packer = Packer(self.topic)
        self.rows = [_row(packer, *record) for record in command["records"]]
        self.results: list[list[Any] | None] = [None] * len(self.rows)
        self.done = threading.Event()  # all are reported
        self._reported = itertools.count(1)
        if not self.rows:
            self.done.set()

    def hand_over(self, native: KafkaProducer, *, flush: bool) -> None:
        """Give every record to the client; one that it refuses certainly did not happen."""
        for index, (partition, key, value, headers) in enumerate(self.rows):
            try:
                future = native.send(self.topic, value, key, headers, partition)
            except Exception as error:  # noqa: BLE001 what it raises is the record's result
                self.report(index, ["fail", partition, None, outcomes.describe(error)])
                continue
            future.add_callback(self.on_success, index)
            future.add_errback(self.on_error, index, partition)
        if flush:
            native.flush()

    def on_success(self, index: int, found: Any) -> None:
        """A record was acknowledged; with acks=0 the client says −1 for its offset."""
        offset = found.offset if found.offset is not None and found.offset >= 0 else None
        self.report(index, ["ok", found.partition, offset, None])

    def on_error(self, index: int, partition: int | None, error: Exception) -> None:
        """A record was given up."""
        kind = outcomes.send_outcome(error)
        self.report(index, [kind, partition, None, outcomes.describe(error)])

    def report(self, index: int, result: list[Any]) -> None:
        """Keep the result of one record."""
        self.results[index] = result
        if next(self._reported) == len(self.rows):
            self.done.set()

    def outcomes(self) -> list[list[Any]]:
        """Results in the order of the records, as they are at this moment."""
        unreported = ["info", None, None, problem(UNREPORTED)]
        return [unreported if each is None else each for each in self.results]


def _row(
    packer: Packer, partition: int | None, value: int, size: int, content: Any = None
) -> tuple[int | None, bytes | None, bytes | None, list[Any]]:
    payload = packer.pack(value, size, -1 if partition is None else partition)
    if not content:
        return partition, None, payload, []
    key, data, headers = parts(content, payload)
    return partition, key, data, headers


def thread(work: Callable[[], None]) -> None:
    """Run something that a close may leave behind."""
    threading.Thread(target=work, name="send", daemon=True).start()
