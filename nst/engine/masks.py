"""Scale masks to the resolution of the layers of the network, as their guides.

Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017, section 4.
"""

from collections.abc import Sequence

import numpy as np

from nst.vgg.layers import CHANNELS


def mask_pyramid(masks: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """Return the guides of R masks, (H, W) float32 0..1, at every grid of the network.

    {pixels: (H / pixels, W / pixels, R) float32} for cells of 1, 2, 4 ... 32 pixels, rounded up:
    the mean of the mask over each cell. {} for no masks.
    """
    if not masks:
        return {}
    guide = np.stack(masks, axis=2).astype(np.float32)
    guides = {1: guide}
    for block in range(len(CHANNELS)):
        guide = _halve(guide)
        guides[2 ** (block + 1)] = guide
    return guides


def _halve(guide: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 cells; an odd last row or column has half as many, as in a pool."""
    odd = [(0, side % 2) for side in guide.shape[:2]]
    even = np.pad(guide, (*odd, (0, 0)), mode="edge")
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4
