"""Folders of the lab on this host, and the environment variables that move them.

KAFKALAB_HOME   state: leases, logs, spool, embedded store, Airflow home; .kafkalab in the checkout
KAFKALAB_CACHE  what can be fetched again: artifacts, built drivers; the user's cache folder
KAFKALAB_ROOT   the checkout with dags/, docker/ and expectations/; found from this file
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path


def root() -> Path:
    """The checkout."""
    return Path(os.environ.get("KAFKALAB_ROOT") or Path(__file__).resolve().parents[3])


def home() -> Path:
    """Where state of this checkout lives."""
    return Path(os.environ.get("KAFKALAB_HOME") or root() / ".kafkalab")


def cache() -> Path:
    """Where downloads and builds live that any checkout may share."""
    return Path(os.environ.get("KAFKALAB_CACHE") or user_cache_path("kafkalab"))
