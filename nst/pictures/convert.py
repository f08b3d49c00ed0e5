"""Levels of a picture -> sRGB, as its colour tags say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageFile

from nst.pictures import icc, png_levels
from nst.pictures.colour_space import SRGB, ColourSpace, srgb_converter
from nst.pictures.colour_tags import ColourTags, read_tags
from nst.pictures.deep_levels import BLOCK, DeepLevels
from nst.pictures.levels import low_levels_note
from nst.pictures.tiff import TiffPicture

NO_INKS = "CMYK without a usable ICC profile: its colours are approximate"


def to_srgb(image: Image.Image, tags: ColourTags, notes: list[str]) -> Image.Image:
    """Convert an image of mode L, RGB, CMYK or LAB to sRGB, mode RGB.

    ``notes`` get what was guessed or left out.
    """
    if transform := _profile_transform(image, tags, notes):
        return transform.apply(
            image if image.mode == transform.mode else image.convert(transform.mode)
        )
    if image.mode == "LAB":
        return icc.lab_transform().apply(image)
    if image.mode == "CMYK":
        notes.append(NO_INKS)
    if image.mode == "CMYK" or tags.space == SRGB:
        return image.convert("RGB")
    pixels = np.array(image)
    levels = pixels[..., np.newaxis] if image.mode == "L" else pixels  # (H, W, 1 or 3)
    convert = _space_converter(tags.space, levels, notes)
    rows = max(1, BLOCK // image.width)
    for top in range(0, image.height, rows):
        levels[top : top + rows] = convert(levels[top : top + rows])
    return Image.fromarray(pixels).convert("RGB")


def deep_to_srgb(
    path: Path, file: ImageFile.ImageFile, shrink: int, notes: list[str]
) -> Image.Image | None:
    """A PNG or TIFF in sRGB, mode RGB or RGBA: converted before its levels are cut to 8 bits.

    file: opened, but not loaded yet. shrink: pixels along the sides of squares that are averaged.

    None for pictures that 8 bits of one of Pillow's modes hold, and for those that need no
    conversion.
    """
    if isinstance(file, TiffPicture):
        return _deep_tiff(path, file, shrink, notes)
    return _deep_png(path, file, shrink, notes)


def _deep_tiff(path: Path, file: TiffPicture, shrink: int, notes: list[str]) -> Image.Image | None:
    if not file.is_deep:
        return None
    said: list[str] = []
    tags = read_tags(path, file, said)
    if file.mode in ("L", "RGB") and tags == ColourTags():
        return None
    deep = file.levels()
    image, _ = deep.to_eight_bit(_deep_converter(deep, tags, said), shrink)
    notes += said + file.notes
    return image


def _deep_png(
    path: Path, file: ImageFile.ImageFile, shrink: int, notes: list[str]
) -> Image.Image | None:
    if file.format != "PNG" or file.fp is None:
        return None
    chunks = png_levels.read_chunks(file.fp)
    if png_levels.bit_depth(chunks) != 16:
        return None
    said: list[str] = []
    tags = read_tags(path, file, said)
    if file.mode == "I;16" and tags == ColourTags():
        return None
    deep = png_levels.DeepPNG(file, chunks)
    image, highest = deep.to_eight_bit(_deep_converter(deep, tags, said), shrink)
    notes += said + low_levels_note(highest, 65535) + getattr(file, "notes", [])
    return image


def _deep_converter(
    deep: DeepLevels, tags: ColourTags, notes: list[str]
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from (h, W, channels) uint16 levels to (h, W, 3) uint8, or (h, W, 1) for grey."""
    sample = deep.sample()
    transform = _profile_transform(_eight_bit(sample, deep.mode), tags, notes)
    if transform is None and deep.mode == "LAB":
        transform = icc.lab_transform()
    if transform is None and deep.mode == "CMYK":
        notes.append(NO_INKS)
        return lambda levels: np.asarray(_eight_bit(levels, "CMYK").convert("RGB"))
    if transform is None:
        return _space_converter(tags.space, sample, notes)
    channels = len(transform.mode)

    def convert(levels: np.ndarray) -> np.ndarray:
        if levels.shape[-1] > channels:
            levels = levels[..., :channels]  # a grey picture in three channels
        elif levels.shape[-1] < channels:
            levels = np.repeat(levels, channels, axis=-1)
        return transform.apply_deep(levels)

    return convert


def _eight_bit(levels: np.ndarray, mode: str) -> Image.Image:
    """The nearest levels of 8 bits. levels: (h, W, channels) uint16."""
    return icc.image_of(((levels.astype(np.uint32) + 128) // 257).astype(np.uint8), mode)


def _space_converter(
    space: ColourSpace, sample: np.ndarray, notes: list[str]
) -> Callable[[np.ndarray], np.ndarray]:
    """The converter of a colour space; ``notes`` get that a picture is HDR."""
    if space.hdr:
        notes.append(f"an HDR picture ({space.hdr}): its highlights were compressed")
    return srgb_converter(space, sample)


def _profile_transform(
    image: Image.Image, tags: ColourTags, notes: list[str]
) -> icc.Transform | None:
    """The transform by the ICC profile of an image, which may be for another mode.

    None if it has no ICC profile, or one that is damaged or for other pictures.
    """
    if tags.icc is None:
        return None
    try:
        profile = icc.Profile(tags.icc)
        reason = profile.unfit(image)
        if reason is None:
            return profile.transform()
    except (ImageCms.PyCMSError, OSError):
        reason = "is damaged"
    notes.append(f"its ICC profile {reason}; it was left out")
    return None
