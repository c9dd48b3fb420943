"""What an error of this client says about its operation: did it certainly not happen?

librdkafka knows for each record whether it may have been written, but its Python binding does not
show it. So only errors that exclude every earlier attempt are `fail`; the rest is `info`. A record
that is purged while it waits (_PURGE_QUEUE) may wait for a retry: its first attempt may be there.
"""

from __future__ import annotations

from typing import Any

import driverkit
from confluent_kafka import KafkaError, KafkaException
from driverkit import READ_ONLY

# Refused before it left, or for what it is: no attempt can have succeeded. By name, because older
# versions of the client lack some of the constants.
_NEVER_WRITTEN = frozenset(
    {
        "_QUEUE_FULL",
        "_UNKNOWN_TOPIC",
        "_UNKNOWN_PARTITION",
        "_INVALID_ARG",
        "_STATE",
        "MSG_SIZE_TOO_LARGE",
        "RECORD_LIST_TOO_LARGE",
        "TOPIC_EXCEPTION",
        "INVALID_REQUIRED_ACKS",
        "TOPIC_AUTHORIZATION_FAILED",
        "CLUSTER_AUTHORIZATION_FAILED",
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        "INVALID_RECORD",
    }
)
# Local errors of a command that say that nothing was sent, or that the answer was no.
_REFUSED = frozenset(
    {
        "_INVALID_ARG",
        "_STATE",
        "_NO_OFFSET",
        "_UNKNOWN_GROUP",
        "_UNKNOWN_TOPIC",
        "_UNKNOWN_PARTITION",
        "_NOT_IMPLEMENTED",
        "_CONFLICT",
        "_FENCED",
        "_NOT_CONFIGURED",
        "_UNSUPPORTED_FEATURE",
        "_READ_ONLY",
        "_ASSIGNMENT_LOST",
    }
)
# Answers of a broker that leave open whether the request took effect.
_OPEN_ANSWERS = frozenset({"UNKNOWN", "REQUEST_TIMED_OUT", "NETWORK_EXCEPTION"})


def send_outcome(error: KafkaError) -> str:
    """`fail` or `info` for one record."""
    return "fail" if error.name() in _NEVER_WRITTEN else "info"


def command_outcome(op: str, error: BaseException | KafkaError) -> str:
    """`fail` or `info` for a whole command."""
    cause = kafka_error(error)
    if op in READ_ONLY:
        return "fail"  # nothing was changed
    if isinstance(error, TimeoutError):
        return "info"  # the client was asked and did not answer in time
    if cause is None:
        return "fail"  # Python refused the call before the client saw it
    name = cause.name()
    if name in _REFUSED or (cause.code() > 0 and name not in _OPEN_ANSWERS):
        return "fail"
    return "info"


def kafka_error(error: BaseException | KafkaError) -> KafkaError | None:
    """The client's error inside an exception, if there is one."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return error.args[0]
    return error if isinstance(error, KafkaError) else None


def describe(error: BaseException | KafkaError) -> dict[str, Any]:
    """An error in the contract's form."""
    cause = kafka_error(error)
    if cause is None:
        return driverkit.describe(error)
    described: dict[str, Any] = {
        "name": driverkit.ERROR_NAMES.get(cause.code()),
        "code": cause.name(),
        "message": cause.str(),
    }
    for flag in ("fatal", "retriable", "txn_requires_abort"):
        if getattr(cause, flag)():
            described[flag] = True
    return described
