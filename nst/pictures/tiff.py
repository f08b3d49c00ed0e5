"""TIFF: which page is the picture, and who decodes it: Pillow where it is right, else tifffile."""

import contextlib
import itertools
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from nst.errors import PictureError
from nst.pictures.jpeg import read_structure
from nst.pictures.lazy_picture import LazyPicture
from nst.pictures.orientation import ORIENTATION_TAG, SIDEWAYS, upright
from nst.pictures.pixel_limits import MAX_PIXELS, MAX_SIDE
from nst.pictures.tiff_samples import MODES, Layout, TiffLevels

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPages

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
MAX_PAGES = 100  # that are looked at for the picture
MAX_TAGS = 4096  # of a page; tifffile reads no more
MAX_SAMPLES_BYTES = 3_200_000_000  # of all samples, decoded
MAX_TILE_BYTES = 2**28  # of a tile that is larger than the picture

REDUCED, MASK = 1, 4  # bits of NewSubfileType
CFA, LINEAR_RAW, DNG_VERSION = 32803, 34892, 50706
UNSIGNED, FLOAT = 1, 3  # SampleFormat; others: 2 signed, 4 undefined, 5 and 6 complex
PHOTOMETRICS = {
    0: "white is zero",
    1: "black is zero",
    2: "RGB",
    3: "palette",
    5: "CMYK",
    6: "YCbCr",
    8: "CIELAB",
    9: "ICCLAB",
}
NO_COMPRESSION, OLD_JPEG, JPEG = 1, 6, 7
JPEG2000 = (33003, 33004, 33005, 34712)
# Number -> name of what Pillow decodes, and of what tifffile does. Left out is what takes an amount
# of memory that is not known beforehand.
OF_PILLOW = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000, 50001)
OF_TIFFFILE = (1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000, *JPEG2000)
OF_PREDICTORS = (5, 8, 32946, 34925, 50000)  # where Pillow heeds a predictor
# (photometric, samples, extra samples) of 8 bits, one pixel after the other, that Pillow decodes.
PILLOW_8_BIT = {
    (0, 1, ()),
    (1, 1, ()),
    (1, 2, (1,)),
    (1, 2, (2,)),
    (2, 3, ()),
    (2, 4, ()),
    (2, 4, (1,)),
    (2, 4, (2,)),
    (2, 4, (999,)),
    (5, 4, ()),
    (6, 3, ()),
    (8, 3, ()),
}

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # failures are raised as exceptions


