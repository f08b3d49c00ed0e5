"""The colours of a transparent picture itself, without the white that it was composited over."""

import numpy as np

from nst.pictures.resize import resize, square_sums

LEAST_OPACITY = 16 / 255  # below that, 8 bits of a composite do not tell the colour


def uncover(rgb: np.ndarray, transparency: np.ndarray) -> np.ndarray:
    """Take away the white below a picture: (H, W, 3) uint8, composited over white, likewise.

    transparency: (H, W) uint8, 0 transparent .. 255 opaque.

    What is half transparent gets its own colours, and what is hidden the colours of what is visible
    near it. So a network sees no white at soft edges, and nothing that is painted like it shows a
    white fringe over another background. Composited over white, the picture is the same, to some
    levels where it is nearly hidden.
    """
    if not transparency.any():
        return rgb
    opacity = transparency[:, :, np.newaxis].astype(np.float32) / 255
    colours = 255 - (255 - rgb.astype(np.float32)) / np.maximum(opacity, 1 / 255)
    known = np.minimum(opacity / LEAST_OPACITY, 1)
    filled = _filled(np.clip(colours, 0, 255) * known, known)
    return np.rint(np.clip(filled, 0, 255)).astype(np.uint8)


def _filled(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fill where the weights lack something to 1 with averages over larger and larger squares.

    sums: (H, W, 3) float32, colours times weights. weights: (H, W, 1) float32, 0..1. Returns the
    colours, (H, W, 3) float32.
    """
    height, width = weights.shape[:2]
    if weights.min() >= 1 or height == width == 1:
        return sums / np.maximum(weights, 1e-6)
    half_sums, half_weights = square_sums(sums, 2), square_sums(weights, 2)
    scale = np.maximum(half_weights, 1)  # squares that are known in a quarter are known
    below = _filled(half_sums / scale, half_weights / scale)
    return sums + (1 - weights) * resize(below, (height, width))
