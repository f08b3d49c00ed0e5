"""Keep the colours of the content.

Gatys, Bethge, Hertzmann and Shechtman, Preserving Color in Neural Artistic Style Transfer, 2016
(arXiv:1606.05897): colour matching (section 3) and luminance-only transfer (section 4).
"""

from typing import Any

import numpy as np

from nst.engine.rows import row_blocks

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of YIQ, as in the paper
SMALLEST_DEVIATION = 1e-3  # of a channel, in pixel values: a picture of one colour has none


def prepare(picture: np.ndarray, mode: str) -> np.ndarray:
    """Return a content or start picture (H, W, 3) as the transfer is to see it.

    Grey where the transfer paints the ``luminance`` alone.
    """
    return _grey(luminance(picture)) if mode == "luminance" else picture


def prepare_style(
    style: np.ndarray,
    content: np.ndarray,
    mode: str,
    style_mask: np.ndarray | None = None,
    visible: np.ndarray | None = None,
) -> np.ndarray:
    """Return a style as the transfer is to see it.

    style, content: (H, W, 3), sRGB, 0..255. mode: ``none``; ``luminance``: grey, with the mean and
    deviation of the content's luminance; ``match``: with the mean and covariance of its colours.
    style_mask, visible: how much each pixel of style and content counts for these, (H, W), 0..1;
    None for 1 everywhere.
    """
    if mode == "luminance":
        source = luminance(style)
        mean, deviation = _mean_and_deviation(source, style_mask)
        target_mean, target_deviation = _mean_and_deviation(luminance(content), visible)
        factor = target_deviation / max(deviation, SMALLEST_DEVIATION)
        matched = (source - mean) * factor + target_mean
        return _grey(np.clip(matched, 0, 255))
    return match(style, content, style_mask, visible) if mode == "match" else style


def _mean_and_deviation(values: np.ndarray, weights: np.ndarray | None) -> tuple[Any, Any]:
    """Mean and standard deviation of (H, W), scalars."""
    if weights is None:
        return values.mean(), values.std()
    mean = np.average(values, weights=weights)
    return mean, np.sqrt(np.average((values - mean) ** 2, weights=weights))


def restore(image: np.ndarray, content: np.ndarray | None, mode: str) -> np.ndarray:
    """Return the finished picture: after a luminance transfer, with the content's chromaticity.

    image, content: (H, W, 3) of one size, no content for a texture. Returns float32, 0..255.
    """
    if mode != "luminance" or content is None:
        return image
    restored = np.empty(image.shape, np.float32)
    for rows in row_blocks(image):
        colours = content[rows].astype(np.float32)
        change = luminance(image[rows]) - luminance(colours)
        np.clip(colours + change[:, :, np.newaxis], 0, 255, out=restored[rows])
    return restored


def luminance(image: np.ndarray) -> np.ndarray:
    """Luminance of a picture (H, W, 3) 0..255: (H, W) float32, 0..255."""
    return image.astype(np.float32) @ LUMA


def _grey(shades: np.ndarray) -> np.ndarray:
    return np.repeat(shades[:, :, np.newaxis], 3, axis=2)


def match(
    style: np.ndarray,
    content: np.ndarray,
    style_mask: np.ndarray | None = None,
    visible: np.ndarray | None = None,
) -> np.ndarray:
    """Give a picture the mean and covariance of another one's colours.

    style_mask, visible: as of ``prepare_style``.

    x -> A (x - mean of style) + mean of content, A = C_content^(1/2) C_style^(-1/2) with symmetric
    square roots (the paper's Image Analogies form). Returns (H, W, 3) float32, clipped to 0..255.
    """
    mean, covariance = _statistics(style, style_mask)
    target, target_covariance = _statistics(content, visible)
    transform = _power(target_covariance, 0.5) @ _power(covariance, -0.5)
    matched = (style.astype(np.float32) - mean) @ transform.T.astype(np.float32) + target
    return np.clip(matched, 0, 255).astype(np.float32)


def _statistics(
    image: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and covariance (3, 3) of the colours. weights: (H, W), or None for 1 each."""
    colours = image.reshape(-1, 3).astype(np.float32)
    if weights is not None:
        shares = weights.reshape(-1, 1) / weights.sum(dtype=np.float64)
        mean = (colours * shares).sum(axis=0)
        colours -= mean.astype(np.float32)
        return mean.astype(np.float32), (colours.T @ (colours * shares)).astype(np.float64)
    mean = colours.mean(axis=0, dtype=np.float64)
    colours -= mean.astype(np.float32)
    return mean.astype(np.float32), (colours.T @ colours).astype(np.float64) / len(colours)


def _power(covariance: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, SMALLEST_DEVIATION**2)
    return (vectors * values**exponent) @ vectors.T
