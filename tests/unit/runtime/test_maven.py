"""Against a repository that the test serves on loopback: it can refuse, lie, stall and go away."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kafkalab.model.errors import InfrastructureError, UsageError
from kafkalab.runtime import java, maven

POM = """<project><modelVersion>4.0.0</modelVersion>
<groupId>org.lab</groupId><artifactId>{name}</artifactId><version>{version}</version>
<dependencies>{needs}</dependencies></project>"""
NEEDS = """<dependency><groupId>org.lab</groupId><artifactId>{0}</artifactId>
<version>{1}</version><scope>{2}</scope></dependency>"""
METADATA = """<metadata><groupId>org.lab</groupId><artifactId>{name}</artifactId><versioning>
<versions>{versions}</versions></versioning></metadata>"""


class Repository:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.status: dict[str, list[int]] = {}  # path → answers before the real one
        self.cut: set[str] = set()  # paths that end in the middle
        self.asked: Counter[str] = Counter()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/maven"

    def add(self, name: str, version: str, needs: tuple[tuple[str, str, str], ...] = ()) -> None:
        base = f"/maven/org/lab/{name}"
        wanted = "".join(NEEDS.format(*each) for each in needs)
        pom = POM.format(name=name, version=version, needs=wanted).encode()
        for path, content in (
            (f"{base}/{version}/{name}-{version}.pom", pom),
            (f"{base}/{version}/{name}-{version}.jar", f"{name} {version}".encode() * 1000),
        ):
            self.files[path] = content
            self.files[f"{path}.sha1"] = hashlib.sha1(content).hexdigest().encode()
        known = sorted({p.split("/")[5] for p in self.files if p.startswith(f"{base}/")} - {""})
        versions = "".join(f"<version>{v}</version>" for v in known if v[0].isdigit())
        metadata = METADATA.format(name=name, versions=versions)
        self.files[f"{base}/maven-metadata.xml"] = metadata.encode()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                repository.asked[self.path] += 1
                planned = repository.status.get(self.path)
                if planned:
                    self.send_error(planned.pop(0))
                    return
                content = repository.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                cut = len(content) // 2 if self.path in repository.cut else len(content)
                self.wfile.write(content[:cut])

            def log_message(self, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    repository = Repository()
    repository.add("leaf", "1.0.0")
    repository.add("only-for-tests", "1.0.0")
    for version in ("1.0.0", "1.1.0", "2.0.0", "3.0.0"):
        needs = (("leaf", "1.0.0", "compile"), ("only-for-tests", "1.0.0", "test"))
        repository.add("tree", version, needs)
    repository.add("broken", "1.0.0", (("nowhere", "9.9.9", "compile"),))
    monkeypatch.setenv("KAFKALAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(maven.VARIABLE, repository.url)
    yield repository
    repository.stop()


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


TREE = ["org.lab:tree:1.0.0"]
JAR = "/maven/org/lab/tree/1.0.0/tree-1.0.0.jar"


def test_an_artifact_comes_with_what_it_needs_at_run_time(repository: Repository) -> None:
    found = maven.resolve(TREE)

    assert names(found) == ["tree-1.0.0.jar", "leaf-1.0.0.jar"]
    assert found[0].read_bytes() == repository.files[JAR]


def test_a_jar_with_dependencies_comes_alone(repository: Repository) -> None:
    path = "/maven/org/lab/tree/1.0.0/tree-1.0.0-jar-with-dependencies.jar"
    repository.files[path] = b"everything"

    found = maven.resolve(["org.lab:tree:1.0.0:jar-with-dependencies"])

    assert names(found) == ["tree-1.0.0-jar-with-dependencies.jar"]


def test_the_second_time_needs_no_network_and_no_time(repository: Repository) -> None:
    first = maven.resolve(TREE)
    asked = repository.asked.total()
    started = time.monotonic()

    assert maven.resolve(TREE) == first
    assert time.monotonic() - started < 0.05
    assert repository.asked.total() == asked


def test_a_version_that_does_not_exist_names_the_nearest(repository: Repository) -> None:
    with pytest.raises(UsageError, match=r"no version 1\.5\.0") as caught:
        maven.resolve(["org.lab:tree:1.5.0"])
    assert "The nearest are 1.0.0, 1.1.0, 2.0.0, 3.0.0." in str(caught.value)


def test_an_artifact_that_does_not_exist_is_told_from_a_version(repository: Repository) -> None:
    with pytest.raises(UsageError, match="no version of it at all"):
        maven.resolve(["org.lab:nothing:1.0.0"])


def test_a_hole_in_the_tree_is_an_error_and_not_a_shorter_classpath(
    repository: Repository,
) -> None:
    with pytest.raises(UsageError, match=r"broken:1\.0\.0 cannot be used: it needs .*nowhere"):
        maven.resolve(["org.lab:broken:1.0.0"])


@pytest.mark.parametrize("text", ["", "tree", "org.lab:tree", "a:b:c:d:e:f", "org.lab:tree:../x"])
def test_what_names_no_artifact_is_refused(repository: Repository, text: str) -> None:
    with pytest.raises(UsageError, match="names no Maven artifact"):
        maven.resolve([text])


def test_without_network_a_new_version_fails_and_a_known_one_works(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = maven.resolve(TREE)
    repository.stop()

    assert maven.resolve(TREE) == known
    with pytest.raises(InfrastructureError, match="cannot be reached") as caught:
        maven.resolve(["org.lab:tree:2.0.0"])
    assert repository.url in str(caught.value)
    assert "works without network" in str(caught.value)


def test_a_server_that_is_faulty_for_a_moment_is_asked_again(repository: Repository) -> None:
    repository.status[JAR] = [503, 500]

    assert names(maven.resolve(TREE)) == ["tree-1.0.0.jar", "leaf-1.0.0.jar"]
    assert repository.asked[JAR] == 3


def test_a_download_that_was_cut_off_is_never_used(repository: Repository) -> None:
    repository.cut.add(JAR)
    with pytest.raises(InfrastructureError):
        maven.resolve(TREE)
    repository.cut.clear()

    assert maven.resolve(TREE)[0].read_bytes() == repository.files[JAR]


def test_a_damaged_download_is_thrown_away(repository: Repository) -> None:
    good = repository.files[JAR]
    repository.files[JAR] = b"something else"
    with pytest.raises(InfrastructureError, match="expected SHA-1"):
        maven.resolve(TREE)
    repository.files[JAR] = good

    assert maven.resolve(TREE)[0].read_bytes() == good


@pytest.mark.parametrize("damage", ["remove", "truncate", "forget"])
def test_a_damaged_cache_is_mended(repository: Repository, damage: str) -> None:
    first = maven.resolve(TREE)
    if damage == "remove":
        first[0].unlink()
    elif damage == "truncate":
        first[0].write_bytes(b"half")
    else:
        next(first[0].parents[5].glob("*.json")).write_text("{")

    again = maven.resolve(TREE)

    assert again == first
    assert again[0].read_bytes() == repository.files[JAR]


def test_processes_that_resolve_at_once_agree_and_download_once(repository: Repository) -> None:
    code = f"import json; from kafkalab.runtime import maven; m = maven.resolve({TREE!r});"
    code += "print(json.dumps([str(p) for p in m]))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in started]

    assert all(answer == answers[0] for answer in answers)
    assert Path(answers[0][0]).read_bytes() == repository.files[JAR]
    assert repository.asked[JAR] == 1


@pytest.mark.system
def test_java_is_compiled_once_and_runs(tmp_path: Path) -> None:
    source = tmp_path / "Hello.java"
    body = 'public static void main(String[] a) { System.out.print("hi " + a[0]); }'
    source.write_text(f"public class Hello {{ {body} }}")
    target = tmp_path / "classes"

    folder = maven.compile_java(source, [], target)
    written = (target / "Hello.class").stat().st_mtime_ns
    maven.compile_java(source, [], target)
    done = subprocess.check_output(java.java_command([folder], "Hello", "you"))

    assert done == b"hi you"
    assert (target / "Hello.class").stat().st_mtime_ns == written
    source.write_text(source.read_text().replace("hi ", "ho "))
    assert maven.compile_java(source, [], target) == target
    done = subprocess.check_output(java.java_command([folder], "Hello", "you"))
    assert done == b"ho you"


@pytest.mark.system
def test_java_that_does_not_compile_shows_the_compilers_words(tmp_path: Path) -> None:
    source = tmp_path / "Bad.java"
    source.write_text("public class Bad { int x = ; }")

    with pytest.raises(UsageError, match="Syntax error"):
        maven.compile_java(source, [], tmp_path / "classes")
    assert not (tmp_path / "classes").exists()


def test_sources_that_are_missing_are_named(repository: Repository, tmp_path: Path) -> None:
    repository.add("ecj", "1.0.0")

    with pytest.raises(UsageError, match="expected a Java source file"):
        maven._source_digest(tmp_path / "None.java", [])
