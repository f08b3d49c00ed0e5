"""JPEG XL, by pillow-jxl-plugin: it decodes as it opens, so the size is read here before."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile

from nst.errors import PictureError
from nst.pictures.lazy_picture import LazyPicture
from nst.pictures.missing_package import OPTIONAL, missing_package
from nst.pictures.orientation import ORIENTATION_TAG, SIDEWAYS, UPRIGHT

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a"
HEAD_BYTES = 64  # of a codestream, that hold size and orientation
_RATIOS = ((1, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width : height


def is_jpeg_xl(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a JPEG XL."""
    return head.startswith((CODESTREAM, CONTAINER))


def open_jpeg_xl(path: Path, file: BinaryIO) -> ImageFile.ImageFile:
    """Open a JPEG XL; PictureError where the plugin is not installed, and for a damaged head."""
    try:
        import pillow_jxl  # noqa: F401
    except ImportError:
        raise missing_package(path, "a JPEG XL", OPTIONAL, "PNG or JPEG") from None
    head = _codestream_head(file)
    if head is None:
        raise PictureError(f"{path}: is a JPEG XL with a damaged head; give another picture")
    return _JpegXlPicture(file, *_size_and_orientation(head))


class _JpegXlPicture(LazyPicture):
    """A JPEG XL. Its orientation is that of the codestream; EXIF's only repeats it."""

    format = "JXL"

    def __init__(self, file: BinaryIO, size: tuple[int, int], orientation: int) -> None:
        self._upright = size[::-1] if orientation in SIDEWAYS else size
        super().__init__(file)

    def decode(self) -> Image.Image:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile

        assert self.fp is not None
        self.fp.seek(0)
        image = JXLImageFile(self.fp)
        image.load()
        if "icc_profile" in image.info:
            self.info["icc_profile"] = image.info["icc_profile"]
        if image.jpeg:  # a JPEG in another coat, whose pixels are not turned
            turn = UPRIGHT.get(image.getexif().get(ORIENTATION_TAG, 1))
            return image if turn is None else image.transpose(turn)
        return image


def _codestream_head(file: BinaryIO) -> bytes | None:
    """The first bytes of the codestream, which may be in a box; None if there is none."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith(CODESTREAM):
        return head
    position = 0
    while True:
        file.seek(position)
        box = file.read(16)
        if len(box) < 16:
            return None
        size, name, start = int.from_bytes(box[:4]), box[4:8], position + 8
        if size == 1:
            size, start = int.from_bytes(box[8:16]), position + 16
        if name in (b"jxlc", b"jxlp"):
            file.seek(start + 4 * (name == b"jxlp"))  # the number of the part comes first
            head = file.read(HEAD_BYTES)
            return head if head.startswith(CODESTREAM) else None
        if size < 8:
            return None
        position += size


def _size_and_orientation(head: bytes) -> tuple[tuple[int, int], int]:
    """(width, height) as coded, in pixels, and the EXIF orientation, from a codestream."""
    bits = _Bits(head[len(CODESTREAM) :])
    if small := bits.take(1):
        height = (bits.take(5) + 1) * 8
    else:
        height = bits.take((9, 13, 18, 30)[bits.take(2)]) + 1
    ratio = bits.take(3)
    if ratio:
        width = height * _RATIOS[ratio][0] // _RATIOS[ratio][1]
    elif small:
        width = (bits.take(5) + 1) * 8
    else:
        width = bits.take((9, 13, 18, 30)[bits.take(2)]) + 1
    orientation = 1
    if not bits.take(1) and bits.take(1):  # not all of the metadata is default; extra fields
        orientation = bits.take(3) + 1
    return (width, height), orientation


class _Bits:
    """Takes numbers out of bytes, the lowest bits first."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return value
