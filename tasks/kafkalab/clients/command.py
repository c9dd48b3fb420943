"""Running the package managers and compilers that make a client runnable, with a log of it all."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from kafkalab.model.errors import BuildError, InfrastructureError

COMMAND_S = 300.0
_TAIL_LINES = 12


class BuildLog:
    """Every command of one build, what it printed and how it ended."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, text: str) -> None:
        """Append a paragraph."""
        self.text += text.rstrip() + "\n"

    def tail(self) -> str:
        """The last lines, for an error message."""
        return "\n".join(self.text.splitlines()[-_TAIL_LINES:])

    def failure(self, what: str) -> BuildError:
        """An error with the end of the log in its text, and the whole of it beside."""
        return BuildError(f"{what}\n{self.tail()}", self.text)


def run(
    log: BuildLog,
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and log it; its exit code is the caller's business.

    Raises:
        InfrastructureError: it cannot be started, or does not end in time.
    """
    words = shlex.join(str(word) for word in command)
    log.add(f"$ {words}")
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
    except OSError as error:
        raise InfrastructureError(f"{words}: cannot be started: {error}.") from error
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"{words}: expected it to end within {COMMAND_S:g} s, it did not."
        ) from error
    for part in (done.stdout, done.stderr):
        if part.strip():
            log.add(part)
    if done.returncode:
        log.add(f"(exit code {done.returncode})")
    return done
