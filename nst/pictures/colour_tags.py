"""What a picture file says of its colours: which of its tags decides, and what they mean."""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import ImageFile
from PIL.ImageCms import PyCMSError

from nst.pictures import bmp, isobmff, png_levels
from nst.pictures.colour_space import (
    ADOBE,
    BT709,
    D65,
    ROMM,
    SRGB,
    ColourSpace,
    Primaries,
    from_codes,
    power,
    romm_to_light,
    srgb_to_light,
)
from nst.pictures.icc import Profile

# EXIF and TIFF tags
WHITE_POINT, CHROMATICITIES = 0x013E, 0x013F
EXIF_IFD, COLOUR_SPACE, GAMMA = 0x8769, 0xA001, 0xA500
INTEROPERABILITY_IFD, INTEROPERABILITY_INDEX = 0xA005, 1
EXIF_SRGB, EXIF_ADOBE, UNCALIBRATED = 1, 2, 0xFFFF
# Cameras name pictures in Adobe RGB so (JEITA CP-3461), and without the first _ those in sRGB.
ADOBE_NAME = re.compile(r"_\w{3}\d{4}\.jpe?g", re.IGNORECASE)

SCREEN_GAMMA = 1 / 2.2
ADOBE_GAMMA = 563 / 256
TOLERANCE = 0.05  # of a gamma that counts as that of a screen, as libpng has it
LEAST_GAMMA = 0.05  # and at most 20
NEAR = 0.003  # of chromaticities that count as the same
UNSPECIFIED = (2, 2)  # by ITU-T H.273
BOX_FORMATS = ("AVIF", "HEIF", "JPEG2000")
# Colour spaces of JPEG 2000 that Pillow reads: bilevel, CMYK, sRGB, grey, sYCC; and ROMM
CONVERTED, ROMM_ENUMERATED = (0, 12, 15, 16, 17, 18), 21


@dataclass(frozen=True)
class ColourTags:
    """What the levels of a picture stand for: a usable ICC profile decides, or else ``space``."""

    icc: bytes | None = None
    space: ColourSpace = SRGB


def read_tags(path: Path, file: ImageFile.ImageFile, notes: list[str]) -> ColourTags:
    """What the file at ``path``, which is opened as ``file``, says of its colours.

    ``notes`` get what was guessed or left out. Raises ValueError for a colour space of JPEG 2000
    that nothing here converts.
    """
    icc: bytes | None = file.info.get("icc_profile")
    space = None
    if file.format == "PNG":
        with open(path, "rb") as stream:
            chunks = png_levels.read_chunks(stream)
        if codes := _png_codes(chunks, notes):
            return ColourTags(space=codes)
        space = _png_space(chunks, notes)
    elif file.format == "BMP":
        icc, space = _bmp_tags(path, notes)
    elif file.format in BOX_FORMATS:
        icc, space = _box_tags(path, icc, notes)
    if icc:
        return _hdr_profile(icc) or ColourTags(icc, space or SRGB)
    # Without EXIF data, Pillow would decode a whole PNG to look for some behind its pixels.
    has_exif = file.format != "PNG" or "exif" in file.info
    if space is None and has_exif and file.mode not in ("CMYK", "LAB"):
        space = _exif_space(path, file, notes)
    return ColourTags(space=space or SRGB)


def _hdr_profile(icc: bytes) -> ColourTags | None:
    """The colours of an ICC profile of an HDR picture, which curves cannot tell; None otherwise."""
    try:
        codes = Profile(icc).video_codes()
    except (PyCMSError, OSError, struct.error):
        return None
    space = from_codes(*codes) if codes else None
    return ColourTags(space=space) if space and space.hdr else None


def _png_codes(chunks: dict[bytes, bytes], notes: list[str]) -> ColourSpace | None:
    """The colour space of the chunk cICP; None without one that is understood."""
    data = chunks.get(b"cICP", b"")
    if len(data) < 4 or (data[0], data[1]) == UNSPECIFIED:
        return None
    primaries, transfer, matrix, full = data[:4]
    space = from_codes(primaries, transfer, narrow=full == 0) if matrix == 0 else None
    if space is None:
        numbers = f"{primaries}, {transfer}, {matrix}, {full}"
        notes.append(f"its chunk cICP ({numbers}) is not understood; it was left out")
    return space


def _png_space(chunks: dict[bytes, bytes], notes: list[str]) -> ColourSpace | None:
    """The colour space of the chunks sRGB, gAMA and cHRM; None if they say nothing."""
    if b"sRGB" in chunks:
        return SRGB
    gamma = None
    if len(data := chunks.get(b"gAMA", b"")) >= 4:
        gamma = struct.unpack_from(">I", data)[0] / 100_000
        if not LEAST_GAMMA <= gamma <= 1 / LEAST_GAMMA:
            notes.append(f"its chunk gAMA says {gamma:g}, which cannot be; it was left out")
            gamma = None
    primaries = BT709
    if len(data := chunks.get(b"cHRM", b"")) >= 32:
        x_y = [value / 100_000 for value in struct.unpack_from(">8I", data)]
        primaries = _primaries(x_y[2:], x_y[:2])
    return _told_space(primaries, 1 / gamma if gamma else None, notes)


