"""What an error of this client says about its operation: did it certainly not happen?

A record that `send` refuses was never in a batch: certain. Once it is in one, its future tells how
the last attempt ended, not how many there were; an earlier one whose answer was lost may have
been written. So only what a broker refuses for what it is, at every attempt, is `fail`.

Commits and the ends of transactions are retried by the client without a limit of time, too, and
the error that ends them is the last answer's: a `CommitFailedError` or `ProducerFenced` can follow
an attempt that took effect and whose answer was lost. They are `info`.
"""

from __future__ import annotations

from typing import Any

import driverkit
from aiokafka import errors
from driverkit import READ_ONLY

_FOR_WHAT_IT_IS = frozenset(
    {
        errors.MessageSizeTooLargeError.errno,
        errors.RecordListTooLargeError.errno,
        errors.InvalidTopicError.errno,
        errors.InvalidRequiredAcksError.errno,
        errors.TopicAuthorizationFailedError.errno,
        errors.ClusterAuthorizationFailedError.errno,
        errors.UnsupportedForMessageFormatError.errno,
    }
)
# A request is refused for what it is: no attempt can have had an effect.
_REFUSED = _FOR_WHAT_IT_IS | {
    errors.GroupAuthorizationFailedError.errno,
    errors.OffsetMetadataTooLargeError.errno,
    errors.InvalidCommitOffsetSizeError.errno,
    errors.InvalidGroupIdError.errno,
    errors.UnsupportedVersionError.errno,
}
# The client itself says no, before it sends anything.
_LOCAL = (errors.IllegalStateError, errors.IllegalArgumentError, errors.IllegalOperation)
# With these the producer's background task ends, and the producer with it.
_FATAL = (
    errors.ProducerFenced,
    errors.OutOfOrderSequenceNumber,
    errors.TransactionalIdAuthorizationFailed,
)


def code(error: BaseException) -> int | None:
    """The protocol's error code, where a broker gave one (an OSError has an errno, too)."""
    return error.errno if isinstance(error, errors.BrokerResponseError) else None


def send_outcome(error: BaseException) -> str:
    """`fail` or `info` for a record that was in a batch."""
    return "fail" if code(error) in _FOR_WHAT_IT_IS else "info"


def command_outcome(op: str, error: BaseException) -> str:
    """`fail` or `info` for a whole command."""
    if op in READ_ONLY or op == "open":
        return "fail"  # nothing was changed
    if isinstance(error, _LOCAL) or code(error) in _REFUSED:
        return "fail"
    if isinstance(error, errors.KafkaError | OSError | TimeoutError):
        return "info"
    return "fail"  # a check of its arguments or of its state: an assertion, a ValueError


def describe(error: Any) -> dict[str, Any]:
    """An error in the contract's form."""
    described = driverkit.describe(error)
    described["name"] = driverkit.ERROR_NAMES.get(code(error))
    if getattr(error, "retriable", False):
        described["retriable"] = True
    if isinstance(error, _FATAL):
        described["fatal"] = True
    return described
