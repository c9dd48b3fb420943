"""What an image of a client holds beside its Dockerfile, for runtimes whose builds travel.

A build of the process engine is made for this host's Python and its paths; one for Node or Go is
not: its folder, and Node itself, are copied into the image as they are.
"""

from __future__ import annotations

from pathlib import Path

from kafkalab.clients import toolchain
from kafkalab.clients.builds import folder_of
from kafkalab.clients.resolver import builder_of, order_of, settled
from kafkalab.model.errors import UsageError
from kafkalab.model.subject import Subject
from kafkalab.runtime.pins import Pins


def parts(subject: Subject, pins: Pins) -> list[tuple[Path, str]]:
    """(path on this host, place in the build context); builds the client where it is not there.

    Raises:
        UsageError: no such client or version.
        BuildError, InfrastructureError: as `builds.folder_of`.
    """
    resolved = settled(subject, pins)
    runtime = pins.clients[resolved.name]["runtime"]
    folder = folder_of(order_of(resolved, pins), builder_of(resolved, pins))
    if runtime == "node":
        return [(folder, "driver"), (toolchain.node(), "node")]
    if runtime == "go":
        return [(folder / "driver", "driver")]
    raise UsageError(f"{subject}: builds for {runtime} belong to their host, not into an image.")
