"""The contract's portable configuration in a client's words; the rest is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from driverkit.outcome import RefusedError


def translate(
    client: str,
    role: str,
    config: Mapping[str, Any],
    keys: Mapping[str, str],
    values: Mapping[tuple[str, Any], Any],
) -> dict[str, Any]:
    """The client's own configuration.

    Args:
        client: its name, for messages.
        role: `producer`, `consumer` or `admin`.
        config: portable keys and values.
        keys: portable key → the client's name for it, in this role.
        values: (portable key, value) → the client's value, where it has another word.

    Raises:
        RefusedError: a key that the client lacks, by its name.
    """
    native: dict[str, Any] = {}
    for key, value in config.items():
        if key not in keys:
            raise RefusedError(f"config key {key!r}: {client} has no such setting for a {role}")
        native[keys[key]] = values.get((key, value), value)
    return native
