"""Class data sharing: brokers start with Kafka's classes already parsed (JEP 310).

Most of what a broker does in its first seconds is loading 6,000 classes, three times over on a
small host. The first cluster of a version records what one of its brokers loads; when that cluster
is stopped, the JVM writes it to an archive in the cache, which later starts map. The JVM checks
that archive, JVM and classpath fit and else starts without it, so a wrong archive costs time only.

Measured, Kafka 3.9.2, three brokers on 2 cores that were busy with other work: 9 to 12 s until
metadata is complete without, 4 to 7 s with it; CPU per start 2.3 s → 1.3 s; RSS 30 MB less per
broker. Writing the archive takes 4 s of CPU, once per version. `-XX:+AutoCreateSharedArchive`
would be simpler, but it builds on an archive of the JDK itself, which the JRE in the wheel does
not have.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from kafkalab.runtime import java, paths

LISTING = "classes.lst"
_DUMP_S = 180.0
# On or off changes what may be archived: the same as brokers run with.
_SAME = ("-XX:+UseSerialGC",)


def archive(version: str, classpath: Sequence[Path]) -> Path:
    """Where the archive of a version is kept, for this JVM and these jars; it need not exist."""
    parts = [java.java_version(), _runtime(java.java_binary()), *map(str, classpath)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    return paths.cache() / "cds" / f"kafka-{version}-{digest}.jsa"


def _runtime(binary: Path) -> str:
    """What the JVM looks at in its own runtime, or else its path.

    Not the path alone: every checkout has a runtime of its own, all of them the same files, and
    each would write three archives again.
    """
    modules = binary.resolve().parent.parent / "lib" / "modules"
    if not modules.is_file():
        return str(binary)
    found = modules.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def options(shared: Path, listing: Path | None) -> tuple[str, ...]:
    """JVM options of a broker: use the archive, or record for it.

    Args:
        shared: what `archive` returned.
        listing: file to record to when there is no archive yet; None: do not record.
    """
    if shared.is_file():
        return (f"-XX:SharedArchiveFile={shared}", "-Xshare:auto")
    return (f"-XX:DumpLoadedClassList={listing}",) if listing is not None else ()


def write(shared: Path, listing: Path, classpath: Sequence[Path]) -> bool:
    """Write the archive from a recording; whether it exists now.

    That it cannot be written is no error: brokers start without. What the JVM said is beside the
    recording, in `cds.log`.
    """
    if shared.is_file() or not listing.is_file():
        return shared.is_file()
    shared.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(shared.with_suffix(".lock"), timeout=0)
    try:
        with lock:
            return _dump(shared, listing, classpath)
    except Timeout:
        return False  # another process writes it


def _dump(shared: Path, listing: Path, classpath: Sequence[Path]) -> bool:
    # A broker that was killed may have left half a line, which the JVM refuses.
    whole = listing.read_text(encoding="utf-8").rpartition("\n")[0]
    listing.write_text(whole + "\n", encoding="utf-8")
    scratch = shared.with_name(f".{shared.name}.{os.getpid()}")
    command = [
        str(java.java_binary()),
        *_SAME,
        "-Xshare:dump",
        f"-XX:SharedClassListFile={listing}",
        f"-XX:SharedArchiveFile={scratch}",
        "-cp",
        os.pathsep.join(map(str, classpath)),
    ]
    try:
        with listing.with_name("cds.log").open("wb") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=_DUMP_S,
                check=False,
            )
        if done.returncode == 0 and scratch.is_file():
            scratch.replace(shared)
    except subprocess.TimeoutExpired:
        return False
    finally:
        scratch.unlink(missing_ok=True)
    return shared.is_file()
