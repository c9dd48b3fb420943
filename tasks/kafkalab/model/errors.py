"""The errors that a person sees, each with the exit code that the command line promises.

An error says what was expected, what was found and what to do next, in that order. Anything that
is not a `LabError` is a defect of the lab: it is shown with its traceback and ends as unknown.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command (a contract, see the README)."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    UNKNOWN = 3
    INTERRUPTED = 130


class LabError(Exception):
    """A failure with a sentence for the person who reads it."""

    exit_code: ExitCode = ExitCode.UNKNOWN


class UsageError(LabError):
    """The request cannot be carried out as it is written: unknown name, bad value, bad file."""

    exit_code = ExitCode.USAGE


class InfrastructureError(LabError):
    """The host, network, store or cluster failed; the subject was not judged."""

    exit_code = ExitCode.UNKNOWN


class DriverError(LabError):
    """A driver broke the driver contract: garbage, silence, a wrong version, an early exit."""

    exit_code = ExitCode.UNKNOWN


class BuildError(LabError):
    """A subject could not be made runnable: it does not install, compile or load here.

    It says nothing of the subject's behaviour, so its cells are unknown and never findings.
    """

    exit_code = ExitCode.UNKNOWN

    def __init__(self, text: str, log: str = "") -> None:
        super().__init__(text)
        self.log = log  # everything that the package managers and compilers said
