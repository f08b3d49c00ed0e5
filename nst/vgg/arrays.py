"""What the readers of weights files share: named arrays, read when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

# {conv layer: (kernel (3, 3, in, out), bias (out,))}, both float32; the input of conv1_1 is red,
# green, blue, pixels 0..255 minus the mean.
Layers = dict[str, tuple[np.ndarray, np.ndarray]]
BFLOAT16 = "bfloat16"  # the upper half of a float32, which NumPy does not know


class DamagedError(ValueError):
    """A file is not whole: to get it again would help."""


class Network(NamedTuple):
    """What a reader returns. mean: (3,) float32, mean pixel of the training set, red, green, blue,
    0..255. notes: for the user, what was guessed."""

    mean: np.ndarray
    layers: Layers
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedArray:
    """An array that is not read yet.

    shape: its lengths. read: returns it, (*shape) of the file's own dtype, bfloat16 as float32;
    raises OSError, and ValueError for damaged values.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


Arrays = dict[str, NamedArray]


def item_size(dtype: str) -> int:
    """Bytes of a value. dtype: as NumPy spells it, or BFLOAT16."""
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def decode(data: bytes, dtype: str) -> np.ndarray:
    """The values of raw bytes, (count,), which cannot be changed."""
    if dtype == BFLOAT16:
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, dtype)


def view(values: np.ndarray, offset: int, shape: tuple, strides: tuple) -> np.ndarray:
    """Part of (count,) values; offset and strides, counted in values, lie within them."""
    return as_strided(
        values[offset:], shape, [step * values.itemsize for step in strides], writeable=False
    )
