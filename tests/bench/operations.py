"""Operations mode at full speed: batches of 100 through one driver, up to the recorded history."""

from __future__ import annotations

import itertools
import time
from collections import deque

from stage import PARTITIONS, Hand, Stage

from kafkalab.clients.contract import Command, Event
from kafkalab.workloads.client import Client
from kafkalab.workloads.judging import history_table
from kafkalab.workloads.recorder import Recorder

RECORDS, BATCH, SIZE = 300_000, 100, 100
WARM_RECORDS = 100_000  # sent before the clock starts: a JVM compiles for as long as that
CLIENTS = 8  # a client does one command at a time, and waits for its acknowledgement
WAITING = 4  # commands that wait in front of each client


def batches(stage: Stage, subject: str, topic: str) -> float:
    """Records per second from the first command to the history as a table."""
    warming, recorder = Recorder(), Recorder()
    listeners = [warming.listener("d0")]

    def listen(event: Event) -> None:
        listeners[-1](event)

    with stage.driver(subject, listen) as hand:
        hand.driver.name = "d0"
        clients = _clients(hand, warming)
        for client in clients:
            client.open("producer", {"acks": -1, "idempotence": True})
        _send_all(clients, topic, WARM_RECORDS)
        listeners.append(recorder.listener("d0"))
        began = time.perf_counter()
        _send_all(_clients(hand, recorder), topic, RECORDS)
        table = history_table(recorder)
        seconds = time.perf_counter() - began
        for client in clients:
            client.close(10)
    kinds = table["type"].to_pylist()
    assert (kinds.count("invoke"), kinds.count("ok")) == (RECORDS, RECORDS)
    return RECORDS / seconds


def _clients(hand: Hand, recorder: Recorder) -> list[Client]:
    names = [f"p{number}" for number in range(CLIENTS)]
    return [Client(hand.driver, name, recorder, hand.bootstrap) for name in names]


def _send_all(clients: list[Client], topic: str, count: int) -> None:
    running: deque[Command] = deque()
    turns = itertools.cycle(clients)
    for start in range(0, count, BATCH):
        records = [(value % PARTITIONS, value, SIZE) for value in range(start, start + BATCH)]
        if len(running) >= len(clients) * WAITING:
            running.popleft().result(60)
        running.append(next(turns).submit("send", topic=topic, records=records, linger=False))
    while running:
        running.popleft().result(60)
