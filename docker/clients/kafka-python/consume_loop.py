"""The consume loop: `poll` as batch, with one record as poll; stream is the iterator."""

from __future__ import annotations

import time
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

import driverkit
from driverkit import CHUNK, SLICE_S, Command, RefusedError

_offset, _value = attrgetter("offset"), attrgetter("value")
_place = attrgetter("topic", "partition")


class ConsumeLoop(driverkit.ConsumeLoop):
    """One `consume` command."""

    styles = ("poll", "batch", "stream")

    def __init__(self, client: Any, command: Command) -> None:
        super().__init__(client, command)
        self.times_ns: list[int] | None = None
        if self.style == "stream":
            opened = client.max_poll_records
            if self.batch != opened:
                raise RefusedError(
                    f"max_poll_records: the iterator takes what the consumer was opened with "
                    f"({opened}); give {self.batch} as config of open"
                )
            # Each record is a delivery: what follows one must not wait for others.
            alone = self.work_ns or self.commit in ("sync", "async")
            self.batch = 1 if alone else CHUNK

    def fetch(self, most: int | None) -> Any:
        """One delivery; of the iterator's, each a delivery, as many as are looked at together."""
        if self.style == "stream":
            return self.iterate(most)
        return list(self.client.fetch(1 if self.style == "poll" else most, SLICE_S).values())

    def iterate(self, most: int | None) -> list[list[Any]]:
        """Records of the iterator with the time of each, until it waited or time is over."""
        now, records, times_ns = time.monotonic_ns, [], []
        until_ns = now() + int(SLICE_S * 1e9)
        for record in self.client.native:
            at_ns = now()
            records.append(record)
            times_ns.append(at_ns)
            if len(records) == most or at_ns >= until_ns:
                break
        self.times_ns = times_ns
        return [list(each) for _, each in groupby(records, _place)]

    def look_at(self, delivery: list[list[Any]]) -> int:
        """Check and count one delivery, whose lists hold records of one partition each."""
        now_ns = time.monotonic_ns()
        values = list(map(_value, chain.from_iterable(delivery)))
        self.delivered(now_ns, values, self.times_ns)
        for records in delivery:
            topic, partition = _place(records[0])
            self.order(topic, partition, list(map(_offset, records)))
        return len(values)

    def commit_now(self) -> None:
        """Commit what the client thinks was consumed."""
        native = self.client.native
        try:
            if self.commit == "sync":
                native.commit()
            else:
                native.commit_async(callback=self.on_commit)
        except Exception as error:  # noqa: BLE001 whatever the client raises is reported
            self.failed(error)

    def on_commit(self, _offsets: Any, found: Any) -> None:
        """An asynchronous commit ended."""
        if isinstance(found, Exception):
            self.failed(found)
