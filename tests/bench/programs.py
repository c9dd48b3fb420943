"""Programs that a driver is compared with: bare loops of the same client, and Kafka's own tools.

A bare loop is one file in `bare/`, built by the lab's own builder with the same version of the
client, on the same runtime, as the driver: only the driver is not there. It takes one JSON object
as its argument and prints one as its last line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kafkalab.clients import build_java, builds, resolver
from kafkalab.clients.command import BuildLog
from kafkalab.clients.once import once
from kafkalab.model.subject import Subject
from kafkalab.runtime import java, maven, paths, pins

FOLDER = Path(__file__).parent / "bare"
RUN_S = 300.0
_FILES = {"python": "driver.py", "java": "Driver.java", "node": "driver.mjs", "go": "main.go"}
_ENDINGS = {"python": "py", "java": "java", "node": "mjs", "go": "go"}
_BESIDE = ("package.json", "go.mod", "go.sum")  # of the driver's folder: what its runtime asks for


@dataclass(frozen=True)
class Spec:
    """What a loop does."""

    op: str  # produce | consume | batches
    bootstrap: str
    topic: str
    records: int
    size: int = 100
    partitions: int = 0
    rate: float | None = None  # records/s of an open loop
    warm_records: int = 0  # of an open loop: the first, whose latency is not counted
    linger_ms: int | None = 5
    style: str = "poll"
    options: Mapping[str, object] = field(default_factory=dict)  # the client's own names


@dataclass(frozen=True)
class Found:
    """What a program did."""

    records: int
    seconds: float
    p99_ms: float = 0.0  # of an open loop

    @property
    def rate(self) -> float:
        """Records per second."""
        return self.records / self.seconds


def file_of(subject: Subject) -> Path:
    """The bare loop of a client."""
    runtime = pins.load().clients[subject.name]["runtime"]
    return FOLDER / f"{subject.name.replace('-', '_')}.{_ENDINGS[runtime]}"


def bare(subject: Subject) -> list[str]:
    """The command that runs a client's bare loop, built where it is not yet."""
    known = pins.load()
    order = resolver.order_of(subject, known)
    builder = resolver.builder_of(subject, known)
    runtime, source = known.clients[subject.name]["runtime"], file_of(subject)
    text = json.dumps([str(order), builder.identity(order), source.read_text(encoding="utf-8")])
    folder = paths.cache() / "bench" / hashlib.sha256(text.encode()).hexdigest()[:24]

    def make(scratch: Path) -> None:
        log = BuildLog()
        with tempfile.TemporaryDirectory() as staged:
            shutil.copy(source, Path(staged, _FILES[runtime]))
            for name in _BESIDE:
                if (order.driver / name).exists():
                    shutil.copy(order.driver / name, staged)
            alone = dataclasses.replace(order, driver=Path(staged), kit=None)
            made = builder.make(alone, scratch, log)
        (scratch / "argv.json").write_text(json.dumps(made.argv), encoding="utf-8")

    made = json.loads((once(folder, make) / "argv.json").read_text(encoding="utf-8"))
    return list(builds._argv(made, folder))


def run_bare(command: Sequence[str], spec: Spec) -> Found:
    """Run a bare loop to its end."""
    line = _run([*command, json.dumps(dataclasses.asdict(spec))]).splitlines()[-1]
    found = json.loads(line)
    assert found["failed"] == 0, f"{command[0]}: {found['failed']} records failed"
    return Found(found["records"], found["seconds"], found.get("p99_ms", 0.0))


def run_tool(subject: Subject, spec: Spec) -> Found:
    """Run Kafka's own performance tool with the driver's settings, version and JVM."""
    return _producer_tool(subject, spec) if spec.op == "produce" else _consumer_tool(subject, spec)


def _tool(subject: Subject, name: str, *arguments: str) -> str:
    known = pins.load()
    wanted = [f"org.apache.kafka:kafka-tools:{subject.version}", known.artifacts["slf4j"]]
    main = f"org.apache.kafka.tools.{name}"
    heap_mb, jvm = build_java._HEAP_MB, build_java._JVM  # as the driver has them
    classpath = maven.resolve(wanted)
    return _run(java.java_command(classpath, main, *arguments, heap_mb=heap_mb, jvm=jvm))


def _producer_tool(subject: Subject, spec: Spec) -> Found:
    # With --record-size it draws 100 random letters for each record. That takes it half a core, so
    # that it never fills the client's buffer, and a full one costs a JVM: another load than ours.
    properties = [f"bootstrap.servers={spec.bootstrap}", "acks=all", f"linger.ms={spec.linger_ms}"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as payload:
        payload.write("x" * spec.size)
        payload.flush()
        printed = _tool(
            subject, "ProducerPerformance", "--topic", spec.topic,
            "--num-records", str(spec.records), "--payload-file", payload.name,
            "--throughput", "-1", "--producer-props", *properties,
        )  # fmt: skip
    totals = re.findall(r"(\d+) records sent, ([\d.]+) records/sec", printed)
    records, rate = totals[-1]
    assert int(records) == spec.records, printed
    return Found(int(records), int(records) / float(rate))


def _consumer_tool(subject: Subject, spec: Spec) -> Found:
    printed = _tool(
        subject, "ConsumerPerformance", "--bootstrap-server", spec.bootstrap, "--topic", spec.topic,
        "--messages", str(spec.records), "--timeout", "20000",
    )  # fmt: skip
    header, row = (line.split(", ") for line in printed.splitlines()[-2:])
    found = dict(zip(header, row, strict=True))
    records = int(found["data.consumed.in.nMsg"])
    return Found(records, int(found["fetch.time.ms"]) / 1e3)  # without joining the group


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        list(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_S,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"{command[0]}: exit code {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout
