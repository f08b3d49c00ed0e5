"""Which reader opens a picture file, and what is said of a file that none does."""

from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile

from nst.errors import PictureError
from nst.pictures import heif
from nst.pictures.camera_raw import is_camera_raw, open_camera_raw
from nst.pictures.jpeg import is_jpeg, open_jpeg
from nst.pictures.jpeg2000 import Jpeg2000Picture, is_jpeg2000
from nst.pictures.jpeg_xl import is_jpeg_xl, open_jpeg_xl
from nst.pictures.png import SIGNATURE, open_png
from nst.pictures.tiff import is_tiff, open_tiff

# Formats that Pillow decodes safely. EPS would start another program; PDF is a document.
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
AVIF_BRANDS = frozenset((b"avif", b"avis"))


def open_picture(path: Path, file: BinaryIO, whole: bool = True) -> ImageFile.ImageFile:
    """Open the picture in a file; its pixels are decoded by its ``load``.

    whole: look for what is wrong beyond the head of the file, too.

    What it returns may have ``notes`` for the user. Raises PictureError, or what a reader raises.
    """
    head = file.read(16)
    file.seek(0)
    if is_jpeg(head):
        return open_jpeg(path, file, whole)
    if is_camera_raw(path, head, is_tiff(head)):
        return open_camera_raw(path, file)
    if is_tiff(head):
        return open_tiff(path, file) or open_camera_raw(path, file)
    if is_jpeg2000(head):
        return Jpeg2000Picture(file)
    if is_jpeg_xl(head):
        return open_jpeg_xl(path, file)
    if head.startswith(SIGNATURE) and (image := open_png(file)):
        return image
    if brands := _brands(file):
        if brands & AVIF_BRANDS:
            return Image.open(file, formats=("AVIF",))
        if brands & heif.BRANDS:
            return heif.open_heif(path, file)
        raise PictureError(f"{path}: is a video or audio file; give a picture")
    return Image.open(file, formats=FORMATS)


def _brands(file: BinaryIO) -> set[bytes]:
    """The brands of an ISO media file, the major one and the compatible ones; rewinds the file."""
    box = file.read(256)
    file.seek(0)
    if box[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(box[:4]), len(box))
    return {box[at : at + 4] for at in (8, *range(16, end, 4))}


def unknown_format(path: Path) -> str:
    """The reason against a file that no reader knows."""
    formats = "JPEG, PNG, HEIC, WebP, TIFF, BMP, GIF"
    return f"is not a picture that can be read ({formats} and a few more); give another file"
