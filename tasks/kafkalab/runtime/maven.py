"""Maven artifacts as classpaths: any released Kafka is one string away.

`resolve` turns coordinates into jars. What it found is remembered in `cache()/maven/<hash>.json`,
so the second time costs milliseconds and needs no network. A remembered answer is used only while
every file is there in its full size; files enter the repository by rename after their checksum was
compared, so a download that was cut off is never seen. jgo builds the dependency tree; two of its
habits are not wanted here and are replaced in `_Resolver`: it writes a jar under its final name
while it still downloads, and it drops a branch of the tree silently when one of its POMs cannot be
fetched.

KAFKALAB_MAVEN names another repository (a mirror) than Maven Central.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import java, paths, pins

VARIABLE = "KAFKALAB_MAVEN"
_FORMAT = 1  # of the remembered answers
_LOCK_S = 300.0  # another process may be fetching all of Kafka over a slow line
_COMPILE_S = 120.0
_RELEASE = "17"  # what drivers are compiled for


def resolve(coordinates: Sequence[str]) -> tuple[Path, ...]:
    """Jars of the artifacts and of everything they need at run time, in classpath order.

    Args:
        coordinates: `group:artifact:version[:classifier]`. A classifier `jar-with-dependencies`
            means that the jar carries what it needs, so nothing is added to it.

    Raises:
        UsageError: an artifact or version does not exist; the nearest that exist are named.
        InfrastructureError: the repository cannot be reached, or the download is damaged.
    """
    answer = _answer_file(coordinates)
    known = _remembered(answer)
    if known is not None:
        return known
    from filelock import FileLock, Timeout  # a remembered answer needs no lock

    answer.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(answer.parent / "resolve.lock", timeout=_LOCK_S)
    try:
        with lock:
            known = _remembered(answer)  # another process may have resolved it meanwhile
            if known is not None:
                return known
            _drop_damaged(answer)
            return _fetch(coordinates, answer)
    except Timeout as error:
        raise InfrastructureError(
            f"{lock.lock_file}: expected another process to finish its downloads within "
            f"{_LOCK_S:.0f} s, it did not. See which process holds the file (`fuser`), end it, "
            f"and try again."
        ) from error


def compile_java(source: Path, classpath: Sequence[Path], target: Path | None = None) -> Path:
    """Compile Java sources for Java 17 with the Eclipse compiler; what is up to date is kept.

    Args:
        source: a `.java` file, or a folder of them.
        classpath: jars that the sources need.
        target: folder for the classes; None: one in the cache, named by the content of sources and
            classpath, which any number of processes may share.

    Returns:
        The folder with the classes.

    Raises:
        UsageError: the sources do not compile; the compiler's words are in the message.
    """
    compiler = resolve([pins.load().artifacts["ecj"]])
    digest = _source_digest(source, [*compiler, *classpath])
    folder = target or paths.cache() / "classes" / digest
    stamp = folder / ".sources"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".compile-", dir=folder.parent))
    try:
        _run_compiler(compiler, source, classpath, scratch)
        (scratch / ".sources").write_text(digest, encoding="utf-8")
        _put_in_place(scratch, folder, digest)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _run_compiler(
    compiler: Sequence[Path], source: Path, classpath: Sequence[Path], folder: Path
) -> None:
    arguments = ["-source", _RELEASE, "-target", _RELEASE, "-encoding", "UTF-8", "-nowarn"]
    path = ["-cp", os.pathsep.join(map(str, classpath))] if classpath else []
    command = java.java_command(
        compiler,
        "org.eclipse.jdt.internal.compiler.batch.Main",
        *arguments,
        *path,
        "-d",
        str(folder),
        str(source),
        jvm=["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
    )
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_COMPILE_S,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()
        raise UsageError(f"{source}: expected it to compile, the Java compiler says:\n{words}")


def _put_in_place(scratch: Path, folder: Path, digest: str) -> None:
    """Rename the finished folder; a process that was faster with the same content wins."""
    old = scratch.with_name(scratch.name + ".old")
    stamp = folder / ".sources"
    if folder.exists() and not (stamp.is_file() and stamp.read_text(encoding="utf-8") == digest):
        folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        scratch.rename(folder)
    except OSError:
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != digest:
            raise


def _source_digest(source: Path, classpath: Sequence[Path]) -> str:
    files = [source] if source.is_file() else sorted(source.rglob("*.java"))
    if not files or not all(file.is_file() for file in files):
        raise UsageError(f"{source}: expected a Java source file or a folder of them, found none.")
    digest = hashlib.sha256(_RELEASE.encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    for entry in classpath:
        digest.update(entry.name.encode() + b"\0")
    return digest.hexdigest()[:32]


def _answer_file(coordinates: Sequence[str]) -> Path:
    key = json.dumps([_FORMAT, sorted(coordinates)])
    return paths.cache() / "maven" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _remembered(answer: Path) -> tuple[Path, ...] | None:
    """The classpath that was resolved before, when all its files are still there in full size."""
    files = _listed(answer)
    try:
        if files and all(path.stat().st_size == size for path, size in files):
            return tuple(path for path, _ in files)
    except FileNotFoundError:
        return None
    return None


def _listed(answer: Path) -> list[tuple[Path, int]]:
    """Files and sizes of a remembered answer; none when it is missing or damaged."""
    try:
        raw = json.loads(answer.read_text(encoding="utf-8"))
        return [(answer.parent / name, int(size)) for name, size in raw["files"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def _drop_damaged(answer: Path) -> None:
    """Remove files of another size than was downloaded: jgo would take them as they are."""
    for path, size in _listed(answer):
        if path.exists() and path.stat().st_size != size:
            path.unlink()


def _fetch(coordinates: Sequence[str], answer: Path) -> tuple[Path, ...]:
    from kafkalab.runtime import maven_fetch  # jgo costs 0.4 s

    remote = os.environ.get(VARIABLE, "").rstrip("/")
    found = maven_fetch.fetch(coordinates, answer.parent / "repository", remote or None)
    files = [[str(path.relative_to(answer.parent)), path.stat().st_size] for path in found]
    content = {"coordinates": list(coordinates), "files": files}
    with tempfile.NamedTemporaryFile(
        "w", dir=answer.parent, prefix=".answer-", delete=False, encoding="utf-8"
    ) as scratch:
        json.dump(content, scratch, indent=1)
    Path(scratch.name).replace(answer)
    return tuple(found)
