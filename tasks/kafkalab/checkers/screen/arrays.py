"""Between Arrow and numpy without copies, and without pandas, whose import costs a second.

pyarrow's own conversions ask pandas whether what they are given is a pandas object; buffers do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def valid(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Where a column is not null, shape (rows,)."""
    bits = column.buffers()[0]
    if column.null_count == 0 or bits is None:
        return np.full(len(column), column.null_count == 0)
    end = column.offset + len(column)
    unpacked = np.unpackbits(np.frombuffer(bits, np.uint8), count=end, bitorder="little")
    return unpacked[column.offset :].astype(bool)


def numbers(column: pa.Array, null: int) -> npt.NDArray[Any]:
    """A column of integers, shape (rows,), its own dtype; `null` where it is null."""
    dtype = np.dtype(str(column.type))
    if len(column) == 0:
        return np.empty(0, dtype=dtype)
    start, end = column.offset, column.offset + len(column)
    values = np.frombuffer(column.buffers()[1], dtype)[start:end]
    return values if column.null_count == 0 else np.where(valid(column), values, dtype.type(null))


def plain(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A result's column of integers or booleans without nulls, shape (rows,)."""
    parts = [_bits(part) if pa.types.is_boolean(part.type) else numbers(part, 0)
             for part in column.chunks]  # fmt: skip
    dtype = bool if pa.types.is_boolean(column.type) else np.dtype(str(column.type))
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


def _bits(column: pa.Array) -> npt.NDArray[np.bool_]:
    end = column.offset + len(column)
    data = np.frombuffer(column.buffers()[1], np.uint8)
    return np.unpackbits(data, count=end, bitorder="little")[column.offset :].astype(bool)


def text(words: Sequence[str]) -> pa.Array:
    """Words as an Arrow column of strings."""
    encoded = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    data = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), data)


def arrow(values: npt.NDArray[Any], null: int | None = None) -> pa.Array:
    """A column of integers or booleans as Arrow; null where it equals `null`."""
    bits = None
    if null is not None:
        bits = pa.py_buffer(np.packbits(values != null, bitorder="little"))
    if values.dtype == bool:
        kind, data = pa.bool_(), np.packbits(values, bitorder="little")
    else:
        kind, data = pa.type_for_alias(values.dtype.name), np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, len(values), [bits, pa.py_buffer(data)])
