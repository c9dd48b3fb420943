"""Starting a process that cannot outlive the lab.

The kernel kills it (PR_SET_PDEATHSIG) when its parent *thread* ends, so all are started by one
thread that lives as long as the lab. A session of its own keeps Ctrl-C from it: the lab gets the
interrupt and closes its drivers in order.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")


def spawn(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `argv` with exactly the environment `env` and three pipes; raises `OSError`."""
    return _starter.submit(_spawn, tuple(argv), dict(env)).result()


def _die_with_the_lab() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _spawn(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_die_with_the_lab,  # noqa: PLW1509 one system call, resolved before the fork
    )
