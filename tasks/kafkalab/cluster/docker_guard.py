"""Removes a run's containers and networks once nobody holds the run's lease any more.

    python -m kafkalab.cluster.docker_guard RUN_ID LEASE_FILE

One guard runs per cluster, as a container of its own that the daemon restarts whenever it ends, so
that it outlives the step, the scheduler and the terminal, kill -9 of itself, and a restart of the
daemon. It reads the lease from the mounted folder (a lease is bound to the kernel's monotonic clock
and boot id, which a container shares with its host) and removes itself last. A failure ends it with
a traceback in its log and the daemon starts it again: that is its retry, with the daemon's growing
pauses.

Its container has a restart policy of `always`, not `on-failure`: after `docker kill` or a restart
of the daemon `on-failure` leaves it stopped. `always` needs an explicit end, and removing itself is
one.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from kafkalab.cluster import docker_api
from kafkalab.cluster.engine import Residue
from kafkalab.model.errors import InfrastructureError
from kafkalab.runtime import lease

if TYPE_CHECKING:
    import docker

_POLL_S = 1.0
_CLEAR_S = 60.0
_AGAIN_S = 0.2

_Found = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Scope:
    """A run or a cluster, by the label that all of it carries."""

    label: str  # docker_api.LABEL_RUN | docker_api.LABEL_CLUSTER
    value: str

    def __str__(self) -> str:
        return f"{self.label.rpartition('.')[2]} {self.value}"


def main(argv: Sequence[str]) -> int:
    """Wait until the lease is void, then remove everything of the run, this container last."""
    run_id, path = argv[0], Path(argv[1])
    while _valid(path):
        time.sleep(
            _POLL_S
        )  # polls a condition: nothing notifies about a renewal that did not happen
    client = docker_api.connect()
    removed = remove(client, Scope(docker_api.LABEL_RUN, run_id), keep_guards=True)
    sys.stderr.write(
        f"the lease of run {run_id} has ended: removed {', '.join(removed) or 'nothing'}\n"
    )
    remove_run(client, run_id)
    return 0


def remove(client: docker.DockerClient, scope: Scope, *, keep_guards: bool = False) -> list[str]:
    """Remove what is in a scope; returns the names of what was removed.

    Args:
        client: of the daemon that has it.
        scope: a run or one of its clusters.
        keep_guards: leave guards, one of which calls this for the rest before it removes itself.

    Raises:
        InfrastructureError: something is still there after a minute.
    """
    removed: set[str] = set()

    def clear() -> bool:
        found = _found(client, scope, keep_guards=keep_guards)
        _remove(client, *found)
        removed.update(_names(*found))
        return not any(_found(client, scope, keep_guards=keep_guards))

    # Again, because a network goes only after its containers, and a container may be going already.
    again = Retrying(
        retry=retry_if_result(lambda done: not done),
        stop=stop_after_delay(_CLEAR_S),
        wait=wait_fixed(_AGAIN_S),
    )
    try:
        again(clear)
    except RetryError as error:
        raise InfrastructureError(
            f"expected everything of {scope} to be removed within {_CLEAR_S:.0f} s, found "
            f"{left(client, scope)}. See the daemon's log."
        ) from error
    return sorted(removed)


def remove_run(client: docker.DockerClient, run_id: str) -> list[str]:
    """Remove everything of a run; see `remove`."""
    return remove(client, Scope(docker_api.LABEL_RUN, run_id))


def residue(client: docker.DockerClient, run_id: str) -> Residue:
    """What the daemon has of a run."""
    return left(client, Scope(docker_api.LABEL_RUN, run_id))


def left(client: docker.DockerClient, scope: Scope) -> Residue:
    """What the daemon has in a scope."""
    containers, networks = _found(client, scope, keep_guards=False)
    return Residue(containers=tuple(_names(containers, ())), networks=tuple(_names((), networks)))


def _valid(path: Path) -> bool:
    current = lease.read(path)
    return current is not None and current.left_s() > 0


def _found(
    client: docker.DockerClient, scope: Scope, *, keep_guards: bool
) -> tuple[_Found, _Found]:
    """Containers and networks in a scope, as the daemon lists them."""
    wanted = {"label": f"{scope.label}={scope.value}"}
    containers = client.api.containers(all=True, filters=wanted)
    kept = [
        each
        for each in containers
        if not (_is_running_step(each) or (keep_guards and _is_guard(each)))
    ]
    return kept, client.api.networks(filters=wanted)


def _is_running_step(container: Mapping[str, Any]) -> bool:
    """Whether it is a step at work: it has the run's label but no role, and may be the caller."""
    return docker_api.LABEL_ROLE not in container["Labels"] and container["State"] == "running"


def _is_guard(container: Mapping[str, Any]) -> bool:
    return bool(container["Labels"].get(docker_api.LABEL_ROLE) == docker_api.GUARD)


def _names(containers: _Found, networks: _Found) -> list[str]:
    # A container that is being removed has lost its names already.
    named = [
        each["Names"][0].lstrip("/") if each["Names"] else each["Id"][:12] for each in containers
    ]
    return [*named, *(each["Name"] for each in networks)]


def _remove(client: docker.DockerClient, containers: _Found, networks: _Found) -> None:
    """One pass. What the daemon refuses is gone or going, and if not, the caller sees it remain."""
    from docker.errors import APIError

    # The guard last: when this runs inside it, nothing may be left to do after it is gone.
    for container in sorted(containers, key=_is_guard):
        with contextlib.suppress(APIError):
            client.api.remove_container(container["Id"], force=True, v=True)
    for network in networks:
        with contextlib.suppress(APIError):
            client.api.remove_network(network["Id"])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
