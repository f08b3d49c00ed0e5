"""Damaged copies of picture files, which must be read or refused."""

import warnings

from hypothesis import strategies as st

from nst.errors import PictureError
from nst.pictures.read import read_picture

CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)
KEPT = st.floats(0.02, 1)  # share of the file


def read_damaged(folder, seed, changes, kept):
    """Assert that a damaged copy of ``seed``, bytes, is read or refused in one line.

    changes: (where in the file, the new byte).
    """
    data = bytearray(seed)
    for where, value in changes:
        data[int(where**3 * len(data))] = value  # headers more often than pixels
    path = folder / "damaged"
    path.write_bytes(data[: max(1, int(kept * len(data)))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            picture = read_picture(path, 64)
        except PictureError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
        else:
            assert picture.rgb.ndim == 3
            assert max(picture.rgb.shape) <= 64
