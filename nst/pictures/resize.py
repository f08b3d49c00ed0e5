"""Resize pictures and masks; composite transparent pictures over white."""

from collections.abc import Sequence

import numpy as np
from PIL import Image


def over_white(image: Image.Image, transparency: Image.Image | None) -> Image.Image:
    """Composite an RGB image over white.

    transparency: mode L of the same size, 0 transparent .. 255 opaque; None for an opaque image.
    """
    if transparency is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), transparency)


def scaled_size(size: Sequence[int], factor: float) -> tuple[int, int]:
    """(height, width) times ``factor``, rounded, at least 1 pixel each."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def scaled_style_size(size: Sequence[int], asked: float, factor: float) -> tuple[int, int]:
    """(height, width) of a style picture at one of the scales of the content.

    size: (height, width) of the style picture. asked: the long side wanted at full size, in pixels.
    factor: of the scale, 1 for full size.

    The long side becomes ``asked * factor`` but is never enlarged. So a style picture smaller than
    ``asked`` has strokes at the coarse scales as large as those of a larger file.
    """
    return scaled_size(size, min(1.0, asked * factor / max(size[:2])))


def square_sums(values: np.ndarray, side: int) -> np.ndarray:
    """Sums of (H, W, ...) over squares of side x side, those at the edges smaller."""
    rows, columns = (np.arange(0, size, side) for size in values.shape[:2])
    return np.add.reduceat(np.add.reduceat(values, rows, axis=0), columns, axis=1)


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W) or (H, W, 3), uint8 or float32, to ``size``, (height, width).

    Shrinking averages (Lanczos with scaled support), enlarging interpolates. Values stay in their
    range: 0..1 for masks (H, W), 0..255 for pictures (H, W, 3).
    """
    if array.shape[:2] == size:
        return array
    height, width = size
    if array.dtype == np.uint8:
        image = Image.fromarray(array).resize((width, height), Image.Resampling.LANCZOS)
        return np.asarray(image)
    planes = array[:, :, np.newaxis] if array.ndim == 2 else array  # (H, W, 1 or 3)
    resized = np.empty((height, width, planes.shape[2]), np.float32)
    for index in range(planes.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(planes[:, :, index], np.float32))
        plane = plane.resize((width, height), Image.Resampling.LANCZOS)
        resized[:, :, index] = np.asarray(plane)
    np.clip(resized, 0, 1 if array.ndim == 2 else 255, out=resized)
    return resized[:, :, 0] if array.ndim == 2 else resized
