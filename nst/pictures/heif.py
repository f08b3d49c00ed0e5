"""HEIC and HEIF, by pi-heif, which is kept from files that would crash it."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import ImageFile

from nst.errors import PictureError
from nst.pictures.missing_package import REQUIRED, missing_package

BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
MAX_META = 2**24  # bytes of the box that describes the pictures


def open_heif(path: Path, file: BinaryIO) -> ImageFile.ImageFile:
    """Open a HEIC or HEIF; it is turned upright while it is decoded, and its EXIF says so.

    Raises PictureError where pi-heif is not installed, and for a damaged list of items.
    """
    try:
        from pi_heif import HeifImageFile
    except ImportError:
        raise missing_package(path, "a HEIC picture", REQUIRED, "JPEG or PNG") from None
    if not all(_is_text(item) for item in _items(file)):
        raise PictureError(f"{path}: is a damaged HEIC picture; give a whole copy of it")
    file.seek(0)
    return HeifImageFile(file)


def _is_text(item: bytes) -> bool:
    """Whether type, name and kind of an item can be decoded; pi-heif crashes if not."""
    start = 10 if item[:1] == b"\3" else 8  # behind version, flags, number and protection
    try:
        item[start:].decode()
    except UnicodeDecodeError:
        return False
    return True


def _items(file: BinaryIO) -> Iterator[bytes]:
    """Yield the descriptions of the items of a file."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(16)
        size = int.from_bytes(head[:4])
        if size == 1:
            size = int.from_bytes(head[8:16])
        if head[4:8] == b"meta":
            file.seek(position + 12)
            meta = file.read(min(max(0, size - 12), MAX_META) if size else MAX_META)
            for name, content in _boxes(meta):
                if name == b"iinf":  # its version tells how wide the number of items is
                    entries = content[6 if content[:1] == b"\0" else 8 :]
                    yield from (item for kind, item in _boxes(entries) if kind == b"infe")
        if size < 8:
            return
        position += size


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, content) of the boxes in the content of another."""
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4])
        yield data[position + 4 : position + 8], data[position + 8 : position + max(8, size)]
        if size < 8:
            return
        position += size
