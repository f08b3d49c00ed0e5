"""Work on a picture by blocks of rows, which takes little memory beside the picture."""

from collections.abc import Iterator

import numpy as np

ROWS = 256


def row_blocks(array: np.ndarray) -> Iterator[slice]:
    """Yield slices that cover the first axis of an array, some rows at a time."""
    for top in range(0, len(array), ROWS):
        yield slice(top, min(len(array), top + ROWS))
