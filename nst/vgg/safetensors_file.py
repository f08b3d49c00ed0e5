"""Read the tensors of a .safetensors file.

The format: 8 bytes, the length of the header; the header, a JSON object of {name: {dtype, shape,
data_offsets}} with offsets from its end; the values, row by row. The package of that name has no
bfloat16 for NumPy, hence this reader.
"""

import functools
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from nst.vgg.arrays import BFLOAT16, Arrays, DamagedError, NamedArray, decode, item_size

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
LONGEST = 10_000_000  # bytes of the header
DIMENSIONS = 8  # of a tensor, at most


def read_tensors(path: Path) -> Arrays:
    """The named tensors of a file; raises OSError, and ValueError for a damaged one."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST:
            raise ValueError(f"its header says that it is {length:,} bytes long")
        if 8 + length > size:
            raise DamagedError(f"it ends early: {size:,} bytes, {8 + length:,} of them its header")
        try:
            header = json.loads(file.read(length), object_pairs_hook=_unique)
        except RecursionError:
            raise ValueError("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no table of tensors")
    header.pop("__metadata__", None)
    arrays, end = {}, 8 + length
    for name, entry in header.items():
        shape, start, stop, dtype = _described(name, entry)
        end = max(end, 8 + length + stop)
        arrays[name] = NamedArray(
            shape, functools.partial(_values, path, 8 + length + start, shape, dtype)
        )
    if end > size:
        raise DamagedError(f"it ends early: {size:,} bytes, {end:,} expected")
    return arrays


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("its header names a tensor twice")
    return dict(pairs)


def _described(name: str, entry: Any) -> tuple[tuple[int, ...], int, int, str]:
    """Shape, first byte, byte after the last and dtype of a tensor; raises ValueError."""
    try:
        shape, (start, stop) = tuple(entry["shape"]), entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
    except (LookupError, TypeError, ValueError):
        raise ValueError(f"its header does not describe {name[:80]}") from None
    numbers = (*shape, start, stop)
    if len(shape) > DIMENSIONS or not all(type(n) is int and 0 <= n < 2**48 for n in numbers):
        raise ValueError(f"its header describes {name[:80]} by wrong numbers")
    if stop - start != math.prod(shape) * item_size(dtype):
        raise ValueError(f"{name[:80]} takes {stop - start:,} bytes, not those of its shape")
    return shape, start, stop, dtype


def _values(path: Path, start: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    with open(path, "rb") as file:
        file.seek(start)
        return decode(file.read(math.prod(shape) * item_size(dtype)), dtype).reshape(shape)
