"""The pictures that one picture is made from, at one scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nst.errors import UsageError

LEAST_MASS = 1e-3  # mean of a mask: of one that is black nothing can be measured


@dataclass(frozen=True)
class Pictures:
    """What is painted, in which styles, and where.

    size: (height, width) of the picture to make, in pixels.
    content: (H, W, 3) sRGB, 0..255; None where there is no content cost and no content.
    styles: (h, w, 3) each, of any size; none where there is no style cost.
    content_masks: (H, W) float32, 0..1, one for each style, or none: where in the picture that
        style goes. style_masks: (h, w), likewise: where in the style picture it is taken from.
    style_sizes: the long side that each style was asked for, in pixels, where its file may have
        been smaller; none if they have the size that was asked for.
    """

    size: tuple[int, int]
    content: np.ndarray | None
    styles: tuple[np.ndarray, ...]
    content_masks: tuple[np.ndarray, ...] = ()
    style_masks: tuple[np.ndarray, ...] = ()
    style_sizes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = [self.size] * len(self.styles), [style.shape[:2] for style in self.styles]
        both = ("content", self.content_masks), ("style", self.style_masks)
        for (name, masks), of in zip(both, sizes):
            if len(masks) not in (0, len(of)):
                raise UsageError(
                    f"{name}_mask: {len(masks)} masks for {len(of)} styles; give one mask for each "
                    "style, in their order"
                )
            for mask, size in zip(masks, of):
                if mask.shape != size:
                    raise UsageError(f"{name}_mask: {mask.shape} for a picture of {size}")
                if mask.min() < 0 or mask.max() > 1 or mask.mean() < LEAST_MASS:
                    raise UsageError(f"{name}_mask: must be from 0 to 1, and not 0 everywhere")
        if len(self.style_sizes) not in (0, len(self.styles)):
            raise UsageError(f"style_sizes: {len(self.style_sizes)} for {len(self.styles)} styles")

    def scaled(self, factor: float) -> "Pictures":
        """Return everything resized by ``factor``, up to 1; the pictures themselves for 1."""
        if factor == 1:
            return self
        size = scaled_size(self.size, factor)
        asked = self.style_sizes or [max(style.shape[:2]) for style in self.styles]
        of_styles = [scaled_style(s.shape, a, factor) for s, a in zip(self.styles, asked)]
        return Pictures(
            size,
            None if self.content is None else resize(self.content, size),
            tuple(map(resize, self.styles, of_styles)),
            tuple(resize(mask, size) for mask in self.content_masks),
            tuple(map(resize, self.style_masks, of_styles)),
            tuple(of * factor for of in asked),
        )


def over_white(image: Image.Image, alpha: Image.Image | None) -> Image.Image:
    """An RGB image as it looks on white paper, where ``alpha`` (mode L) lets that through."""
    if alpha is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)


def scaled_size(size: Sequence[int], factor: float) -> tuple[int, int]:
    """(height, width) times ``factor``, at least 1 pixel each."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def scaled_style(size: Sequence[int], asked: float, factor: float) -> tuple[int, int]:
    """(height, width) of a style of ``size`` at a scale: the long side asked for times ``factor``.

    A style that is smaller than it was asked for is shrunk later: its strokes are as large in the
    coarse scales as those of a larger file would be.
    """
    return scaled_size(size, min(1.0, asked * factor / max(size[:2])))


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W) or (H, W, 3), uint8 or float32, to ``size``, (height, width).

    Shrinking averages (Lanczos with its support scaled), enlarging interpolates; values stay within
    those of their kind, 0..1 for masks (H, W) and 0..255 for pictures.
    """
    if array.shape[:2] == size:
        return array
    to, how = size[::-1], Image.Resampling.LANCZOS
    if array.dtype == np.uint8:
        return np.asarray(Image.fromarray(array).resize(to, how))
    planes = array[:, :, np.newaxis] if array.ndim == 2 else array
    resized = np.empty((*size, planes.shape[2]), np.float32)
    for index in range(planes.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(planes[:, :, index], np.float32))
        resized[:, :, index] = plane.resize(to, how)
    np.clip(resized, 0, 1 if array.ndim == 2 else 255, out=resized)
    return resized[:, :, 0] if array.ndim == 2 else resized
