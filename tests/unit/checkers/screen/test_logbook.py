import numpy as np
import pytest

from kafkalab.checkers.screen.logbook import NOTHING, Log, Sequence, TooWideError


def ints(*values):
    return np.array(values, dtype=np.int64)


def codes(*values):
    return np.array(values, dtype=np.int32)


def values(*given):
    return np.array(given, dtype=np.uint64)


def put(log, place, off, value):
    return log.put(codes(*place), ints(*off), values(*value), ints(*([7] * len(off)))).tolist()


def test_a_log_says_whether_it_holds_a_value_at_an_offset():
    log = Log()
    assert put(log, (0, 0, 3), (0, 5_000, 1), (1, 2, 3)) == [False] * 3
    at, held = log.has(codes(0, 0, 3, 3, 9), ints(0, 5_000, 1, 2, 0), values(1, 9, 3, 0, 1))
    assert held.tolist() == [True, False, True, False, False]
    assert log.places_at(at[:3]).tolist() == [0, 0, 3]


def test_two_values_at_one_offset_clash_in_one_batch_and_in_two():
    log = Log()
    assert put(log, (0, 0), (4, 4), (1, 2)) == [True, False]  # the last one stays
    assert put(log, (0,), (4,), (2,)) == [True]


def test_offsets_that_lie_too_far_apart_are_refused():
    with pytest.raises(TooWideError, match="offsets up to"):
        put(Log(), (0,), (1 << 40,), (1,))


def test_a_sequence_remembers_each_pair_from_batch_to_batch():
    sequence = Sequence()
    sequence.steps(codes(0, 1, 0), codes(2, 2, 2), ints(10, 50, 11), ints(0, 0, 0))
    steps = sequence.steps(codes(1, 0, 0), codes(2, 2, 5), ints(51, 13, 1), ints(0, 1, 0))
    told = zip(steps.known, steps.step, steps.same, strict=True)
    found = dict(zip(steps.order.tolist(), told, strict=True))
    assert found[0] == (True, 1, True)
    assert found[1] == (True, 2, False), "another epoch"
    assert not found[2][0], "the first of its pair"


def test_nothing_begins_a_stretch():
    steps = Sequence().steps(codes(0, 0, 0), codes(0, 0, 0), ints(5, NOTHING, 6), ints(0, 0, 0))
    assert steps.known.tolist() == [False, False, False]
