"""EXIF orientation -> the operation that turns a picture upright."""

import numpy as np
from PIL import Image

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def upright(numbers: np.ndarray, orientation: int) -> np.ndarray:
    """Turn integers (H, W) of at most 31 bits, as ``orientation`` says; not copied if upright."""
    operation = UPRIGHT.get(orientation)
    if operation is None:
        return numbers
    turned = Image.fromarray(numbers.astype(np.int32)).transpose(operation)
    return np.asarray(turned).astype(numbers.dtype)
