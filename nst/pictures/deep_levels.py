"""Pictures of more than 8 bits: their colours are converted before their levels are cut to 8."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from PIL import Image

from nst.pictures.resize import square_sums

BLOCK = 2**20  # pixels that are converted at once, to save memory
MOST_SAMPLED = 2**18


class DeepLevels(ABC):
    """The levels of a picture.

    size: (width, height) in pixels. mode: L, RGB, CMYK or LAB, without the transparency; a* and b*
    of LAB have an offset of half their range. opaque: whether there is no transparency.
    """

    size: tuple[int, int]
    mode: str
    opaque: bool

    @abstractmethod
    def rows(self, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Colours (h, W, channels) uint16, and opacity (h, W) uint8 or None, of some rows."""

    def sample(self) -> np.ndarray:
        """(h, w, channels) uint16: about MOST_SAMPLED pixels, evenly chosen."""
        width, height = self.size
        step = max(1, round((width * height / MOST_SAMPLED) ** 0.5))
        rows = [self.rows(top, top + 1)[0][:, ::step] for top in range(0, height, step)]
        return np.concatenate(rows)

    def to_eight_bit(
        self, convert: Callable[[np.ndarray], np.ndarray], shrink: int
    ) -> tuple[Image.Image, int]:
        """The picture after ``convert``, in mode RGB or RGBA, and the highest level of its colours.

        convert: (h, w, channels) uint16 -> (h, w, 1 or 3) uint8.
        shrink: pixels along the sides of the squares that are averaged before.
        """
        width, height = self.size
        shape = (-(-height // shrink), -(-width // shrink), 3 if self.opaque else 4)
        pixels = np.empty(shape, np.uint8)
        highest, rows = 0, max(1, BLOCK // width // shrink)  # of the result at once
        for top in range(0, len(pixels), rows):
            bottom = min((top + rows) * shrink, height)
            levels, alpha = self.rows(top * shrink, bottom)
            highest = max(highest, int(levels.max()))
            if shrink > 1:
                levels, alpha = _averages(levels, alpha, shrink)
            block = pixels[top : top + rows]
            block[..., :3] = convert(levels)
            if alpha is not None:
                block[..., 3] = alpha
        return Image.fromarray(pixels), highest


def _averages(
    levels: np.ndarray, alpha: np.ndarray | None, side: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Averages over squares of some pixels, those at the edges smaller.

    Invisible colours are left out, but where there are no others.

    levels: (H, W, channels) uint16. alpha: (H, W) uint8 or None.
    """
    counts = square_sums(np.ones(levels.shape[:2], np.float32), side)
    colours = square_sums(levels.astype(np.float32), side) / counts[..., np.newaxis]
    if alpha is None:
        return np.rint(colours).astype("u2"), None
    visible = square_sums(alpha.astype(np.float32), side)
    seen = square_sums(levels * alpha[..., np.newaxis].astype(np.float32), side)
    seen /= np.maximum(visible, 1)[..., np.newaxis]
    colours = np.where(visible[..., np.newaxis] > 0, seen, colours)
    return np.rint(colours).astype("u2"), np.rint(visible / counts).astype("u1")
