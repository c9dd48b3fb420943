"""Names become keys and read back; keys are safe for S3, file systems and people."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafkalab.artifacts import keys
from kafkalab.model.errors import UsageError
from kafkalab.model.run import Lane

PARTS = keys.RunParts(
    workflow="kafka_smoke",
    branch="feature/a b",
    sha="0123abc",
    runner="host-1",
    broker="kafka@3.9.2",
    client="confluent-kafka@2.16.1+kafka-clients@3.9.2",
    started=datetime(2026, 1, 31, 2, 0, 5, tzinfo=UTC),
    run_id="manual__2026-01-31T02:00:05+00:00",
)
PREFIX = keys.run_prefix(PARTS)


def test_a_run_prefix_follows_the_template():
    assert PREFIX == (
        "runs/kafka_smoke/feature~2Fa~20b/0123abc/host-1/kafka@3.9.2/"
        "confluent-kafka@2.16.1+kafka-clients@3.9.2/"
        "20260131T020005Z-manual__2026-01-31T02~3A00~3A05+00~3A00/"
    )


def test_a_run_prefix_and_any_key_below_it_read_back():
    assert keys.parse_run(PREFIX) == PARTS
    below = keys.artifact(PREFIX, "correctness", 2, "C01-x", "logs/b1.log")
    assert keys.parse_run(below) == PARTS
    assert keys.run_prefix_of(below) == PREFIX
    assert keys.parse_attempt(below) == ("correctness", 2, "C01-x/logs/b1.log")


def test_a_start_in_another_zone_is_stored_in_utc():
    zone = timezone(timedelta(hours=9))
    assert keys.run_prefix(replace(PARTS, started=PARTS.started.astimezone(zone))) == PREFIX


def test_a_start_without_a_zone_is_refused():
    with pytest.raises(UsageError, match="time zone"):
        keys.run_prefix(replace(PARTS, started=datetime(2026, 1, 1)))  # noqa: DTZ001


@pytest.mark.parametrize(
    "key", ["", "runs/a/b", "baselines/a/b/c/d/e/f/g", "runs/a/b/c/d/e/f/x-y/"]
)
def test_what_is_in_no_run_is_refused(key):
    with pytest.raises(UsageError, match="expected"):
        keys.parse_run(key)


@given(st.text(max_size=60))
def test_any_text_becomes_one_safe_part(text):
    part = keys.safe(text)
    assert part not in ("", ".", "..")
    assert not set(part) - set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+=@-~"
    )
    assert len(part) <= keys.PART_MAX
    if "~~" not in part:
        assert keys.unsafe(part) == text


@given(st.text(max_size=30), st.text(max_size=30))
def test_different_texts_never_share_a_part(one, other):
    assert (keys.safe(one) == keys.safe(other)) == (one == other)


def test_long_parts_are_shortened_stably_and_stay_different():
    one, other = keys.safe("é" * 300 + "1"), keys.safe("é" * 300 + "2")
    assert len(one) <= keys.PART_MAX
    assert one != other
    assert one == keys.safe("é" * 300 + "1")
    assert keys.unsafe(one).startswith("é" * 10)


def test_steps_cells_and_documents_have_their_places():
    at = f"{PREFIX}correctness/attempt=3/"
    assert keys.run_document(PREFIX) == f"{PREFIX}run.json"
    assert keys.run_document(PREFIX.rstrip("/")) == f"{PREFIX}run.json"
    assert keys.manifest(PREFIX, "correctness", 3) == f"{at}manifest.json"
    assert keys.manifest(PREFIX, "correctness", 3, "C01-a") == f"{at}C01-a/manifest.json"
    assert keys.verdict(PREFIX, "correctness", 3, "C01-a") == f"{at}C01-a/verdict.json"
    assert keys.artifact(PREFIX, "correctness", 3, "C01-a", "../x") == f"{at}C01-a/~2E~2E/x"
    assert keys.cluster(PREFIX, 1, "oldest") == f"{PREFIX}provision/attempt=1/oldest/cluster.json"
    assert keys.gate(PREFIX) == f"{PREFIX}gate/gate.json"
    assert keys.gate(PREFIX, 2) == f"{PREFIX}gate/attempt=2/gate.json"
    assert keys.report(PREFIX) == f"{PREFIX}report/index.html"
    assert keys.index_day(date(2026, 1, 2)) == "index/2026-01-02.parquet"


def test_attempts_count_from_one():
    with pytest.raises(UsageError, match="1 or more"):
        keys.step_prefix(PREFIX, "memory", 0)


def test_a_lane_reads_back_from_its_keys():
    lane = Lane("kafka_smoke", "kafka@3.9.2", "confluent-kafka@2.16", "process", "linux-2c/24g")
    assert keys.baseline_current(lane).endswith("/process/linux-2c~2F24g/current.json")
    assert keys.baseline_entry(lane, 7).endswith("/history/7.json")
    assert keys.parse_lane(keys.baseline_entry(lane, 7)) == lane
    with pytest.raises(UsageError, match="not in a lane"):
        keys.parse_lane("baselines/a/b")


def test_a_key_that_s3_would_refuse_is_refused_here():
    with pytest.raises(UsageError, match="at most 1024 bytes"):
        keys.artifact(PREFIX, "memory", 1, "c", "/".join(["x" * 90] * 12))
