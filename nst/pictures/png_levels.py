"""What Pillow leaves out of PNG: the chunk cICP, levels of 16 bits, keys of any depth."""

import struct
from collections.abc import Iterator
from typing import IO

import numpy as np
from PIL import Image, ImageFile

from nst.pictures.deep_levels import DeepLevels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
WANTED = (b"IHDR", b"cICP", b"cHRM", b"gAMA", b"sRGB", b"tRNS")
MOST_BYTES = 64  # of a chunk that is wanted
GREY, RGB, GREY_ALPHA, RGB_ALPHA = 0, 2, 4, 6  # colour types
RAW_MODES = {  # of Pillow, each for one decoding
    GREY: ("I;16B",),
    RGB: ("RGB;16B", "RGB;16L"),
    GREY_ALPHA: ("RGBA",),
    RGB_ALPHA: ("RGBA;16B", "RGBA;16L"),
}


def read_chunks(file: IO[bytes]) -> dict[bytes, bytes]:
    """The WANTED chunks before the image data, the first of each; {} if it is no PNG.

    The file is left where it was.
    """
    before = file.tell()
    try:
        file.seek(0)
        return dict(reversed(list(_chunks(file))))
    finally:
        file.seek(before)


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    if file.read(8) != SIGNATURE:
        return
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in (b"IDAT", b"IEND"):
            return
        data = file.read(min(length, MOST_BYTES)) if name in WANTED else b""
        if name in WANTED and len(data) == min(length, MOST_BYTES):
            yield name, data
        file.seek(length - len(data) + 4, 1)


def bit_depth(chunks: dict[bytes, bytes]) -> int:
    """Bits of a sample."""
    return chunks[b"IHDR"][8]


def correct_key(file: ImageFile.ImageFile) -> None:
    """Bring the transparent level or colour of a grey or RGB PNG to the 8 bits of its levels.

    Pillow takes it from the file as it is there, in the depth of the file.
    """
    if file.format != "PNG" or file.fp is None:
        return
    chunks = read_chunks(file.fp)
    depth, colour_type = chunks[b"IHDR"][8:10]
    if b"tRNS" not in chunks or colour_type not in (GREY, RGB) or depth > 8:
        return
    most = 2**depth - 1  # bits beyond the depth do not count
    key = tuple((sample & most) * 255 // most for sample in _key(chunks, colour_type))
    file.info["transparency"] = key if colour_type == RGB else key[0]


def _key(chunks: dict[bytes, bytes], colour_type: int) -> tuple[int, ...]:
    return struct.unpack_from(">H" if colour_type == GREY else ">HHH", chunks[b"tRNS"])


class DeepPNG(DeepLevels):
    """The levels of a PNG of 16 bits.

    Pillow keeps the high bytes of colours alone. Here it decodes them twice: once the high bytes,
    once the low ones. Raises what Pillow raises for a damaged file.
    """

    def __init__(self, file: ImageFile.ImageFile, chunks: dict[bytes, bytes]) -> None:
        self._type = chunks[b"IHDR"][9]
        self._key = None
        if b"tRNS" in chunks and self._type in (GREY, RGB):
            self._key = np.array(_key(chunks, self._type), np.uint16)
        self.mode = "RGB" if self._type in (RGB, RGB_ALPHA) else "L"
        self.size = file.size
        self.opaque = self._key is None and self._type in (GREY, RGB)
        source = file.fp
        assert source is not None
        self._planes = [file]
        raw_modes = RAW_MODES[self._type]
        if len(raw_modes) > 1:
            source.seek(0)
            self._planes.append(Image.open(source, formats=("PNG",)))
        for plane, raw_mode in zip(self._planes, raw_modes):
            plane.tile = [tile._replace(args=raw_mode) for tile in plane.tile]
            plane.load()

    def rows(self, top: int, bottom: int) -> tuple[np.ndarray, np.ndarray | None]:
        box = (0, top, self.size[0], bottom)
        planes = [np.asarray(plane.crop(box)) for plane in self._planes]
        if self._type == GREY:
            samples = planes[0][..., np.newaxis]
        elif self._type == GREY_ALPHA:  # four bytes for each pixel
            samples = np.ascontiguousarray(planes[0]).view(">u2").astype(np.uint16)
        else:
            samples = planes[0].astype(np.uint16) << 8 | planes[1]
        if self._key is not None:
            return samples, np.where((samples == self._key).all(axis=-1), 0, 255).astype(np.uint8)
        if self.opaque:
            return samples, None
        return samples[..., :-1], np.rint(samples[..., -1] / 257).astype(np.uint8)
