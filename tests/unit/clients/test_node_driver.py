"""What the driver in JavaScript counts and writes: tests on Node's own runner, no broker."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from kafkalab.clients import toolchain
from kafkalab.clients.command import BuildLog, run
from kafkalab.clients.resolver import resolve_client
from kafkalab.model.subject import Subject
from kafkalab.runtime import pins


def test_the_drivers_own_tests_pass(clients_folder, tmp_path):
    known = pins.load()
    subject = known.resolve(Subject.parse("platformatic-kafka@pinned"))
    built = Path(resolve_client(subject, known, "process").argv[-1]).parent
    for source in (clients_folder / "platformatic-kafka").glob("*.mjs"):
        shutil.copy(source, tmp_path)
    for source in Path(__file__).with_name("kit-node").glob("*.test.mjs"):
        shutil.copy(source, tmp_path)
    (tmp_path / "node_modules").symlink_to(built / "node_modules")
    log = BuildLog()
    done = run(log, [str(toolchain.node()), "--test"], cwd=tmp_path)
    assert done.returncode == 0, log.text
    assert re.search(r"^. pass [1-9]", log.text, re.MULTILINE), log.text
