"""What tests of drivers in Python need: their modules, which lie beside each other as top level."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

CLIENTS = Path(__file__).resolve().parents[3] / "docker" / "clients"


@pytest.fixture
def clients_folder():
    """Where the drivers and their kits lie."""
    return CLIENTS


@pytest.fixture
def driver_modules(monkeypatch):
    """Give a driver's folder and get what imports its modules; they are forgotten afterwards."""
    before = set(sys.modules)

    def of(driver):
        monkeypatch.syspath_prepend(CLIENTS / "kit-python")
        monkeypatch.syspath_prepend(CLIENTS / driver)
        return import_module

    yield of
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and CLIENTS in Path(file).parents:
            del sys.modules[name]
