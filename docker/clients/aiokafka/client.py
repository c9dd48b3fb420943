"""What aiokafka's producers and consumers share beside the kit's `AsyncClient`."""

from __future__ import annotations

from typing import Any

import outcomes
from aiokafka import TopicPartition
from driverkit import Command
from driverkit.aio import AsyncClient


class AioClient(AsyncClient):
    """Hosts one native client, which is started when it is made, as its documentation says."""

    native: Any = None

    def outcome(self, op: str, error: BaseException) -> str:
        """`fail` where `error` shows that `op` certainly did not happen."""
        return outcomes.command_outcome(op, error)

    def describe(self, error: Any) -> dict[str, Any]:
        """An error in the contract's form."""
        return outcomes.describe(error)

    def runtime(self) -> dict[str, Any]:
        """The client has no statistics of bytes; any thread may ask."""
        return {"buffered_records": self.buffered()}

    def buffered(self) -> int | None:
        """Records that the client holds."""
        return None

    async def start(self, native: Any) -> None:
        """Connect. One that does not is stopped, else its tasks and connections live on."""
        try:
            await native.start()
        except BaseException:
            await native.stop()
            raise
        self.native = native

    async def close_native(self) -> None:
        """Stop it, which flushes or commits as it likes, for as long as it likes."""
        native, self.native = self.native, None
        if native is not None:
            await native.stop()


def partitions_of(command: Command, key: str = "partitions") -> list[TopicPartition]:
    """[[topic, partition, ..], ..] for the client."""
    return [TopicPartition(topic, partition) for topic, partition, *_ in command[key]]
