"""What the network sees beyond the borders of a picture.

With ``zeros`` the convolutions see zeros there, and paint a coloured fringe along the borders. With
``reflect`` they see the mirror image of the picture: it is extended by a border, which the
convolutions read, but whose activations count in no cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nst.engine.tiling import grid

if TYPE_CHECKING:
    import tensorflow as tf
else:
    from nst.engine.lazy_tensorflow import tf

# The least width of a mirrored border in pixels: a wider one takes longer and makes no better
# picture. It is a multiple of the grid of the network, so that pooling windows fall into place.
LEAST = 16


def border_width(padding: str, layers: Sequence[str]) -> int:
    """Return the width of the border in pixels, for a network of ``layers``."""
    return max(LEAST, grid(layers)) if padding == "reflect" else 0


def extend(image: np.ndarray, width: int) -> np.ndarray:
    """Return an image (H, W, 3) with its mirror image around it, (H + 2 width, W + 2 width, 3)."""
    if not width:
        return image
    return np.pad(image, ((width, width), (width, width), (0, 0)), mode="reflect")


def extend_tensor(image: tf.Tensor, width: int) -> tf.Tensor:
    """The same as ``extend``, for a tensor whose sides are longer than ``width``."""
    if not width:
        return image
    return tf.pad(image, _paddings(width), mode="REFLECT")


def fold_tensor(gradient: tf.Tensor, width: int) -> tf.Tensor:
    """The same as ``fold``, for a tensor.

    Its sides without the border must be longer than ``width``.
    """
    if not width:
        return gradient
    return tf.raw_ops.MirrorPadGrad(input=gradient, paddings=_paddings(width), mode="REFLECT")


def _paddings(width: int) -> list[list[int]]:
    return [[width, width], [width, width], [0, 0]]


def fold(gradient: np.ndarray, width: int) -> np.ndarray:
    """Return the gradient with respect to an image, (H, W, 3), the transpose of ``extend``.

    gradient: with respect to the extended image, (H + 2 width, W + 2 width, 3).
    """
    if not width:
        return gradient
    for axis in (0, 1):
        lines = np.moveaxis(gradient, axis, 0)
        sources = np.pad(np.arange(len(lines) - 2 * width), width, mode="reflect")
        inside = lines[width:-width].copy()
        for number in (*range(width), *range(len(lines) - width, len(lines))):
            inside[sources[number]] += lines[number]
        gradient = np.moveaxis(inside, 0, axis)
    return np.ascontiguousarray(gradient)
