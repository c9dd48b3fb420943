"""The store's bad days, on the real server: many writers, and a store that dies, fills up or hangs.

A `Wire` stands between client and server and can hang or be cut in the middle of a transfer.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from kafkalab.artifacts import locks, server
from kafkalab.artifacts.store import Conflict, Store, StoreError

pytestmark = pytest.mark.system

BOUND_S = 25.0  # for one call on a store that is down: 3 × 5 s, backoff, a busy host


class Wire:
    """A loopback TCP proxy that passes `bytes_max` bytes in all and then hangs, or cuts."""

    def __init__(self, port: int, bytes_max: int, *, cut: bool, count: str = "up") -> None:
        self._target = ("127.0.0.1", port)
        self._left = bytes_max
        self._cut = cut
        self._count = count  # which direction is counted: up (requests) or down (answers)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._server, *self._open):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            upstream = socket.create_connection(self._target)
            self._open += [client, upstream]
            threading.Thread(target=self._pump, args=(client, upstream), daemon=True).start()

    def _pump(self, client: socket.socket, upstream: socket.socket) -> None:
        peers = {client: (upstream, "up"), upstream: (client, "down")}
        with selectors.DefaultSelector() as selector:
            for each in peers:
                selector.register(each, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    source = key.fileobj
                    target, direction = peers[source]
                    if not self._pass(source, target, counted=direction == self._count):
                        return

    def _pass(self, source: socket.socket, target: socket.socket, *, counted: bool) -> bool:
        try:
            data = source.recv(16_384)
            with self._lock:
                if counted:
                    self._left -= len(data)
                broken = self._left < 0
            if data and not broken:
                target.sendall(data)
                return True
        except OSError:
            broken = False
        if not broken or self._cut:
            source.close()
            target.close()
        return False


def _own(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("KAFKALAB_HOME", str(home))
    for name in ("KAFKALAB_S3_PORT", "KAFKALAB_S3_BUCKET", "KAFKALAB_S3_ENDPOINT"):
        patch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.StoreEndpoint]:
    """One server for the tests that leave it alive."""
    home = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        _own(patch, home)
        found = server.ensure_server("tests", 600)
    yield found
    with pytest.MonkeyPatch.context() as patch:
        _own(patch, home)
        server.release_server("tests")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of the test's own: its spool, and its server where it starts one."""
    _own(monkeypatch, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def endpoint(home: Path, shared: server.StoreEndpoint) -> server.StoreEndpoint:
    """The shared server, with a bucket of the test's own."""
    found = replace(shared, bucket=f"t-{uuid.uuid4().hex}")
    connect(found).create_bucket()
    return found


@pytest.fixture
def own_endpoint(home: Path) -> Iterator[server.StoreEndpoint]:
    """A server that the test may kill."""
    yield server.ensure_server("tests", 300)
    server.release_server("tests")


def connect(endpoint: server.StoreEndpoint, address: str | None = None) -> Store:
    return Store(
        address or endpoint.endpoint,
        endpoint.bucket,
        endpoint.access_key,
        endpoint.secret_key,
        data_dir=endpoint.data_dir,
    )


@pytest.fixture
def store(endpoint: server.StoreEndpoint) -> Store:
    return connect(endpoint)


@pytest.fixture
def wire(endpoint: server.StoreEndpoint) -> Iterator[Callable[..., Wire]]:
    made: list[Wire] = []

    def make(bytes_max: int, *, cut: bool, count: str = "up") -> Wire:
        made.append(
            Wire(int(endpoint.endpoint.rpartition(":")[2]), bytes_max, cut=cut, count=count)
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def all_at_once(store: Store, call: Callable[[int], object], writers: int = 16) -> list[object]:
    """What `writers` calls that start together return or raise."""
    barrier = threading.Barrier(writers)

    def one(n: int) -> object:
        barrier.wait()
        try:
            return call(n)
        except StoreError as error:
            return error

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(one, range(writers)))


def jvm_of(endpoint: server.StoreEndpoint) -> psutil.Process:
    folder = str(endpoint.data_dir.parent)
    [found] = [
        process
        for process in psutil.process_iter(["cmdline", "name"])
        if process.info["name"] == "java" and folder in " ".join(process.info["cmdline"] or ())
    ]
    return found


def test_of_16_conditional_writers_exactly_one_wins(store):
    locks.check_conditions(store, "baselines/")
    key = sorted(store.list("baselines/"))[0]
    won = store.get_with_etag(key)
    assert won is not None
    results = all_at_once(store, lambda w: store.put_if(key, f"{w}".encode(), won.etag))
    winners = [w for w, result in enumerate(results) if isinstance(result, str)]
    assert len(winners) == 1, results
    assert sum(isinstance(result, Conflict) for result in results) == 15, results
    assert store.get_with_etag(key) == (f"{winners[0]}".encode(), results[winners[0]])


def test_a_server_that_lets_several_writers_win_is_told(endpoint):
    """The embedded server itself, without the lock that makes up for its race."""
    bare = Store(endpoint.endpoint, endpoint.bucket, endpoint.access_key, endpoint.secret_key)

    def race_until_it_shows() -> None:
        for _ in range(5):
            locks.check_conditions(bare)

    with pytest.raises(StoreError, match="raced with If-Match: expected one to win"):
        race_until_it_shows()


def test_of_16_writers_of_one_artifact_one_wins_and_equal_ones_all_do(store):
    results = all_at_once(store, lambda w: store.put_bytes("runs/x", f"{w}".encode() * 50_000))
    winners = [w for w, result in enumerate(results) if isinstance(result, str)]
    assert len(winners) == 1, results
    assert store.get_bytes("runs/x") == f"{winners[0]}".encode() * 50_000
    assert all(
        "already holds other bytes" in str(result)
        for result in results
        if isinstance(result, StoreError)
    )
    results = all_at_once(store, lambda _: store.put_bytes("runs/y", b"same" * 10_000))
    assert results == [store.uri("runs/y")] * 16


class KilledAfterTwo(dict[str, "bytes | Path"]):
    """Artifacts during whose storing the server is killed: after the second was taken."""

    def __init__(self, content: Mapping[str, bytes | Path], kill: Callable[[], None]) -> None:
        super().__init__(content)
        self._kill = kill

    def items(self):  # type: ignore[override]
        for n, item in enumerate(super().items()):
            if n == 2:
                self._kill()
            yield item


def test_what_a_store_that_dies_did_not_take_waits_on_disk(own_endpoint, home, tmp_path):
    endpoint, store = own_endpoint, connect(own_endpoint)
    history = tmp_path / "history.parquet"
    history.write_bytes(os.urandom(3_000_000))
    at = "runs/w/correctness/attempt=1/c"
    artifacts = {
        f"{at}/logs/a.log": b"a",
        f"{at}/logs/b.log": b"b",
        f"{at}/history.parquet": history,
        f"{at}/verdict.json": b"{}",
        f"{at}/manifest.json": b"{}",
    }
    process = jvm_of(endpoint)

    def kill() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    started = time.monotonic()
    with pytest.raises(StoreError) as caught:
        store.put_or_spool(KilledAfterTwo(artifacts, kill))
    assert time.monotonic() - started < BOUND_S
    message = str(caught.value)
    assert "nothing answers there" in message
    assert endpoint.endpoint in message
    assert "3 of 5 artifacts wait on disk" in message
    waiting = [home / "spool" / key for key in list(artifacts)[2:]]
    assert all(str(path) in message and path.is_file() for path in waiting)
    assert waiting[0].read_bytes() == history.read_bytes()
    assert not (home / "spool" / f"{at}/logs/a.log").exists()

    assert server.ensure_server("tests", 300) == endpoint
    stored = store.flush_spool()
    assert stored[0] == f"{at}/history.parquet"
    assert stored[-1] == f"{at}/manifest.json"
    assert sorted(store.list(at)) == sorted(artifacts)
    assert store.get_bytes(f"{at}/history.parquet") == history.read_bytes()
    assert list((home / "spool").iterdir()) == []
    assert store.flush_spool() == []


def test_a_spooled_file_that_contradicts_the_store_stays_and_is_named(store, endpoint, home):
    dead = connect(endpoint, "http://127.0.0.1:9")  # the discard port: nothing listens
    with pytest.raises(StoreError, match="wait on disk"):
        dead.put_or_spool({"runs/x": b"late", "runs/y": b"y"})
    store.put_bytes("runs/x", b"other")
    with pytest.raises(StoreError, match=f"{home}/spool/runs/x: .*already holds other bytes"):
        store.flush_spool()
    assert (home / "spool/runs/x").read_bytes() == b"late"
    assert not (home / "spool/runs/y").exists()
    assert store.get_bytes("runs/y") == b"y"


def test_one_artifact_that_is_refused_does_not_keep_the_others(store, home):
    store.put_bytes("runs/x", b"other")
    with pytest.raises(StoreError, match="1 of 3 artifacts wait on disk"):
        store.put_or_spool({"runs/w": b"w", "runs/x": b"x", "runs/y": b"y"})
    assert sorted(store.list("runs/")) == ["runs/w", "runs/x", "runs/y"]
    store.put_or_spool({"runs/z": b"z"})


def test_an_upload_that_is_cut_leaves_nothing_and_succeeds_when_tried_again(store, endpoint, wire):
    data = os.urandom(8_000_000)
    broken = connect(endpoint, wire(2_000_000, cut=True).endpoint)
    started = time.monotonic()
    with pytest.raises(StoreError, match="could not write runs/x"):
        broken.put_bytes("runs/x", data)
    assert time.monotonic() - started < BOUND_S
    assert not store.exists("runs/x")
    store.put_bytes("runs/x", data)
    assert store.get_bytes("runs/x") == data


def test_a_store_that_hangs_is_given_up_in_bounded_time(store, endpoint, wire, tmp_path):
    data = os.urandom(4_000_000)
    store.put_bytes("runs/big", data)
    target = tmp_path / "copy"
    calls: dict[str, Callable[[], object]] = {}
    at_once = connect(endpoint, wire(0, cut=False).endpoint)
    calls["write"] = lambda: at_once.put_bytes("runs/x", b"x")
    calls["list"] = lambda: list(at_once.list("runs/"))
    midway_up = connect(endpoint, wire(1_000_000, cut=False).endpoint)
    calls["upload"] = lambda: midway_up.put_bytes("runs/y", data)
    midway_down = connect(endpoint, wire(1_000_000, cut=False, count="down").endpoint)
    calls["download"] = lambda: midway_down.get_file("runs/big", target)

    def timed(call: Callable[[], object]) -> tuple[float, str]:
        started = time.monotonic()
        with pytest.raises(StoreError) as caught:
            call()
        return time.monotonic() - started, str(caught.value)

    with ThreadPoolExecutor(len(calls)) as pool:
        results = dict(zip(calls, pool.map(timed, calls.values()), strict=True))
    for name, (seconds, message) in results.items():
        assert seconds < BOUND_S, (name, seconds)
        assert "then try again" in message, (name, message)
    assert "silent for 5 s" in results["write"][1]
    assert list(tmp_path.glob("*copy*")) == []
    folder = store.local_path("runs/")
    assert folder is not None
    assert len(list(folder.iterdir())) > 1  # half an upload lies there,
    assert list(store.list("runs/")) == ["runs/big"]  # and is not shown
    assert not store.exists("runs/y")


def test_an_answer_that_was_lost_does_not_make_the_winner_a_loser(store, endpoint, wire):
    """The write arrives and its answer does not: botocore's next try meets its own object."""
    first = store.put_if("current.json", b"0", None)
    # Enough for the interim answer to `Expect: 100-continue`, too little for the final one.
    deaf = connect(endpoint, wire(60, cut=True, count="down").endpoint)
    with pytest.raises(StoreError, match="could not replace"):
        deaf.put_if("current.json", b"1", first)
    written = store.get_with_etag("current.json")
    assert written is not None
    assert written.data == b"1"  # it did arrive; the caller was told that nobody knows
    flaky = connect(endpoint, Once(endpoint, wire(60, cut=True, count="down")).endpoint)
    assert flaky.put_if("current.json", b"2", written.etag)
    assert store.get_bytes("current.json") == b"2"


class Once:
    """Sends the first connection over a broken wire and every later one straight to the server."""

    def __init__(self, endpoint: server.StoreEndpoint, broken: Wire) -> None:
        self._ports = [int(broken.endpoint.rpartition(":")[2]), endpoint.port]
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for n in range(10):
            client, _ = self._server.accept()
            upstream = socket.create_connection(("127.0.0.1", self._ports[min(n, 1)]))
            for source, target in ((client, upstream), (upstream, client)):
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()
        self._server.close()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(16_384):
                target.sendall(data)
        except OSError:
            pass  # the other side was cut, which is what the test wants
        for each in (source, target):
            each.close()


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A data folder on a file system of 4 MB."""
    folder = home / "store" / "data"
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"cannot mount a small file system here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_loses_nothing(small_disk, own_endpoint):
    store = connect(own_endpoint)
    kept = store.put_if("baselines/current.json", b"accepted", None)
    store.put_bytes("runs/a", os.urandom(2_000_000))
    with pytest.raises(StoreError) as caught:
        store.put_or_spool({"runs/b": os.urandom(3_000_000), "runs/c": b"c"})
    message = str(caught.value)
    assert f"free at {small_disk}" in message
    assert "Its disk is full" in message
    assert "2 of 2 artifacts wait on disk" in message
    with pytest.raises(StoreError, match="disk is full"):
        store.put_if("baselines/current.json", os.urandom(3_000_000), kept)
    assert store.get_with_etag("baselines/current.json") == (b"accepted", kept)
    assert list(store.list("runs/")) == ["runs/a"]
    (small_disk / store.bucket / "runs" / "a").unlink()
    assert sorted(store.flush_spool()) == ["runs/b", "runs/c"]
    assert store.get_bytes("runs/c") == b"c"


def test_a_store_under_many_readers_and_writers_loses_nothing(store):
    def write(n: int) -> None:
        store.put_bytes(f"runs/{n % 7}/{n}", f"{n}".encode() * 1_000)
        assert store.get_bytes(f"runs/{n % 7}/{n}") == f"{n}".encode() * 1_000

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(300)))
    assert len(list(store.list("runs/"))) == 300


def test_an_artifact_over_the_servers_limit_for_signed_bodies_is_stored(store, tmp_path):
    big = tmp_path / "history.parquet"
    with big.open("wb") as file:
        file.truncate(140_000_000)  # S3Proxy refuses a signed body over 128 MB
    store.put_file("runs/x", big)
    stored = store.local_path("runs/x")
    assert stored is not None
    assert stored.stat().st_size == 140_000_000
