"""What drivers in Python share, so that a driver holds only what is its client's own.

A driver obeys docs/driver-contract.md. With this kit it is a folder docker/clients/NAME/ with a
`driver.py` that ends in

    sys.exit(driverkit.main(driverkit.About(...), {"producer": ..., "consumer": ...}))

and classes for its roles. The kit reads commands, refuses what is malformed, answers `clock`,
`stats` and `stop`, gives every other command to its client, and writes events. Whatever the driver
prints goes to stderr. Everything a driver needs is a name of this package:

Roles
    `Client`        a client whose library blocks: one thread runs its commands in order.
    Write a method `op_NAME(self, command)` for each command of the role: `op_open`, `op_send`,
    `op_produce`, `op_txn` / `op_open`, `op_subscribe`, `op_assign`, `op_poll`, `op_commit`,
    `op_committed`, `op_position`, `op_seek`, `op_pause`, `op_resume`, `op_consume`. It gets the
    command as a dict whose required fields (`FIELDS`) are there, and returns the fields of its
    completion, or nothing. What it raises is reported as `outcome(op, error)` (`fail` or `info`)
    with `describe(error)`: override both, they are the driver's judgement of its client's errors.
    Raise `Outcome(kind, error, **fields)` to say it outright, `RefusedError` for a command that
    makes no sense (always `fail`), and `ANSWERED_LATER` after keeping the command of an
    asynchronous commit, for `self.answer(command, "ok", offsets=...)` when it is known.
    `self.closing` turns true when a close was asked for, `self.close_by` is when its time is over:
    look at them at least every `SLICE_S` (0.1 s) while waiting. `close_native()` closes; `idle()`
    is called twice a second while nothing runs; `runtime()` gives what only this client knows of
    the contract's `runtime` (`buffered_records`, `received_bytes`, ...).
    `self.event(kind, ...)` reports `assigned`, `revoked`, `lost`, from any thread;
    `self.error(error, fatal=...)` an error that belongs to no command. `self.siblings` are all
    clients of the process, by name (`txn` names a consumer).
Configuration
    `translate(client, role, config, keys, values)` puts the portable `config` into the client's own
    names and refuses the rest; then `options` are laid over it, as they are.
Records
    `Packer(topic).pack(value, size, partition)` is a payload to send, `parts(content, payload)` the
    key, value and headers of a record that is not plain; `sent(results)` is the completion of
    `send`. `polled(topic, partition, offset, value, key, headers)` is one record of `poll`.
    `header(payload)[1]` is the value in an intact payload.
Loops
    `ProduceLoop`   override `hand_over`, `serve` and `flush`; call `acknowledged` or `refused` once
                    a record. `op_produce` returns `MyProduceLoop(self, command).run()`.
    `ConsumeLoop`   set `styles`, override `fetch`, `look_at` (call `delivered` with the values and
                    `order` for each partition) and `commit_now`. The client needs an attribute
                    `max_poll_records` (int or None: what the client likes). A client that gives
                    records one by one takes the time of each, and has some looked at together.
    They count, sample once a second and check every record. They are measured against a bare loop
    of the same client: where a call for each record costs too much, override `closed_chunk`, which
    hands over `self.payloads(count, now_ns)`.
An event loop
    `driverkit.aio` has `main` and `AsyncClient` in place of `main` and `Client`: `op_` methods may
    be coroutines, all clients live on one loop in a thread of its own, and a lab that does not read
    stops a client, not the loop. Loops override `run` by a coroutine.
Errors
    `ERROR_NAMES[code]` is the protocol's name of an error code, `problem(message)` an error that is
    the driver's own finding, `READ_ONLY` are the commands that change nothing.

A driver never retries, reorders or hides what its client does. Its requirements.txt names, beside
what the client needs, `hdrhistogram` and `numpy`. See confluent-kafka/ (threads) and aiokafka/ (an
event loop) beside this kit for whole ones.
"""

from driverkit.client import NO_OFFSET, SLICE_S, BaseClient, Client, Command
from driverkit.consume_loop import ConsumeLoop
from driverkit.content import parts, polled
from driverkit.host import FIELDS, About, main
from driverkit.outcome import (
    ANSWERED_LATER,
    READ_ONLY,
    Outcome,
    RefusedError,
    describe,
    problem,
    sent,
)
from driverkit.payload import Packer, header
from driverkit.portable import translate
from driverkit.produce_loop import CHUNK, ProduceLoop
from driverkit.protocol_errors import NAMES as ERROR_NAMES

__all__ = [
    "ANSWERED_LATER",
    "CHUNK",
    "ERROR_NAMES",
    "FIELDS",
    "NO_OFFSET",
    "READ_ONLY",
    "SLICE_S",
    "About",
    "BaseClient",
    "Client",
    "Command",
    "ConsumeLoop",
    "Outcome",
    "Packer",
    "ProduceLoop",
    "RefusedError",
    "describe",
    "header",
    "main",
    "parts",
    "polled",
    "problem",
    "sent",
    "translate",
]
