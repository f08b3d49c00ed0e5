"""Work on a picture by blocks of rows, which takes little memory beside the picture."""

from collections.abc import Iterator

import numpy as np

ROWS = 256


def row_blocks(array: np.ndarray) -> Iterator[slice]:
    """Yield slices that cover the first axis of an array, some rows at a time."""
    for top in range(0, len(array), ROWS):
        yield slice(top, min(len(array), top + ROWS))


def dot(one: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    """Dot product of two float32 arrays of one shape, over the cells ``where`` if given.

    Blocks are summed in float32, their sums in float64.
    """
    total = 0.0
    for rows in row_blocks(one):
        part = one[rows] if where is None else one[rows] * where[rows]
        total += float(np.vdot(part, other[rows]))
    return total
