"""Samples of a TIFF of any depth and colour kind -> levels as Pillow has them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nst.pictures.deep_levels import DeepLevels
from nst.pictures.levels import Levels, float_levels, low_levels_note, signed_levels

BLOCK_SAMPLES = 2**22  # that are converted at once
COLOURS = {
    "white is zero": 1,
    "black is zero": 1,
    "RGB": 3,
    "palette": 1,
    "CMYK": 4,
    "YCbCr": 3,
    "CIELAB": 3,
    "ICCLAB": 3,
}
MODES = {  # of Pillow
    "white is zero": "L",
    "black is zero": "L",
    "RGB": "RGB",
    "palette": "RGB",
    "CMYK": "CMYK",
    "YCbCr": "RGB",
    "CIELAB": "LAB",
    "ICCLAB": "LAB",
}
ASSOCIATED, UNASSOCIATED, UNASSOCIATED_OF_COREL = 1, 2, 999  # values of ExtraSamples
LUMA = (0.299, 0.587, 0.114)  # YCbCrCoefficients, unless the file has others


@dataclass(frozen=True)
class Layout:
    """What the tags of a page tell of its samples.

    kind: a key of COLOURS.
    bits: of each sample in the file.
    extras: ExtraSamples, a number for each channel behind the colours that it describes.
    palette: (3, 2**bits) uint16, or None.
    luma, black_white: of YCbCr, as (numerator, denominator, ...); None for the usual ones.
    guessed: whether the file does not tell its kind.
    """

    kind: str
    bits: int
    extras: tuple[int, ...] = ()
    palette: np.ndarray | None = None
    luma: Sequence[int] | None = None
    black_white: Sequence[int] | None = None
    guessed: bool = False


class TiffLevels(DeepLevels):
    """The levels of a TIFF, whatever numbers it holds."""

    def __init__(self, samples: np.ndarray, layout: Layout, notes: list[str]) -> None:
        """Prepare the conversion.

        samples: (H, W, channels) of any type of number.
        notes: for what is guessed or left out.

        Raises ValueError for samples that are not finite. For those that no palette entry has,
        ``rows`` and ``to_image`` raise it.
        """
        count = COLOURS[layout.kind]
        alpha, self._associated = _alpha_channel(samples.shape[2], layout, notes)
        if layout.guessed:
            notes.append(f"its colour kind is not told; it was read as {layout.kind}")
        self.opaque = alpha is None
        self.mode = MODES[layout.kind]
        self.size = samples.shape[1], samples.shape[0]
        self._inverted = layout.kind == "white is zero"
        self._colours = samples[:, :, :count]
        self._opacity = None if alpha is None else samples[:, :, alpha]
        if samples.dtype.kind == "f" and not all(
            np.isfinite(block).all() for block in _rows(samples)
        ):
            raise ValueError("it has pixels that are not finite numbers")
        self._convert = _converter(self._colours, layout, notes)
        if self._opacity is not None:
            self._opaque = _levels(self._opacity, layout.bits, None)

    def rows(self, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray | None]:
        colours, opacity = self._shown(slice(top, bottom))
        return np.rint(colours * 257).astype(np.uint16), opacity

    def to_image(self) -> Image.Image:
        """The picture with its levels cut to 8 bits, of mode L, LA, RGB or RGBA."""
        width, height = self.size
        mode = self.mode + ("" if self.opaque else "A")
        result = np.empty((height, width, len(mode)), np.uint8)
        rows = max(1, BLOCK_SAMPLES // (width * len(mode)))
        for start in range(0, height, rows):
            part = slice(start, start + rows)
            colours, opacity = self._shown(part)
            result[part, :, : len(self.mode)] = np.rint(colours)
            if opacity is not None:
                result[part, :, -1] = opacity
        return Image.frombytes(mode, (width, height), result.tobytes())

    def _shown(self, part: slice) -> tuple[np.ndarray, np.ndarray | None]:
        """Colours (h, W, channels), 0..255, and opacity (h, W) uint8 or None, of some rows."""
        block, opacity = self._convert(self._colours[part]), None
        if self._opacity is not None:
            share = self._opaque.share(self._opacity[part])
            if self._associated:
                zero = np.array((0, 128, 128) if self.mode == "LAB" else 0, np.float32)
                block = (block - zero) / np.maximum(share[:, :, np.newaxis], 1e-6) + zero
            opacity = np.rint(share * 255).astype(np.uint8)
        return np.clip(255 - block if self._inverted else block, 0, 255), opacity


def _rows(samples: np.ndarray) -> list[np.ndarray]:
    """The samples in parts of some rows, so that what is computed of them stays small."""
    step = max(1, BLOCK_SAMPLES // max(1, samples[0].size))
    return [samples[start : start + step] for start in range(0, len(samples), step)]


def _alpha_channel(channels: int, layout: Layout, notes: list[str]) -> tuple[int | None, bool]:
    """(index of the channel of opacity or None, whether the colours are multiplied by it)."""
    count = COLOURS[layout.kind]
    extra = channels - count
    found, associated = None, False
    kinds = layout.extras[-extra:] if extra else ()
    if not kinds and extra == 1 and layout.kind == "RGB":
        kinds = (UNASSOCIATED,)  # common in files that do not tell, and Pillow's rule
    for index, kind in enumerate(kinds):
        if kind in (ASSOCIATED, UNASSOCIATED, UNASSOCIATED_OF_COREL):
            found, associated = count + index, kind == ASSOCIATED
            break
    left_out = extra - (found is not None)
    if left_out:
        notes.append(
            f"what it holds beside its colours ({left_out} of {channels} channels) was left out"
        )
    return found, associated


def _converter(
    colours: np.ndarray, layout: Layout, notes: list[str]
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from (h, W, channels) samples to levels 0..255, float32, in the mode of MODES."""
    kind = layout.kind
    if kind == "palette":
        return _palette(layout)
    if kind in ("CIELAB", "ICCLAB"):
        return lambda block: _lab(block, layout)
    levels = _levels(colours, layout.bits, notes)
    if kind == "YCbCr":
        return lambda block: _from_ycbcr(levels.share(block) * 255, layout)
    return lambda block: levels.share(block) * 255


