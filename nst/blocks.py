"""Work on a picture by blocks of rows, to need little memory beside it."""

from collections.abc import Iterator

import numpy as np

ROWS = 256


def row_blocks(array: np.ndarray) -> Iterator[slice]:
    """Yield slices that cover the first axis of an array, some rows at a time."""
    for top in range(0, len(array), ROWS):
        yield slice(top, min(len(array), top + ROWS))


def dot(one: np.ndarray, other: np.ndarray) -> float:
    """Sum of the products of two float32 arrays of one shape; summed in blocks in float64."""
    return sum(float(np.vdot(one[block], other[block])) for block in row_blocks(one))
