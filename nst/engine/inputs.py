"""The pictures and masks that one picture is made from: prepared, checked, scaled."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nst.engine import colours
from nst.errors import UsageError
from nst.pictures.mask_planes import LEAST_MEAN
from nst.pictures.resize import resize, scaled_size, scaled_style_size
from nst.settings import Settings


@dataclass(frozen=True)
class TransferInputs:
    """Content, styles and masks.

    size: (height, width) of the picture to make, in pixels.
    content: (H, W, 3) sRGB, 0..255; None where there is no content cost and no content.
    styles: (h, w, 3) each, of any size; none where there is no style cost.
    content_masks: (H, W) float32, 0..1, one for each style, or none: where in the picture that
        style goes. style_masks: (h, w), likewise: where in the style picture it is taken from.
    style_shares: how much each style counts; they sum to 1.
    style_sizes: the long side requested for each style, in pixels, where its file may have been
        smaller; none if they have the size requested.
    visible: (H, W) float32, 0..1, how much each pixel of the picture counts in the costs; None
        where the content is opaque.

    Raises UsageError for masks or sizes of another number than the styles, and for masks of another
    size than their picture or of values that make no sense.
    """

    size: tuple[int, int]
    content: np.ndarray | None
    styles: tuple[np.ndarray, ...]
    content_masks: tuple[np.ndarray, ...] = ()
    style_masks: tuple[np.ndarray, ...] = ()
    style_shares: tuple[float, ...] = ()
    style_sizes: tuple[float, ...] = ()
    visible: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.styles)
        if not self.style_shares:
            object.__setattr__(self, "style_shares", (1 / max(count, 1),) * count)
        _check_masks("content_mask", self.content_masks, [self.size] * count)
        _check_masks("style_mask", self.style_masks, [style.shape[:2] for style in self.styles])
        if len(self.style_sizes) not in (0, count):
            raise UsageError(f"style_sizes: {len(self.style_sizes)} for {count} styles")
        if self.visible is not None:
            _check_masks("visible", [self.visible], [self.size])

    @property
    def regions(self) -> tuple[np.ndarray, ...]:
        """Where the styles are compared, (H, W) each: a mask for each style, one for all, or none.

        What is not visible is in no region.
        """
        if self.visible is None:
            return self.content_masks
        if not self.content_masks:
            return (self.visible,)
        return tuple(np.minimum(mask, self.visible) for mask in self.content_masks)

    def scaled(self, factor: float) -> "TransferInputs":
        """Return everything resized by ``factor``, up to 1; the pictures themselves for 1."""
        if factor == 1:
            return self
        size = scaled_size(self.size, factor)
        long_sides = self.style_sizes or tuple(max(style.shape[:2]) for style in self.styles)
        style_sizes = [
            scaled_style_size(style.shape, long_side, factor)
            for style, long_side in zip(self.styles, long_sides)
        ]
        return TransferInputs(
            size=size,
            content=None if self.content is None else resize(self.content, size),
            styles=tuple(map(resize, self.styles, style_sizes)),
            content_masks=tuple(resize(mask, size) for mask in self.content_masks),
            style_masks=tuple(map(resize, self.style_masks, style_sizes)),
            style_shares=self.style_shares,
            style_sizes=tuple(long_side * factor for long_side in long_sides),
            visible=None if self.visible is None else resize(self.visible, size),
        )


def prepare_inputs(
    content: np.ndarray | None,
    style: np.ndarray | Sequence[np.ndarray],
    settings: Settings,
    content_masks: Sequence[np.ndarray] = (),
    style_masks: Sequence[np.ndarray] = (),
    style_sizes: Sequence[float] = (),
    visible: np.ndarray | None = None,
) -> TransferInputs:
    """Return the inputs at full size, in the colours that the transfer is to see.

    Arguments as of ``nst_utils.transfer_style``. Raises UsageError where one is missing, and as
    TransferInputs does.
    """
    styles = [style] if isinstance(style, np.ndarray) else list(style)
    mode = settings.preserve_colors
    if settings.beta and not styles:
        raise UsageError("style: give one, or beta 0")
    if content is not None:
        height, width = content.shape[:2]
        _check_masks("style_mask", style_masks, [picture.shape[:2] for picture in styles])
        if visible is not None:
            _check_masks("visible", [visible], [(height, width)])
        of_styles: list[np.ndarray | None] = [*style_masks] or [None] * len(styles)
        styles = [
            colours.prepare_style(picture, content, mode, mask, visible)
            for picture, mask in zip(styles, of_styles)
        ]
        content = colours.prepare(content, mode)
    elif settings.texture_size is not None:
        height, width = settings.texture_size
    else:
        raise UsageError("content: give one, or set alpha to 0 and image_size to (width, height)")
    return TransferInputs(
        size=(height, width),
        content=content,
        styles=tuple(styles),
        content_masks=tuple(content_masks),
        style_masks=tuple(style_masks),
        style_shares=settings.style_shares(len(styles)) if styles else (),
        style_sizes=tuple(style_sizes),
        visible=visible,
    )


def _check_masks(name: str, masks: Sequence[np.ndarray], sizes: Sequence[tuple[int, ...]]) -> None:
    """Raise UsageError unless each mask fits the picture of its style, (height, width)."""
    if len(masks) not in (0, len(sizes)):
        raise UsageError(
            f"{name}: {len(masks)} masks for {len(sizes)} styles; give one mask for each style, in "
            "their order"
        )
    for mask, size in zip(masks, sizes):
        if mask.shape != tuple(size):
            (height, width), (rows, columns) = mask.shape, size
            raise UsageError(
                f"{name}: {width} x {height} pixels, for a picture of {columns} x {rows}"
            )
        if not (mask.min() >= 0 and mask.max() <= 1 and mask.mean() >= LEAST_MEAN):  # NaN, too
            raise UsageError(f"{name}: must be from 0 to 1, and not 0 everywhere")


def digest(array: np.ndarray) -> bytes:
    """SHA-256 of shape and values, to know a picture or a mask again."""
    shape = np.array(array.shape).tobytes()
    return hashlib.sha256(shape + np.ascontiguousarray(array).data.tobytes()).digest()
