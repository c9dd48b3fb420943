"""What drivers in Python share, without a broker."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram


@pytest.fixture
def module(driver_modules):
    """Imports a module of the kit."""
    load = driver_modules("kit-python")
    return lambda name: load(f"driverkit.{name}")


@pytest.mark.parametrize("size", [32, 33, 100, 4096])
def test_a_series_is_what_single_payloads_are(module, size):
    payload = module("payload")
    packer = payload.Packer("topic")
    for first, count, partition in ((0, 3, -1), (250, 300, 7), (2**64 - 4, 4, 2)):
        series = packer.series(size)(first, count, partition, 12345)
        single = [packer.pack(first + n, size, partition, 12345) for n in range(count)]
        assert series == single
        assert {zlib.crc32(each) for each in series} == {payload.RESIDUE}


def test_many_payloads_are_checked_at_once(module):
    payload = module("payload")
    good = payload.Packer("topic").series(64)(5, 20, -1, 99)
    intact = payload.Intact(64)
    values, times = intact(b"".join(good))
    assert values.tolist() == list(range(5, 25))
    assert times.tolist() == [99] * 20
    assert intact(b"".join(good[:3]))[0].tolist() == [5, 6, 7]
    for at in (0, 8, 40, 63):
        bad = bytearray(good[7])
        bad[at] ^= 1
        assert intact(b"".join([*good[:7], bytes(bad), *good[8:]])) is None
    foreign = b"x" * 60
    foreign += zlib.crc32(foreign).to_bytes(4, "little")  # whole, but not ours
    assert intact(b"".join([foreign, *good])) is None
    others = [payload.Packer("topic").pack(n, size, -1, 99) for n, size in ((1, 60), (2, 68))]
    assert intact(b"".join(others)) is None


def consuming(module, **command):
    consume_loop = module("consume_loop")

    class Loop(consume_loop.ConsumeLoop):
        styles = ("poll",)

    client = SimpleNamespace(max_poll_records=None)
    return Loop(client, {"id": 1, "style": "poll", **command})


@pytest.mark.parametrize("sizes", [(64,) * 4, (64, 65, 66, 67), (5000,) * 4])
def test_a_loop_counts_what_is_intact_and_what_is_not(module, sizes):
    packer = module("payload").Packer("t")
    now_ns = time.monotonic_ns()
    good = [packer.pack(n + 1, size, -1, now_ns - 5000) for n, size in enumerate(sizes)]
    bad = [None, b"short", good[0][:-1] + bytes([good[0][-1] ^ 1])]
    loop = consuming(module)
    loop.delivered(now_ns, good)
    loop.delivered(now_ns, [*good[:2], *bad, *good[2:]])
    loop.delivered(now_ns, good, [now_ns] * 4)
    loop.delivered(now_ns, [good[0], bad[2], good[1]], [now_ns, now_ns, now_ns + 1000])
    loop.look()
    meter = loop.loop.meter
    assert (meter.records, meter.corrupt) == (4 + 7 + 4 + 3, 4)
    assert meter.value_sum == 10 * 3 + 1 + 2
    assert meter.bytes == 3 * sum(sizes) + sum(sizes[:2])
    histogram = HdrHistogram.decode(meter.latencies.encoded())
    assert (histogram.get_count_at_value(5), histogram.get_count_at_value(6)) == (13, 1)


def test_offsets_that_step_back_are_counted_and_gaps_are_not(module):
    loop = consuming(module)
    for offsets in ([0, 1, 2], [3, 5, 6], [6, 7], [9, 8, 10]):
        loop.order("t", 0, offsets)
    assert loop.loop.meter.out_of_order == 2
    assert loop.loop.meter.partitions == {"t/0": 11}


def test_what_a_consume_loop_wants_is_bounded(module):
    loop = consuming(module, max_records=10)
    assert loop.want() == 10
    loop.batch = 4
    assert loop.want() == 4
    loop.loop.meter.all_records = 7
    assert loop.want() == 3
    refused = module("outcome").RefusedError
    with pytest.raises(refused, match="teleport"):
        consuming(module, style="teleport")


def test_latencies_are_counted_where_the_library_would(module):
    latencies = module("latencies").Latencies()
    seeded = random.Random(7)
    values = [seeded.randrange(1 << bits) for bits in range(1, 33) for _ in range(20)]
    values += [0, 1, 2047, 2048, 3_600_000_000]
    expected = HdrHistogram(1, 3_600_000_000, 3)
    for value in [*values, *values[:50], 40, 40, 40]:
        expected.record_value(min(value, 3_600_000_000))
    latencies.add(values)
    whole = module("latencies").Latencies()
    whole.absorb(latencies)
    whole.add([value for value in values[:50] if value > 3])
    whole.add([value for value in values[:50] if value <= 3])
    whole.add_shared(40, 3)
    for _ in range(2):  # what encodes leaves nothing behind
        decoded = HdrHistogram.decode(whole.encoded())
        assert list(decoded.counts) == list(expected.counts)
        assert decoded.get_total_count() == expected.get_total_count()
    latencies.clear()
    assert latencies.encoded() is None
    latencies.add([-5, 9_999_999_999])
    assert HdrHistogram.decode(latencies.encoded()).get_total_count() == 2


@pytest.mark.parametrize("together", [1, 16, 17, 600, 20_000])
def test_latencies_count_the_same_however_many_come_at_once(module, together):
    seeded = random.Random(3)
    values = [-1, 4_000_000_000, *(seeded.randrange(1 << (n % 33)) for n in range(20_000))]
    expected, found = module("latencies").Latencies(), module("latencies").Latencies()
    expected.add(np.array(values))
    for start in range(0, len(values), together):
        found.add(values[start : start + together])
    assert found.encoded() == expected.encoded()


def test_a_report_of_many_small_deliveries_does_not_hold_a_loop_up(module):
    """2,000 records a second came one by one: counting each by a call of its own took 30 ms."""

    def spent_s(deliveries):
        latencies = module("latencies").Latencies()
        for some in deliveries:
            latencies.add(some)
        began = time.perf_counter()
        latencies.encoded()
        return time.perf_counter() - began

    times = np.arange(2000)
    one_by_one = min(spent_s([times[n : n + 1] for n in range(2000)]) for _ in range(5))
    at_once = min(spent_s([times]) for _ in range(5))
    assert one_by_one < 10 * at_once


def test_encoding_leaves_nothing_behind_for_each_length(module):
    def array_types():
        return sum(type(o) is type(ctypes.Array) for o in gc.get_objects())

    encoded = {}
    gc.disable()  # such a type is in a cycle: it stays until a collection that hardly ever comes
    try:
        before = array_types()
        for longest in range(3000, 300_000, 1500):
            latencies = module("latencies").Latencies()
            latencies.add([1, longest])
            encoded[longest] = latencies.encoded()
        assert array_types() - before < 20
    finally:
        gc.enable()
    for longest, text in encoded.items():
        decoded = HdrHistogram.decode(text)
        assert decoded.get_total_count() == 2
        assert decoded.get_max_value() == decoded.get_highest_equivalent_value(longest)


def test_a_loop_takes_its_memory_before_it_begins(clients_folder):
    """What it gained later would be a leak of the client to M01: 156 KiB where it does not."""
    script = Path(__file__).with_name("steady_loop.py")
    ended = subprocess.run(
        [sys.executable, script, "60"],
        env=os.environ | {"PYTHONPATH": str(clients_folder / "kit-python")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    private_kib = list(map(int, ended.stderr.split()))
    assert len(private_kib) == 60
    assert private_kib[-1] - private_kib[1] < 100, private_kib


def test_records_that_come_one_by_one_have_gaps_of_their_own(module):
    meter = module("meter").Meter()
    meter.delivered_each([meter._delivered_ns + 5, meter._delivered_ns + 9])
    assert (meter.gap_ns_max, meter.records) == (5, 2)


def test_content_of_what_is_not_plain(module):
    content, payload = module("content"), module("payload")
    data = payload.Packer("t").pack(7, 64)
    crc = zlib.crc32(b"t")
    assert content.polled("t", 0, 1, data) == ["t", 0, 1, 7, 64, None, -1, crc]
    assert content.polled("t", 0, 1, data[:40])[5] == "checksum"
    assert len(content.polled("t", 0, 1, data[:20])) == 8  # it begins as a payload does
    assert content.polled("t", 0, 1, None, data, [("a", None), ("b", b"\xff")]) == [
        "t", 0, 1, 7, 0, None, -1, crc,
        {"key": "payload", "value": None, "headers": [["a", None], ["b", "\u00ff"]]},
    ]  # fmt: skip
    assert content.polled("t", 0, 1, None)[5:] == [
        "null-value", -1, None, {"key": None, "value": None, "headers": []},
    ]  # fmt: skip
    given = {"key": "", "headers": [["h", "payload"], ["n", None]]}
    assert content.parts(given, data) == (b"", data, [("h", data), ("n", None)])


def test_a_send_is_ok_fail_or_open(module):
    outcome = module("outcome")
    ok, fail, info = ["ok", 0, 1, None], ["fail", 0, None, {"m": 1}], ["info", 0, None, {"m": 2}]
    assert outcome.sent([ok, ok]) == {"results": [ok, ok]}
    for results, kind, error in (
        ([fail, fail], "fail", 1),
        ([ok, fail], "info", 1),
        ([info], "info", 2),
    ):
        with pytest.raises(outcome.Outcome) as ended:
            outcome.sent(results)
        assert (ended.value.kind, ended.value.fields["error"]) == (kind, {"m": error})


def test_a_portable_key_that_a_client_lacks_is_refused(module):
    portable, outcome = module("portable"), module("outcome")
    keys, values = {"acks": "required_acks"}, {("acks", -1): "all"}
    given = portable.translate("x", "producer", {"acks": -1}, keys, values)
    assert given == {"required_acks": "all"}
    with pytest.raises(outcome.RefusedError, match="linger_ms"):
        portable.translate("x", "producer", {"linger_ms": 1}, keys, values)


# The event loop.


@pytest.fixture
def aio(module, monkeypatch):
    """An event loop in a thread, and a wire whose reader is here."""
    aio = module("aio")
    reader, writer = os.pipe()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with monkeypatch.context() as patch:  # the wire moves the real stdout away
        patch.setattr(os, "dup", lambda _fd: writer)
        patch.setattr(os, "dup2", lambda *_fds: None)
        wire = aio.AsyncWire(loop, thread)
    yield SimpleNamespace(module=aio, loop=loop, wire=wire, lines=os.fdopen(reader, "rb"))
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)


def hosted(aio, module, **methods):
    class Hosted(aio.module.AsyncClient):
        async def op_open(self, command):
            return None

    for name, method in methods.items():
        setattr(Hosted, name, method)
    return Hosted(aio.wire, "c", {})


def read(aio):
    return json.loads(aio.lines.readline())


def test_a_lab_that_does_not_read_stops_a_client_and_not_the_loop(aio, module):
    client = hosted(aio, module, op_poll=lambda self, command: {"records": ["x" * 50_000]})
    for number in range(6):
        client.take({"id": number, "op": "poll", "client": "c"})
    until = time.monotonic() + 5
    while not aio.wire.congested and time.monotonic() < until:
        pass
    beat = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), aio.loop)
    assert beat.result(5) is None  # the loop runs
    assert len(client._commands) >= 2  # the client waits
    events = [read(aio) for _ in range(12)]
    assert [e["id"] for e in events if e["type"] == "ok"] == list(range(6))
    assert all(len(e["records"][0]) == 50_000 for e in events if e["type"] == "ok")


def test_a_close_ends_what_runs_and_what_waits_behind_it(aio, module):
    async def forever(self, command):
        await asyncio.sleep(60)

    closed = []

    async def close_native(self):
        closed.append(True)

    client = hosted(aio, module, op_commit=forever, op_poll=forever, close_native=close_native)
    began = time.monotonic()
    client.take({"id": 1, "op": "commit", "client": "c"})
    client.take({"id": 2, "op": "poll", "client": "c"})
    client.take({"id": 3, "op": "close", "client": "c", "timeout_ms": 1000})
    client.take({"id": 4, "op": "poll", "client": "c"})
    events = [read(aio) for _ in range(8)]
    ended = {e["id"]: e["type"] for e in events if e["type"] != "invoke"}
    assert ended == {1: "info", 2: "fail", 3: "ok", 4: "fail"}
    assert time.monotonic() - began < 5
    client.join(5)
    assert closed == [True]


def test_a_patient_command_has_the_time_of_the_close(aio, module):
    async def send(self, command):
        while not self.closing:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        return {"results": []}

    client = hosted(aio, module, op_send=send)
    client.take({"id": 1, "op": "send", "client": "c"})
    client.take({"id": 2, "op": "close", "client": "c", "timeout_ms": 5000})
    events = [read(aio) for _ in range(4)]
    assert [(e["id"], e["type"]) for e in events[1:]] == [(1, "ok"), (2, "invoke"), (2, "ok")]


def test_the_delay_of_a_busy_loop_shows(aio, module):
    delay = aio.module.Delay(aio.loop)
    assert delay.take_ms("a") < 1000
    aio.loop.call_soon_threadsafe(time.sleep, 0.3)
    threading.Event().wait(0.5)
    assert delay.take_ms("a") >= 200
    assert delay.take_ms("a") < 200
