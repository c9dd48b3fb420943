"""`kafkalab clients`: what can be put under test, which versions are built, what each can do.

What a client can do is what its driver said in its `hello` when it was built here; nothing is
known of a version that nobody built yet, and naming it builds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from kafkalab.cli import output
from kafkalab.clients import builds, versions
from kafkalab.clients.builds import Launch
from kafkalab.clients.resolver import order_of, resolve_client, settled
from kafkalab.model.errors import BuildError, ExitCode
from kafkalab.model.subject import Subject
from kafkalab.runtime import pins

# What a person compares clients by; `--json` has all.
SHOWN = (
    "idempotence", "transactions", "cooperative", "kip848", "static-membership", "pause", "seek",
    "headers", "tls", "sasl-plain", "sasl-scram", "oauthbearer", "loop-consume-poll",
    "loop-consume-batch", "loop-consume-stream", "loop-consume-pipeline",
)  # fmt: skip
_YES, _NO = "✓", "·"


@dataclass(frozen=True)
class Known:
    """One client of versions.toml."""

    name: str
    runtime: str
    package: str
    pinned: str
    built: tuple[Launch, ...]  # in the cache, with the driver as it is now

    def shown(self) -> Launch | None:
        """The build that stands for the client: the pinned one, else the last."""
        pinned = [made for made in self.built if made.subject == f"{self.name}@{self.pinned}"]
        found = pinned or self.built
        return found[-1] if found else None


def run(subjects: Sequence[str], json_output: bool) -> ExitCode:
    """Show every client; build the named subjects first. Red when one of them cannot be built."""
    code = ExitCode.PASS
    for text in subjects:
        output.say(f"resolving {text}")
        try:
            resolve_client(Subject.parse(text), pins.load(), "process")
        except BuildError as error:
            output.say(str(error))
            code = error.exit_code
    found = [_known(name) for name in pins.load().clients]
    if json_output:
        output.print_json({"clients": [_document(client) for client in found]})
    else:
        Console().print(_clients(found), _capabilities(found))
    return code


def _known(name: str) -> Known:
    loaded = pins.load()
    row: Mapping[str, Any] = loaded.clients[name]
    order = order_of(settled(Subject(name, "pinned"), loaded), loaded)
    made = tuple(builds.current(order))
    return Known(name, row["runtime"], row["package"], row["pinned"], made)


def _document(client: Known) -> dict[str, Any]:
    return {
        "client": client.name,
        "runtime": client.runtime,
        "package": client.package,
        "pinned": client.pinned,
        "builds": [{"subject": made.subject, "hello": dict(made.hello)} for made in client.built],
    }


def _clients(found: Sequence[Known]) -> Table:
    table = Table("client", "runtime", "pinned", "built here, as loaded")
    for client in found:
        loaded = versions.ordered({_version(made) for made in client.built})
        table.add_row(
            client.name,
            client.runtime,
            client.pinned,
            ", ".join(loaded) or f"none: kafkalab clients {client.name}@pinned",
        )
    return table


def _capabilities(found: Sequence[Known]) -> Table:
    asked = [(client, made) for client in found if (made := client.shown())]
    table = Table(title=f"{_YES} can   {_NO} cannot   as its driver says, in the version shown")
    table.add_column("capability", no_wrap=True)
    for client, made in asked:
        table.add_column(f"{_broken(client.name)}\n{_version(made)}", justify="center")
    for name in SHOWN:
        marks = (_YES if name in made.hello["capabilities"] else _NO for _, made in asked)
        table.add_row(name, *marks)
    return table


def _broken(name: str) -> str:
    """A name that may take several lines, so that seven clients fit a terminal."""
    return name.replace("-", "-\n")


def _version(made: Launch) -> str:
    return str(made.hello["client"]["version"])
