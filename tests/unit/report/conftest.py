"""Runs made up as they really end: green, red, unknown, large, hostile in every string."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pytest

from kafkalab.model.gate import Finding, GateResult
from kafkalab.model.run import Bound, Envelope, Lane, Manifest, Run
from kafkalab.model.scenario import Cell
from kafkalab.model.verdict import CellVerdict, ClaimVerdict, Outcome, Skipped, merge
from kafkalab.report.render import render

PREFIX = "runs/kafka_smoke/main/4f2a9c1/host/kafka@3.9.2/confluent-kafka@2.16.1/20250311T020007Z-r1"
RUN_ID = "nightly-20250311T020007Z"
CLIENT, BROKER = "confluent-kafka@2.16.1", "kafka@3.9.2"
LANE = Lane("kafka_smoke", BROKER, "confluent-kafka@2.16", "process", "linux-x86_64-2c-24g")
BOUNDS = (
    Bound("produce_records_per_s_median", "P02", 141_176, 120_000, None),
    Bound("latency_ms_p99", "P02", 18.2, None, 21.84),
    Bound("rss_bytes_max", "P02", 212 * 2**20, None, 265 * 2**20),
)
ENVELOPE = Envelope(
    LANE,
    3,
    BOUNDS,
    ("runs/kafka_smoke/main/aa01/20250304T020003Z-r9",),
    "nadia",
    "release 2.16.1",
    "2025-03-04T08:12:44Z",
)
LOG_CLAIMS = (
    "lost-write",
    "unseen",
    "duplicate",
    "delivered-twice",
    "corrupt-value",
    "wrong-topic",
)
HOST = {
    "steal_ratio_max": 0.004,
    "run_queue_ms_p99": 3.1,
    "calibration_ratio": 1.02,
    "noisy": False,
}
TIMELINE = (
    "commit-ahead: c13/1 · client c0, admin",
    "  found: committed 120 · delivered_next 117 · op group_offsets",
    "  c13/1 owned by c0 3.0–9214.4 ms (kill) · c1 9871.0 ms to the end",
    "  c13/1 committed 100 by c0 at 8120.7 ms · 120 read by admin at 9220.6 ms",
    "      3.1 ms  12–13        c0     open consumer group=c13 auto_commit=true  ok after 1.0 ms",
    "  … 1,804 rows",
    "   9180.2 ms  1,818–1,836  c0     poll c13/1 901@98…919@116  ok after 12.4 ms",
    "   9203.9 ms  1,840–1,961  p0     send c13/1 920@117 921@118 922@119  ok after 3.1 ms",
    "   9214.4 ms  1,962        c0     kill",
    ">  9219.8 ms  2,040–2,041  admin  group_offsets c13 c13/1=120  ok after 0.8 ms  ← row_seen",
    "   9871.3 ms  2,102        c1     assigned c13/1",
    "   9880.0 ms  2,110–2,118  c1     poll c13/1 923@120…930@127  ok after 40.0 ms",
)
HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> $\\frac{$ \x00\x1b[31m\u202e{{7*7}}"
)


@dataclass(frozen=True)
class Sample:
    """Everything that a page is made of."""

    run: Run
    gate: GateResult
    cells: tuple[CellVerdict, ...]
    series: dict[str, pa.Table] = field(default_factory=dict)
    manifests: tuple[Manifest, ...] = ()
    envelopes: tuple[Envelope, ...] = (ENVELOPE,)
    repeat: str = "kafkalab run kafka_smoke --seed 1741658407 --client confluent-kafka@2.16.1"

    def html(self) -> str:
        return render(
            self.run,
            self.gate,
            self.cells,
            self.series,
            self.manifests,
            self.repeat,
            envelopes=self.envelopes,
        )


def series(
    seconds: int = 60, *, producers: int = 1, faults: bool = True, seed: int = 1
) -> pa.Table:
    """Series as a benchmark samples them: ramps, noise, a dip while a broker is down."""
    rng = random.Random(seed)
    rows: list[tuple[int, str, str, float, str | None]] = []
    start = 88_120_000_000_000

    def add(at: float, source: str, metric: str, value: float, text: str | None = None) -> None:
        rows.append((start + int(at * 1e9), source, metric, value, text))

    add(0, "lab", "mark", 0, "warm-up")
    add(seconds * 0.1, "lab", "mark", 0, "measure")
    add(seconds * 0.9, "lab", "mark", 0, "drain")
    if faults:
        add(seconds * 0.5, "lab", "mark", 0, "fault kill b2")
        add(seconds * 0.6, "lab", "mark", 0, "heal kill b2")
    for i in range(seconds):
        at = i + rng.random() / 5
        down = faults and 0.5 <= i / seconds < 0.6
        rate = (70_000 if down else 141_000) * min(1, (i + 1) / 4) * rng.uniform(0.96, 1.04)
        for p in range(producers):
            add(at, f"client:p{p}", "produce_records_per_s", rate / producers)
            add(at, f"client:p{p}", "latency_ms_p50", rng.uniform(3, 4) * (4 if down else 1))
            add(at, f"client:p{p}", "latency_ms_p99", rng.uniform(11, 16) * (9 if down else 1))
        add(at, "client:c0", "consume_records_per_s", rate * rng.uniform(0.9, 1.02))
        add(at, "client:c0", "lag_records", 400_000 * math.exp(-((i - 35) ** 2) / 40) + 900)
        add(at, "client:p0", "buffered_records", rng.uniform(10_000, 60_000))
        for driver in ("driver:d0", "driver:d1"):
            add(at, driver, "rss_bytes", (180 + i * 0.2 + rng.random()) * 2**20)
            add(at, driver, "cpu_ratio", rng.uniform(0.5, 0.7))
        for broker in ("broker:b1", "broker:b2", "broker:b3"):
            add(at, broker, "rss_bytes", (420 + rng.random() * 8) * 2**20)
            add(at, broker, "cpu_ratio", rng.uniform(0.2, 0.4))
        add(at, "host", "steal_ratio", rng.uniform(0, 0.02))
    rng.shuffle(rows)  # drivers report when they like; nothing may rely on the order
    columns = list(zip(*rows, strict=True))
    return pa.table(
        {
            "time_ns": pa.array(columns[0], pa.int64()),
            "source": columns[1],
            "metric": columns[2],
            "value": pa.array(columns[3], pa.float64()),
            "text": pa.array(columns[4], pa.string()),
        }
    )


def cell(
    scenario: str = "C01",
    *,
    clients: tuple[str, ...] = (CLIENT,),
    broker: str = BROKER,
    red: ClaimVerdict | None = None,
    metrics: dict[str, float] | None = None,
) -> CellVerdict:
    claims = [
        ClaimVerdict(c, Outcome.PASS, 0, "none in 1,000 sends and 1,000 reads") for c in LOG_CLAIMS
    ]
    claims += [red] if red else []
    name = Cell(scenario, clients, broker).id
    return CellVerdict(
        scenario=scenario,
        clients=clients,
        broker=broker,
        engine="process",
        cell=name,
        outcome=merge(c.outcome for c in claims),
        seconds=38.4,
        claims=tuple(claims),
        metrics=metrics or {"startup_ms_max": 812.4, "close_ms_max": 41.0},
        samples={"rows": 4_012, "sends": 1_000, "polls": 1_000},
        replay=f"kafkalab replay {RUN_ID}/{name}",
        series={
            "history": f"{PREFIX}/correctness/attempt=1/{name}/history.parquet",
            "metrics": f"{PREFIX}/correctness/attempt=1/{name}/metrics.parquet",
        },
    )


def benchmark(**metrics: float) -> CellVerdict:
    usual = {
        "produce_records_per_s_median": 142_310.0,
        "latency_ms_p50": 3.4,
        "latency_ms_p99": 17.9,
        "rss_bytes_max": 214.0 * 2**20,
        "cpu_s_per_100k_records": 0.41,
        "stall_count": 0.0,
    }
    return cell("P02", metrics=usual | metrics)


def manifest(verdict: CellVerdict, attempt: int = 1, outcome: Outcome | None = None) -> Manifest:
    step = {"C": "correctness", "P": "benchmark", "B": "backpressure"}.get(
        verdict.scenario[0], "memory"
    )
    at = f"{PREFIX}/{step}/attempt={attempt}/{verdict.cell}"
    return Manifest(
        step,
        attempt,
        outcome or verdict.outcome,
        cell=verdict.cell,
        seconds=verdict.seconds,
        host=HOST,
        artifacts={"verdict": f"{at}/verdict.json", "log": f"{at}/logs/driver-d0.log"},
        started_at=f"2025-03-11T02:0{attempt}:30Z",
    )


def sample(cells: tuple[CellVerdict, ...], gate: GateResult, **changes: object) -> Sample:
    planned = tuple(Cell(c.scenario, c.clients, c.broker) for c in cells)
    run = Run(
        run_id=RUN_ID,
        workflow="kafka_smoke",
        prefix=PREFIX,
        seed=1741658407,
        engine="process",
        subjects=(CLIENT,),
        cells={"correctness/pinned": planned},
        brokers={"oldest": "kafka@3.3.2", "pinned": BROKER, "newest": "kafka@4.3.1"},
        started_at="2025-03-11T02:00:07Z",
        host_class="linux-x86_64-2c-24g",
        trigger={"branch": "main", "sha": "4f2a9c1e77d0b1f3", "who": "schedule"},
    )
    steps = tuple(
        Manifest(step, 1, Outcome.PASS, seconds=took, started_at=f"2025-03-11T02:00:{at:02d}Z")
        for step, took, at in (("plan", 0.8, 7), ("provision", 11.6, 9))
    )
    made = Sample(run, gate, cells, manifests=steps + tuple(manifest(c) for c in cells))
    return replace(made, **changes)


def green() -> Sample:
    cells = (cell("C01"), cell("C02"), cell("C13"), benchmark())
    gate = GateResult(
        PREFIX,
        Outcome.PASS,
        "Every claim held and every number is inside its envelope.",
        warnings=(
            Finding(
                "envelope",
                Outcome.PASS,
                "P02",
                cells[3].cell,
                "produce_records_per_s_median",
                "8.6 % below its baseline: not yet red.",
                129_035.0,
                "≥ 129,882 records/s (−8 %)",
                ENVELOPE.runs[0],
                why="A slow slide of a few percent a week is how throughput is lost.",
            ),
        ),
        skipped=(Skipped("A05 on process", "a KDC: apt-get install krb5-kdc"),),
        suites={
            "quality": {"evaluated": 41, "failed": 0},
            "benchmark": {"evaluated": 12, "failed": 0},
        },
        data_docs=f"{PREFIX}/gate/attempt=1/docs/index.html",
    )
    return sample(
        cells, gate, series={cells[3].cell: series(), cells[0].cell: series(20, faults=False)}
    )


def red() -> Sample:
    evidence = tuple(
        {
            "index": 2_041 + i,
            "process": "c0",
            "topic": "c13",
            "partition": 1,
            "committed": 120 + i,
            "delivered": 117,
        }
        for i in range(12)
    )
    ahead = ClaimVerdict(
        "commit-ahead",
        Outcome.FAIL,
        12,
        "c0 committed offset 120 of c13/1, but was given nothing beyond 117.",
        evidence,
        f"s3://kafkalab/{PREFIX}/correctness/attempt=2/C13/commit-ahead.parquet",
        (TIMELINE, ("commit-ahead: the second",)),
    )
    slow = benchmark(produce_records_per_s_median=98_117.0, latency_ms_p99=20.1)
    cells = (cell("C01"), cell("C02"), cell("C13", red=ahead), slow)
    gate = GateResult(
        PREFIX,
        Outcome.FAIL,
        "1 claim is broken and 1 number is outside its envelope.",
        failures=(
            Finding(
                "envelope",
                Outcome.FAIL,
                "P02",
                slow.cell,
                "produce_records_per_s_median",
                "30.5 % below the accepted baseline.",
                98_117.0,
                "≥ 120,000 records/s (−15 % of 141,176)",
                ENVELOPE.runs[0],
                f"s3://kafkalab/{PREFIX}/benchmark/attempt=1/P02/metrics.parquet",
                slow.replay,
                "Fifteen percent is three times the spread of ten runs of one build.",
            ),
            Finding(
                "claim",
                Outcome.FAIL,
                "C13",
                cells[2].cell,
                "commit-ahead",
                ahead.summary,
                12,
                "0",
                evidence=ahead.evidence_uri or "",
                replay=cells[2].replay,
                why="After a crash the group restarts at 120: 117 to 119 are never processed.",
            ),
        ),
        skipped=(Skipped("C18", "a schema registry"),),
        suites={
            "quality": {"evaluated": 41, "failed": 0},
            "benchmark": {"evaluated": 12, "failed": 1},
        },
    )
    made = sample(
        cells, gate, series={slow.cell: series(90, producers=3), cells[2].cell: series(30)}
    )
    first = replace(
        manifest(cells[2], 1, Outcome.UNKNOWN),
        reason="driver d0 said nothing for 30 s; tried again",
    )
    kept = tuple(m for m in made.manifests if m.cell != cells[2].cell)
    return replace(made, manifests=(*kept, first, manifest(cells[2], 2)))


def unknown() -> Sample:
    """First run of a lane; one cell crashed its checker, one never came back."""
    crashed = ClaimVerdict(
        "stall",
        Outcome.UNKNOWN,
        0,
        "the checker crashed: ZeroDivisionError",
        ({"traceback": "Traceback (most recent call last): ..."},),
    )
    cells = (cell("C01"), cell("C03", red=crashed))
    gate = GateResult(
        PREFIX,
        Outcome.UNKNOWN,
        "Not enough evidence: 1 claim could not be judged and 1 cell left no verdict.",
        failures=(
            Finding(
                "evidence",
                Outcome.UNKNOWN,
                "C03",
                cells[1].cell,
                "stall",
                crashed.summary,
                replay=cells[1].replay,
            ),
        ),
        lanes_without_baseline=(str(LANE),),
        proposals=(replace(ENVELOPE, number=1),),
    )
    made = sample(cells, gate, envelopes=())
    lost = Cell("C13", (CLIENT,), BROKER)
    planned = {"correctness/pinned": (*made.run.cells["correctness/pinned"], lost)}
    return replace(made, run=replace(made.run, cells=planned))


def large() -> Sample:
    """Twenty cells of four scenarios, each with a full set of series."""
    clients = (CLIENT, "kafka-clients@3.9.2")
    brokers = ("kafka@3.3.2", BROKER, "kafka@4.3.1")
    cells = [
        cell(s, clients=(c,), broker=b)
        for s in ("C01", "C13", "P02")
        for c in clients
        for b in brokers
    ]
    cells += [cell("C22", clients=clients), cell("B04")]
    made = sample(tuple(cells), GateResult(PREFIX, Outcome.PASS, "Every claim held."))
    return replace(
        made, series={c.cell: series(60, producers=8, seed=i) for i, c in enumerate(cells)}
    )


def hostile() -> Sample:
    """What a client, a webhook or a log line could put on the page."""
    h = HOSTILE
    bad = ClaimVerdict(h, Outcome.FAIL, 1, h, ({h: h},), f"javascript:{h}", ((h, f"> {h}"),))
    one = replace(
        cell(h, clients=(h,), broker=h, red=bad),
        reason=h,
        replay=h,
        samples={h: 1},
        metrics={h: float("nan"), "latency_ms_p99": float("inf")},
        skipped=(Skipped(h, h),),
        series={h: f"javascript:{h}"},
    )
    finding = Finding("claim", Outcome.FAIL, h, one.cell, h, h, h, h, h, f"javascript:{h}", h, h)
    gate = GateResult(
        h,
        Outcome.FAIL,
        h,
        (finding,),
        (replace(finding, outcome=Outcome.PASS),),
        (Skipped(h, h),),
        lanes_without_baseline=(h,),
        suites={h: {h: h}},
        data_docs=h,
    )
    table = series(10)
    rows = pa.table(
        {
            "time_ns": [1, 2_000_000_000, 3],
            "source": [h, h, "lab"],
            "value": [1.0, 2.0, 0.0],
            "metric": ["rss_bytes", "rss_bytes", "mark"],
            "text": [None, None, h],
        }
    )
    made = sample(
        (one,), gate, series={one.cell: pa.concat_tables([table, rows.select(table.column_names)])}
    )
    run = replace(
        made.run, run_id=h, subjects=(h,), trigger={"branch": h, "sha": h, h: h}, brokers={h: h}
    )
    step = Manifest(h, 1, Outcome.FAIL, h, one.cell, {h: h}, h, 1.0, {h: {h: h}})
    return replace(made, run=run, manifests=(step, replace(step, cell="")), repeat=h)


SAMPLES = {"green": green, "red": red, "unknown": unknown, "large": large, "hostile": hostile}


@pytest.fixture(scope="session")
def samples() -> dict[str, Sample]:
    return {name: make() for name, make in SAMPLES.items()}


@pytest.fixture(scope="session")
def pages(samples: dict[str, Sample]) -> dict[str, str]:
    return {name: made.html() for name, made in samples.items()}
