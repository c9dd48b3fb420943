"""Released versions with a known bug are red for its own reason, and the first without it is green.

The pairs of CATALOGUE's "known cases" that need no fault. Slow (about four minutes, and the first
time it installs four releases): `make test-known`.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(300)]


def attempt(scenario: str, client: str) -> tuple[int, dict]:
    command = [sys.executable, "-m", "kafkalab", "try", scenario, "--client", client]
    done = subprocess.run(
        [*command, "--engine", "process", "--json"],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["cells"][0]


def failed(cell: dict) -> dict[str, str]:
    return {c["claim"]: c["summary"] for c in cell["claims"] if c["verdict"] == "fail"}


def test_a_null_value_written_as_empty_bytes_is_seen_by_another_client():
    """@platformatic/kafka #216."""
    code, cell = attempt("C11", "platformatic-kafka@1.22.0")
    assert code == 1
    assert cell["clients"][0] == "@platformatic/kafka@1.22.0"
    assert "empty bytes where null was sent" in failed(cell)["null-becomes-empty"]
    code, cell = attempt("C11", "platformatic-kafka@1.27.0")
    assert (code, failed(cell), cell["clients"][0]) == (0, {}, "@platformatic/kafka@1.27.0")


def test_a_large_fetch_with_a_synchronous_hook_ends_the_process():
    """@platformatic/kafka #354."""
    code, cell = attempt("C03", "platformatic-kafka@2.7.0")
    assert code == 1
    assert "ended by itself" in failed(cell)["crash"]
    assert set(failed(cell)) == {"crash"}
    code, cell = attempt("C03", "platformatic-kafka@2.11.0")
    assert (code, failed(cell), cell["clients"][0]) == (0, {}, "@platformatic/kafka@2.11.0")
