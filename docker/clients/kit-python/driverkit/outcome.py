"""How a command ends: `ok`, `fail` (it certainly did not happen) or `info` (nobody knows)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

READ_ONLY = frozenset(
    {"poll", "committed", "position", "end_offsets", "group_offsets", "describe_cluster"}
)


class Outcome(Exception):  # noqa: N818 an outcome of a command, not always an error
    """Ends a command as `fail` or `info`, or as answered elsewhere (kind empty)."""

    def __init__(self, kind: str, error: Mapping[str, Any] | None = None, **fields: object) -> None:
        super().__init__(kind)
        self.kind = kind
        self.fields = {**fields, "error": error} if error else fields


ANSWERED_LATER = Outcome("")


class RefusedError(ValueError):
    """What cannot be carried out as it is written: a `fail`, the client was never asked."""


def problem(message: str) -> dict[str, Any]:
    """An error of the contract's form that is the driver's own finding."""
    return {"name": None, "code": None, "message": message}


def describe(error: BaseException) -> dict[str, Any]:
    """An error of Python in the contract's form; the client's own errors are the driver's task."""
    return {"name": None, "code": type(error).__name__, "message": str(error)}


def sent(results: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The completion of a `send`; raises `Outcome` where not every record is ok.

    Args:
        results: [outcome, partition, offset, error or null] for each record, in order.
    """
    kinds = {result[0] for result in results}
    if kinds <= {"ok"}:
        return {"results": results}
    first = next(result[3] for result in results if result[3])
    raise Outcome("fail" if kinds == {"fail"} else "info", first, results=results)