def _levels(samples: np.ndarray, bits: int, notes: list[str] | None) -> Levels:
    """The levels that stand for black and white. notes: None for those of opacity."""
    noted: list[str] = []
    if samples.dtype.kind == "b":
        return Levels(0, 1)
    low, high = float(samples.min()), float(samples.max())
    if samples.dtype.kind == "u":
        white = float(2**bits - 1)
        if bits > 16 and high <= 65535:  # 16-bit levels in wider numbers
            white = 255.0 if high <= 255 else 65535.0
            noted.append(f"its levels reach {high:g}; {white:g} was taken for white")
        elif bits > 8:
            noted += low_levels_note(high, white)
        levels = Levels(0, white)
    elif samples.dtype.kind == "i":
        levels = signed_levels(low, high, noted)
    else:
        levels = float_levels(low, high, noted)
    if notes is not None:
        notes += noted
    return levels


def _palette(layout: Layout) -> Callable[[np.ndarray], np.ndarray]:
    """The converter of a palette, whose levels are of 16 bits, in some files of 8."""
    assert layout.palette is not None
    table: np.ndarray = np.asarray(layout.palette, np.float32).T
    table = table if table.max(initial=0) < 256 else table / 257

    def convert(block: np.ndarray) -> np.ndarray:
        if block.max() >= len(table):
            raise ValueError("it has pixels without an entry in its palette")
        return table[block[:, :, 0].astype(np.intp)]

    return convert


def _lab(block: np.ndarray, layout: Layout) -> np.ndarray:
    """CIELAB or ICCLAB of 8, 16 or 32 bits -> L* 0..255 for 0..100, a* and b* + 128."""
    if block.dtype.kind == "f":  # L* 0..100, a* and b* as they are
        return block.astype(np.float32) * np.array((2.55, 1, 1)) + np.array((0, 128, 128))
    if layout.bits not in (8, 16):
        raise ValueError(f"{layout.kind} of {layout.bits} bits is not read")
    unit = 256 if layout.bits == 16 else 1
    result: np.ndarray = block.astype(np.float32)
    if layout.kind == "ICCLAB":
        return result / unit  # L* of 16 bits is 65280 for 100
    signed = block[:, :, 1:].astype(f"i{layout.bits // 8}")
    result[:, :, 0] /= 257 if layout.bits == 16 else 1
    result[:, :, 1:] = signed.astype(np.float32) / unit + 128
    return result


def _from_ycbcr(block: np.ndarray, layout: Layout) -> np.ndarray:
    """YCbCr of levels 0..255 -> RGB, by the coefficients and the reference levels of the file."""
    luma = LUMA if layout.luma is None else _fractions(layout.luma)
    black_white = layout.black_white
    reference = (0, 255, 128, 255, 128, 255) if black_white is None else _fractions(black_white)
    red_share, green_share, blue_share = luma
    y, blue, red = (
        (block[:, :, i] - reference[2 * i]) * span / (reference[2 * i + 1] - reference[2 * i])
        for i, span in enumerate((255, 127, 127))
    )
    r = y + red * (2 - 2 * red_share)
    b = y + blue * (2 - 2 * blue_share)
    return np.dstack([r, (y - blue_share * b - red_share * r) / green_share, b])


def _fractions(pairs: Sequence[int]) -> tuple[float, ...]:
    """(numerator, denominator, ...) as numbers."""
    return tuple(top / bottom for top, bottom in zip(pairs[::2], pairs[1::2]))