def _bmp_tags(path: Path, notes: list[str]) -> tuple[bytes | None, ColourSpace | None]:
    """The ICC profile and the colour space of the header of a BMP."""
    with open(path, "rb") as file:
        told = bmp.read_colours(file)
    if told.linked:
        notes.append("its ICC profile is in another file, which is not read")
    primaries = _primaries(told.endpoints, D65) if told.endpoints else BT709
    is_gamma = LEAST_GAMMA <= told.gamma <= 1 / LEAST_GAMMA
    return told.icc, _told_space(primaries, told.gamma if is_gamma else None, notes)


def _told_space(primaries: Primaries, gamma: float | None, notes: list[str]) -> ColourSpace | None:
    """The colour space of numbers in a file; None if they are those that sRGB is told by, too."""
    like_srgb = gamma is None or abs(gamma * SCREEN_GAMMA - 1) <= TOLERANCE
    if primaries == BT709 and like_srgb:
        return None
    to_light = srgb_to_light if gamma is None else partial(power, gamma)
    try:
        return ColourSpace(primaries, to_light)
    except ValueError:
        notes.append("its primaries span no colours; they were left out")
        return None if like_srgb else ColourSpace(BT709, to_light)


def _primaries(colours: Sequence[float], white: Sequence[float]) -> Primaries:
    """Six numbers of red, green and blue, and two of white, as primaries; BT709 if near to it."""
    numbers = (*colours, *white)
    primaries = tuple((numbers[i], numbers[i + 1]) for i in range(0, 8, 2))
    known = [number for pair in BT709 for number in pair]
    is_near = all(abs(one - other) <= NEAR for one, other in zip(numbers, known))
    return BT709 if is_near else primaries


def _box_tags(
    path: Path, icc: bytes | None, notes: list[str]
) -> tuple[bytes | None, ColourSpace | None]:
    """The ICC profile, which is ``icc`` if there is one, and the colour space of the boxes."""
    try:
        with open(path, "rb") as file:
            colours = isobmff.read_colours(file)
    except (struct.error, IndexError):
        notes.append("its boxes are damaged; its colours are taken for sRGB")
        colours = []
    for colour in colours:
        icc = icc or colour.icc
        if colour.video and colour.video != UNSPECIFIED:
            space = from_codes(*colour.video)
            if space is None:
                notes.append(f"its colours are of an unknown kind {colour.video}; taken for sRGB")
            elif space.hdr and icc:
                notes.append(f"its ICC profile decides, though its tags call it HDR ({space.hdr})")
            return icc, space
        if colour.enumerated == ROMM_ENUMERATED:
            return icc, ColourSpace(ROMM, romm_to_light)
        if colour.enumerated not in (None, *CONVERTED) and not icc:
            raise ValueError(f"colour space {colour.enumerated} of JPEG 2000 is not read")
    return icc, None


def _exif_space(path: Path, file: ImageFile.ImageFile, notes: list[str]) -> ColourSpace | None:
    """The colour space of EXIF data or tags of TIFF; None if they say sRGB or nothing."""
    try:
        main = file.getexif()
        exif = main.get_ifd(EXIF_IFD)
        index = str(main.get_ifd(INTEROPERABILITY_IFD).get(INTEROPERABILITY_INDEX, "")).strip("\0 ")
        number = exif.get(COLOUR_SPACE)
        x_y = [float(x) for tag in (CHROMATICITIES, WHITE_POINT) for x in main.get(tag, ())]
        gamma = float(exif.get(GAMMA, 1 / SCREEN_GAMMA))
        if number == EXIF_SRGB:
            return None
        named = number == UNCALIBRATED and not index and ADOBE_NAME.fullmatch(path.name)
        if number == EXIF_ADOBE or index == "R03" or named:
            notes.append(
                "no ICC profile: taken for Adobe RGB, as its EXIF data and name suggest"
                if named
                else "no ICC profile: taken for Adobe RGB, as its EXIF data say"
            )
            return ColourSpace(ADOBE, partial(power, ADOBE_GAMMA))
        if len(x_y) == 8 and (primaries := _primaries(x_y[:6], x_y[6:])) != BT709 and gamma > 0:
            space = ColourSpace(primaries, partial(power, gamma))
            notes.append("no ICC profile: converted from the primaries in its metadata")
            return space
    except Exception:  # damaged EXIF data raises almost anything
        return None
    if number == UNCALIBRATED and index != "R98":
        notes.append("its EXIF data leave its colour space open; taken for sRGB")
    return None
