"""What an error of this client says about its operation: did it certainly not happen?

The client retries by itself and shows the last error only. So an error of a record is `fail` only
where no earlier attempt can have been written either; a timeout never is.
"""

from __future__ import annotations

from typing import Any

import driverkit
from driverkit import READ_ONLY
from kafka import errors

# Refused for what the record or the request is, whatever came before: by the protocol's code.
_NEVER_WRITTEN = frozenset(
    {
        10,  # MESSAGE_TOO_LARGE, which the client itself says too
        17,  # INVALID_TOPIC_EXCEPTION
        18,  # RECORD_LIST_TOO_LARGE
        21,  # INVALID_REQUIRED_ACKS
        29,  # TOPIC_AUTHORIZATION_FAILED
        31,  # CLUSTER_AUTHORIZATION_FAILED
        43,  # UNSUPPORTED_FOR_MESSAGE_FORMAT
        87,  # INVALID_RECORD
    }
)
# Answers of a broker that leave open whether the request took effect.
_OPEN_ANSWERS = frozenset({-1, 7, 13})  # UNKNOWN_SERVER_ERROR, REQUEST_TIMED_OUT, NETWORK_EXCEPTION
# Commands that ask no broker, or (`open`) whose client does not exist when they raise.
_LOCAL = frozenset({"open", "subscribe", "assign", "seek", "pause", "resume"})
# Raised before anything is sent; releases up to 2.0 assert where later ones raise.
_REFUSED = (
    AssertionError,
    TypeError,
    ValueError,
    errors.IllegalArgumentError,
    errors.IllegalStateError,
    errors.KafkaConfigurationError,
    errors.IncompatibleBrokerVersion,
    errors.UnsupportedCodecError,
    errors.UnsupportedVersionError,
    errors.CommitFailedError,  # the coordinator has the group without this member
)
# How the client says that a transaction is in no state for a command; the class is `KafkaError`.
_NO_STATE_FOR_IT = ("Invalid transition attempted", "Cannot execute transactional method")


def send_outcome(error: BaseException) -> str:
    """`fail` or `info` for one record that was handed over."""
    return "fail" if getattr(error, "errno", None) in _NEVER_WRITTEN else "info"


def command_outcome(op: str, error: BaseException) -> str:
    """`fail` or `info` for a whole command."""
    if op in READ_ONLY or op in _LOCAL or isinstance(error, _REFUSED):
        return "fail"
    if op == "txn" and type(error) is errors.KafkaError:
        return "fail" if any(words in str(error) for words in _NO_STATE_FOR_IT) else "info"
    code = getattr(error, "errno", None) if isinstance(error, errors.KafkaError) else None
    return "info" if code is None or code in _OPEN_ANSWERS else "fail"


def describe(error: BaseException) -> dict[str, Any]:
    """An error in the contract's form."""
    described = driverkit.describe(error)
    if not isinstance(error, errors.KafkaError):
        return described
    described["name"] = driverkit.ERROR_NAMES.get(getattr(error, "errno", None) or 0)
    if error.retriable:
        described["retriable"] = True
    return described
