import numpy as np
import pyarrow as pa
import pytest

from kafkalab.checkers.screen.arrays import arrow, numbers, plain, text, valid

COLUMN = pa.array([None, 3, None, 5, 6, None, 8, 9, None, 11], pa.int64())


@pytest.mark.parametrize("start", range(0, 10, 3))
def test_nulls_and_slices_are_read_as_arrow_reads_them(start):
    column = COLUMN.slice(start, 5)
    assert numbers(column, -1).tolist() == [-1 if v is None else v for v in column.to_pylist()]
    assert valid(column).tolist() == [v is not None for v in column.to_pylist()]


def test_empty_columns_and_columns_without_nulls():
    assert numbers(pa.array([], pa.int32()), -1).tolist() == []
    assert numbers(pa.array([1, 2], pa.uint64()), 0).dtype == np.uint64
    assert valid(pa.array([1, 2])).tolist() == [True, True]
    assert valid(pa.nulls(3, pa.int64())).tolist() == [False] * 3


def test_numbers_and_booleans_go_to_arrow_and_back():
    values = np.array([4, -1, 6], dtype=np.int64)
    assert arrow(values, -1).to_pylist() == [4, None, 6]
    assert arrow(np.array([True, False, True])).to_pylist() == [True, False, True]
    assert text(["ä", "", "c"]).to_pylist() == ["ä", "", "c"]


def test_a_result_in_chunks_is_one_array():
    chunks = pa.chunked_array([pa.array([1, 2]), pa.array([3])])
    assert plain(chunks).tolist() == [1, 2, 3]
    flags = pa.chunked_array([pa.array([True]), pa.array([False, True]).slice(1)])
    assert plain(flags).tolist() == [True, True]
    assert plain(pa.chunked_array([], pa.bool_())).dtype == bool