def is_tiff(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a TIFF (or of a camera RAW file)."""
    return head[:4] in MAGICS


def open_tiff(path: Path, file: BinaryIO) -> ImageFile.ImageFile | None:
    """Open the picture in a TIFF; None if it is a camera RAW file.

    Raises PictureError for what would not be decoded rightly.
    """
    from tifffile import TiffFile  # late: few runs need it

    if _first_side(file) > MAX_SIDE:
        raise PictureError(f"{path}: has more than {MAX_SIDE:,} pixels along a side; it is damaged")
    file.seek(0)
    tiff = TiffFile(file, name=path.name)
    pages = list(itertools.islice(_pages(tiff), MAX_PAGES))
    if any(page.photometric in (CFA, LINEAR_RAW) or DNG_VERSION in page.tags for page in pages):
        return None
    if not pages:
        raise PictureError(f"{path}: is a TIFF without a picture; give another one")
    full = [page for page in pages if not _kind(page) & (REDUCED | MASK)]
    page = full[0] if full else max(pages, key=_pixels)
    reason = _reason_against(page)
    if reason:
        raise PictureError(f"{path}: is a TIFF {reason}; save it as 8 or 16-bit RGB TIFF or as PNG")
    copies = [other for other in pages if _is_copy(other, page)]
    if page is tiff.pages.first and _pillow_is_right(page) and not copies:
        file.seek(0)
        with contextlib.suppress(UnidentifiedImageError):  # as of big-endian BigTIFF
            return Image.open(file, formats=("TIFF",))
    if page.compression not in OF_TIFFFILE:
        raise PictureError(
            f"{path}: is a TIFF with compression {_name(page.compression)}, which is not read for "
            "this kind of picture; save it with LZW or without compression"
        )
    return TiffPicture(path, file, page, copies)


class TiffPicture(LazyPicture):
    """A page that tifffile decodes.

    copies: reduced ones of a page that is too large.
    """

    format = "TIFF"

    def __init__(
        self, path: Path, file: BinaryIO, page: "TiffPage", copies: list["TiffPage"]
    ) -> None:
        self._path, self._page, self._copies = path, page, copies
        self.is_reducible = bool(copies)
        self._orientation = int(page.tags.valueof(274, 1))
        width, height = page.imagewidth, page.imagelength
        self._upright = (height, width) if self._orientation in SIDEWAYS else (width, height)
        super().__init__(file)
        self._mode = MODES[_layout(page).kind]
        profile = page.tags.valueof(34675)
        if isinstance(profile, bytes):
            self.info["icc_profile"] = profile

    def draft(self, mode: str | None, size: tuple[int, int] | None) -> None:
        """Take the smallest copy of at least ``size``."""
        width, height = size or self.size
        if self._orientation in SIDEWAYS:
            width, height = height, width
        enough = [
            copy for copy in self._copies if copy.imagewidth >= width and copy.imagelength >= height
        ]
        if enough:
            self._page = min(enough, key=_pixels)
            width, height = self._page.imagewidth, self._page.imagelength
            self.notes.append(f"read from its reduced copy of {width} x {height}")
            self._size = (height, width) if self._orientation in SIDEWAYS else (width, height)

    @property
    def is_deep(self) -> bool:
        """Whether 8 bits in a mode of Pillow's would not hold all of it."""
        return self.mode in ("CMYK", "LAB") or self._page.bitspersample > 8

    def levels(self) -> TiffLevels:
        """The pixels at their full depth, turned upright."""
        samples = upright(self._samples(), self._orientation)
        return TiffLevels(samples, _layout(self._page), self.notes)

    def decode(self) -> Image.Image:
        """For pictures that are not LAB or CMYK."""
        return self.levels().to_image()

    def getexif(self) -> Image.Exif:
        """The tags of the page and of its EXIF data, without the orientation: it is upright."""
        exif = Image.Exif()
        exif.endian, exif.bigtiff = self._page.parent.byteorder, self._page.parent.is_bigtiff
        with contextlib.suppress(Exception):  # damaged ones raise almost anything
            assert self.fp is not None
            exif.load_from_fp(self.fp, self._page.offset)
            exif.pop(ORIENTATION_TAG, None)
        return exif

    def numbers(self) -> np.ndarray | None:
        """The integers of a palette or deep grey picture, (H, W), upright; None for other kinds."""
        layout, samples = _layout(self._page), self._samples()
        deep = layout.kind == "black is zero" and layout.bits > 8
        if samples.shape[2] != 1 or samples.dtype.kind not in "iu":
            return None
        return (
            upright(samples[:, :, 0], self._orientation)
            if deep or layout.kind == "palette"
            else None
        )

    def _samples(self) -> np.ndarray:
        """The samples as they are in the file, (H, W, channels)."""
        page = self._page
        _check_memory(self._path, page)
        _check_codestreams(self._path, page)
        try:
            samples = page.asarray(squeeze=False, maxworkers=1)
        except (ImportError, ValueError) as error:
            if "imagecodecs" not in str(error):
                raise
            raise PictureError(
                f"{self._path}: is a TIFF that needs the package imagecodecs: "
                "pip install -r requirements.txt; or save it without compression"
            ) from None
        # (plane, depth 1, H, W, sample) -> (H, W, channel); one of plane and sample is 1
        return samples[:, 0].transpose(1, 2, 0, 3).reshape(*samples.shape[2:4], -1)


def _first_side(file: BinaryIO) -> int:
    """The longer side of the first page, in pixels; tifffile takes minutes to open a huge one."""
    head = file.read(16)
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    is_big = 43 in head[2:4]
    word, count_bytes, entry = (8, 8, 20) if is_big else (4, 2, 12)
    file.seek(int.from_bytes(head[word : 2 * word], order))
    count = int.from_bytes(file.read(count_bytes), order)
    tags = file.read(entry * min(count, MAX_TAGS))
    sides = [0]
    for at in range(0, len(tags), entry):
        if int.from_bytes(tags[at : at + 2], order) in (256, 257):  # ImageWidth, ImageLength
            size = {1: 1, 3: 2, 4: 4, 16: 8}.get(int.from_bytes(tags[at + 2 : at + 4], order), 0)
            value = tags[at + 4 + word : at + 4 + word + size]
            sides.append(int.from_bytes(value, order))
    return max(sides)


def _pages(tiff: "TiffFile") -> Iterator["TiffPage"]:
    """The first pages of a file, and those below them, which raw files and pyramids have."""
    for page in _chain(tiff.pages):
        yield page
        if page.subifds:
            with contextlib.suppress(Exception):  # any error of a damaged list
                yield from _chain(page.pages)


def _chain(pages: "TiffPages | None") -> Iterator["TiffPage"]:
    """The pages that follow each other, up to one that is damaged."""
    for index in range(MAX_PAGES if pages is not None else 0):
        try:
            page = pages[index]  # type: ignore[index]
        except Exception:  # the end, or any error of a damaged list
            if index == 0:
                raise
            return
        yield page  # type: ignore[misc]


def _kind(page: "TiffPage") -> int:
    """NewSubfileType of a page; the older SubfileType 2 stands for a reduced copy, too."""
    old = REDUCED if page.tags.valueof(255, 0) == 2 else 0
    return int(page.tags.valueof(254, old))


def _is_copy(other: "TiffPage", page: "TiffPage") -> bool:
    """Whether a page is a reduced copy of one that is too large to be read as it is."""
    width, height = page.imagewidth, page.imagelength
    skew = other.imagewidth * height - other.imagelength * width
    return (
        _pixels(page) > MAX_PIXELS > _pixels(other)
        and _kind(other) & (REDUCED | MASK) == REDUCED
        and abs(skew) <= 2 * max(width, height)  # sides are rounded to whole pixels
        and other.compression in OF_TIFFFILE
        and (other.photometric, other.samplesperpixel, other.bitspersample, other.sampleformat)
        == (page.photometric, page.samplesperpixel, page.bitspersample, page.sampleformat)
        and not _reason_against(other)
    )


def _pixels(page: "TiffPage") -> int:
    return page.imagewidth * page.imagelength


def _name(value: int) -> str:
    """The name of a value of a tag where tifffile knows it, else its number."""
    return str(getattr(value, "name", int(value)))


def _reason_against(page: "TiffPage") -> str:
    """Why a page cannot be read rightly, to follow the word TIFF; empty for one that can."""
    bits = page.bitspersample
    photometric = page.photometric
    if 0 in page.shaped:
        return "without pixels"
    if page.imagedepth != 1 or page.tiledepth > 1:
        return "of a volume"
    if page.tags.valueof(262) is not None and photometric not in PHOTOMETRICS:
        return f"of the colour kind {_name(photometric)}, which is not read"
    if page.tags.valueof(332, 1) != 1 and photometric == 5:
        return "with other inks than CMYK"
    if isinstance(bits, tuple):
        return f"of different depths ({', '.join(map(str, bits))} bits)"
    is_odd = bits > 16 and bits not in (32, 64) and page.sampleformat != FLOAT
    if page.sampleformat not in (0, 1, 2, 3, 4) or page.dtype is None or is_odd:
        return f"of numbers that are not read ({bits} bits, sample format {page.sampleformat})"
    if page.samplesperpixel < {2: 3, 5: 4, 6: 3, 8: 3, 9: 3}.get(photometric, 1):
        return f"of the colour kind {_name(photometric)} with too few channels"
    if photometric == 3 and (page.colormap is None or page.dtype.kind not in "bu"):
        return "without its palette"
    is_plain = not page.is_subsampled and page.compression not in (OLD_JPEG, JPEG, *JPEG2000)
    if photometric == 6 and not (_pillow_is_right(page) or _becomes_rgb(page) or is_plain):
        return "of the colour kind YCbCr of a layout that is not read"
    segments = math.prod(page.chunked)
    offsets, counts = page.dataoffsets, page.databytecounts
    size = page.parent.filehandle.size
    if min(len(offsets), len(counts)) < segments or not all(
        0 < offset < size and 0 < count <= size
        for offset, count in zip(offsets[:segments], counts[:segments])
    ):
        return "of which parts are missing"
    return ""


def _pillow_is_right(page: "TiffPage") -> bool:
    """Whether Pillow decodes a page rightly: what is whole below 8 bits, and common at 8."""
    tags = page.tags
    if tags.valueof(262) is None or page.sampleformat not in (0, UNSIGNED):
        return False
    if page.compression not in OF_PILLOW or page.planarconfig == 2:
        return False
    if page.predictor != 1 and page.compression not in OF_PREDICTORS:
        return False  # it would leave the differences as they are
    if page.compression == NO_COMPRESSION and page.photometric == 6:
        return False
    extras = tuple(map(int, page.extrasamples))
    if page.bitspersample in (1, 2, 4):
        return page.photometric in (0, 1) and page.samplesperpixel == 1
    return (
        page.bitspersample == 8
        and (int(page.photometric), page.samplesperpixel, extras) in PILLOW_8_BIT
    )


def _becomes_rgb(page: "TiffPage") -> bool:
    """Whether tifffile converts YCbCr to RGB while it decodes."""
    return page.photometric == 6 and page.compression == JPEG and page.planarconfig == 1


def _layout(page: "TiffPage") -> Layout:
    """What the tags tell of the samples that tifffile returns."""
    tags = page.tags
    photometric = int(page.photometric)
    if tags.valueof(262) is None:  # as libtiff guesses
        photometric = 2 if page.samplesperpixel >= 3 else 1
    return Layout(
        kind="RGB" if _becomes_rgb(page) else PHOTOMETRICS[photometric],
        bits=int(page.bitspersample),
        extras=tuple(map(int, page.extrasamples)),
        palette=page.colormap if photometric == 3 else None,
        luma=tags.valueof(529),
        black_white=tags.valueof(532),
        guessed=tags.valueof(262) is None,
    )


def _check_memory(path: Path, page: "TiffPage") -> None:
    """Raise PictureError for samples or tiles that take too much memory."""
    assert page.dtype is not None
    in_memory = math.prod(page.shaped) * page.dtype.itemsize
    tile = page.tilewidth * page.tilelength * page.samplesperpixel * page.dtype.itemsize
    if in_memory > MAX_SAMPLES_BYTES or tile > max(in_memory, MAX_TILE_BYTES):
        raise PictureError(
            f"{path}: takes {max(in_memory, tile) / 1e9:.1f} GB to decode; save it as 8-bit TIFF, "
            "or make it smaller"
        )


def _check_codestreams(path: Path, page: "TiffPage") -> None:
    """Raise PictureError for JPEG and JPEG 2000 that are larger than the strip they stand for.

    Their decoders take the size out of the codestream.
    """
    if page.compression not in (JPEG, *JPEG2000):
        return
    width = page.tilewidth if page.is_tiled else page.imagewidth
    height = page.tilelength if page.is_tiled else page.rowsperstrip
    handle = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts):
        handle.seek(offset)
        data = handle.read(count)
        if page.compression == JPEG:
            structure = read_structure(data)
            size = structure.size
            if not structure.ended or structure.unrefined:
                raise PictureError(f"{path}: has a damaged part; give a whole copy of it")
        else:
            at = data.find(b"\xff\x4f\xff\x51") + 8
            right, bottom, left, top = (
                int.from_bytes(data[at + i : at + i + 4]) for i in range(0, 16, 4)
            )
            size = right - left, bottom - top
        if size[0] > width or size[1] > height:
            raise PictureError(f"{path}: has a part that is larger than its place; it is damaged")
