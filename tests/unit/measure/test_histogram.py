import pytest
from hdrh.histogram import HdrHistogram

from kafkalab.measure import histogram


def encoded(values, highest=3_600_000_000):
    made = HdrHistogram(1, highest, 3)
    for value in values:
        made.record_value(value)
    return made.encode().decode()


def test_percentiles_are_of_all_records_together():
    quick, slow = encoded([1_000] * 990), encoded([500_000] * 10)
    found = histogram.percentiles([quick, slow])
    assert found.count == 1000
    assert found.p50 == pytest.approx(1.0, rel=0.01)
    assert found.p95 == pytest.approx(1.0, rel=0.01)
    assert found.p999 == pytest.approx(500, rel=0.01)
    assert found.max == pytest.approx(500, rel=0.01)


def test_histograms_of_different_ranges_merge():
    found = histogram.percentiles([encoded([2_000] * 5, 60_000_000), encoded([4_000] * 5)])
    assert (found.p50, found.max) == (pytest.approx(2, rel=0.01), pytest.approx(4, rel=0.01))


@pytest.mark.parametrize("samples", [[], [None], [encoded([])]])
def test_nothing_recorded_is_none_and_never_nan(samples):
    assert histogram.percentiles(samples) is None


@pytest.mark.parametrize("text", ["garbage", "SGVsbG8gd29ybGQhISEhIQ==", "AAAA"])
def test_garbage_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match="expected a HdrHistogram"):
        histogram.percentiles([text])
