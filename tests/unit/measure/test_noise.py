import pytest

from kafkalab.measure.noise import HostNoise, HostReadings, Limits, between, noisy


def test_a_quiet_host_has_no_reasons():
    before = HostReadings(100.0, 5.0, 10.0, (0.10, 0.10))
    after = HostReadings(160.0, 5.5, 22.0, (0.10, 0.11))
    found = between(before, after, cpus=2)
    assert found.steal_ratio == pytest.approx(0.5 / 120)
    assert found.run_queue_ratio == pytest.approx(0.2)
    assert found.calibration_spread == pytest.approx(0.1)
    assert noisy(found) == ()


def test_each_sign_is_a_reason_of_its_own():
    loud = HostNoise(steal_ratio=0.2, run_queue_ratio=0.9, calibration_spread=0.8)
    assert len(noisy(loud)) == 2, "a full host is noisy only where a bound is given"
    assert len(noisy(loud, Limits(run_queue_ratio=0.5))) == 3
    assert noisy(loud)[0] == "CPU time stolen by the hypervisor: 20.0% (at most 5%)"


def test_what_is_not_known_is_no_reason():
    few = between(HostReadings(0, 0, 0, (1.0,)), HostReadings(1, 0, 0, (9.0,)), cpus=1)
    assert few.calibration_spread is None
    assert noisy(few) == ()


def test_counters_that_step_back_are_no_negative_noise():
    assert between(HostReadings(0, 5), HostReadings(1, 4), cpus=1).steal_ratio == 0


def test_readings_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="later"):
        between(HostReadings(2, 0), HostReadings(1, 0), cpus=1)
