"""The producer role: sends with one delivery report a record, and transactions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import outcomes
from client import RdkafkaClient, partitions_of
from confluent_kafka import KafkaException, Producer
from driverkit import SLICE_S, Command, Packer, parts, problem, sent
from portable_config import translate
from produce_loop import ProduceLoop

UNREPORTED = "the client was closed before it reported this"


class ProducerClient(RdkafkaClient):
    """Hosts one `confluent_kafka.Producer`."""

    native: Producer | None = None

    def op_open(self, command: Command) -> None:
        """Make the producer; it connects by itself."""
        config = translate("producer", command["bootstrap"], command.get("config") or {})
        self.native = Producer(config | self.callbacks() | (command.get("options") or {}))

    def produce_call(self) -> Any:
        """What hands one record to the client: (topic, value, partition=, on_delivery=).

        A record that is not plain comes with key= and headers= too.
        It raises `BufferError` when the client's queue is full. Partition −1: the client chooses.
        """
        return self.native.produce

    def op_send(self, command: Command) -> dict[str, Any]:
        """Send records and wait until the client has reported each of them."""
        records = command["records"]
        results: list[list[Any] | None] = [None] * len(records)
        packer = Packer(command["topic"])
        self.hand_over(command["topic"], records, results, packer)
        self.wait_for(results, flush=not command.get("linger", False))
        for index, result in enumerate(results):
            if result is None:
                results[index] = ["info", None, None, problem(UNREPORTED)]
        return sent(results)

    def hand_over(self, topic: str, records: Any, results: list[Any], packer: Packer) -> None:
        """Give every record to the client; one that it refuses certainly did not happen."""
        report, produce = partial(_report, results), self.produce_call()
        for index, (partition, value, size, *content) in enumerate(records):
            where = -1 if partition is None else partition
            data, more = packer.pack(value, size, where), {}
            if content:
                key, data, headers = parts(content[0], data)
                more = {"key": key, "headers": headers}
            call = partial(report, index)
            try:
                produce(topic, data, partition=where, on_delivery=call, **more)
            except (BufferError, KafkaException) as error:
                results[index] = ["fail", partition, None, outcomes.describe(error)]
            if not index & 1023:
                self.native.poll(0)

    def wait_for(self, results: list[Any], *, flush: bool) -> None:
        """Until all are reported; a close gives up what is not sent when its time is over."""
        wait = self.native.flush if flush else self.native.poll
        while None in results:
            wait(SLICE_S)
            if self.close_by is not None and time.monotonic() >= self.close_by:
                self.native.purge()
                self.native.flush(SLICE_S)
                return

    def op_produce(self, command: Command) -> dict[str, Any]:
        """Run a loop."""
        return ProduceLoop(self, command).run()

    def op_txn(self, command: Command) -> None:
        """One step of a transaction."""
        action = command["action"]
        if action == "init":
            self.native.init_transactions()
        elif action == "begin":
            self.native.begin_transaction()
        elif action == "commit":
            self.native.commit_transaction()
        elif action == "abort":
            self.native.abort_transaction()
        elif action == "send_offsets":
            metadata = self.siblings[command["group_of"]].native.consumer_group_metadata()
            offsets = partitions_of(command, "offsets")
            self.native.send_offsets_to_transaction(offsets, metadata)
        else:
            raise ValueError(
                f"action: expected init, begin, commit, abort or send_offsets: {action}"
            )

    def close_native(self) -> None:
        """Flush until the close's time is over, then give up what is left."""
        if self.native is None:
            return
        left = max((self.close_by or 0) - time.monotonic(), 0)
        if self.native.flush(left):
            self.native.purge()
            self.native.flush(SLICE_S)
        self.native = None

    def idle(self) -> None:
        """Serve the client's callbacks."""
        if self.native is not None:
            self.native.poll(0)

    def buffered(self, _stats: Mapping[str, Any]) -> int | None:
        """Records handed over and not yet reported."""
        return None if self.native is None else len(self.native)


def _report(results: list[Any], index: int, error: Any, message: Any) -> None:
    if error is None:
        results[index] = ("ok", message.partition(), message.offset(), None)
    else:
        results[index] = (
            outcomes.send_outcome(error),
            message.partition() if message is not None else None,
            None,
            outcomes.describe(error),
        )
