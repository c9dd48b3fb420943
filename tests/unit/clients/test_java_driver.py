"""What the driver in Java counts: a program in Java beside its classes, no broker."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from kafkalab.clients import resolver
from kafkalab.model.subject import Subject
from kafkalab.runtime import java, maven, pins


def test_the_drivers_own_tests_pass(clients_folder, tmp_path):
    known = pins.load()
    order = resolver.order_of(known.resolve(Subject.parse("kafka-clients@pinned")), known)
    libraries = maven.resolve([f"{order.package}:{order.pinned}", *order.needs])
    sources = tmp_path / "sources"
    sources.mkdir()
    for folder in (clients_folder / "kafka-clients", Path(__file__).with_name("kit-java")):
        for source in folder.glob("*.java"):
            shutil.copy(source, sources)
    classes = maven.compile_java(sources, libraries, tmp_path / "classes")
    command = java.java_command([classes, *libraries], "CountingTest", heap_mb=128)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^checks passed: [1-9]", done.stdout), done.stdout
