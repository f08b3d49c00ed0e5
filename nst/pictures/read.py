"""A picture file, which may be damaged or hostile -> an sRGB array."""

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from nst.errors import MemoryLimitError, PictureError
from nst.files import file_hash
from nst.pictures.colour_tags import read_tags
from nst.pictures.convert import deep_to_srgb, to_srgb
from nst.pictures.formats import open_picture, unknown_format
from nst.pictures.lazy_picture import LazyPicture
from nst.pictures.levels import Levels, float_levels, low_levels_note, signed_levels
from nst.pictures.orientation import ORIENTATION_TAG, SIDEWAYS, UPRIGHT, upright
from nst.pictures.pixel_limits import MAX_PIXELS, MAX_REDUCED_PIXELS, MAX_RLE_PIXELS, MAX_SIDE
from nst.pictures.png_levels import correct_key
from nst.pictures.resize import over_white, scaled_size
from nst.pictures.tiff import TiffPicture
from nst.silence import silent_stderr, silent_warnings

# Formats that are decoded at a fraction of their size where that is enough.
REDUCIBLE = ("JPEG", "JPEG2000", "MPO")

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # failures are raised as exceptions

PHOTOMETRIC_TAG = 0x0106


@dataclass(frozen=True)
class Picture:
    """A picture ready for the network.

    path: of the file.
    sha256: of the file, hexadecimal.
    file_size: (width, height) in the file, turned upright, in pixels.
    rgb: (H, W, 3) uint8, sRGB; transparent parts are composited over white.
    transparency: (H, W) uint8, 0 transparent .. 255 opaque, or None for an opaque picture.
    notes: for the user, one sentence for each thing that was guessed or left out.
    orientation: of the file's EXIF data, 1 (upright) to 8, by which the picture was turned.
    """

    path: Path
    sha256: str
    file_size: tuple[int, int]
    rgb: np.ndarray
    transparency: np.ndarray | None
    notes: tuple[str, ...] = ()
    orientation: int = 1


def peek_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture, turned upright, from the head of its file.

    Raises PictureError for a file that its head shows to be unreadable.
    """
    with _picture_errors(path), silent_stderr(), open(path, "rb") as file:
        image = open_picture(path, file, whole=False)
        _check_size(path, image)
        width, height = image.size
        if image.format == "TIFF" or isinstance(image, LazyPicture):  # their size is upright
            return width, height
        if image.format == "PNG" and "exif" not in image.info:
            return width, height  # getexif would decode the whole picture to look for EXIF data
        if _orientation(image, []) in SIDEWAYS:
            return height, width
        return width, height


def size_as_read(
    size: tuple[int, int], long_side: int | None, factor: float = 1.0
) -> tuple[int, int]:
    """Return the (width, height) that ``read_picture`` gives a picture of ``size`` in its file."""
    return scaled_size(size, _scale(size, long_side, factor))


def _scale(size: tuple[int, int], long_side: int | None, factor: float) -> float:
    """The factor from the size in the file to the size as read."""
    return factor * (1.0 if long_side is None else min(1.0, long_side / max(size)))


def hash_picture(path: Path) -> Picture:
    """Return a picture with its hash but without pixels; raises PictureError."""
    with _picture_errors(path):
        return Picture(path, file_hash(path), (0, 0), np.empty((0, 0, 3), np.uint8), None)


def read_picture(path: Path, long_side: int | None = None, factor: float = 1.0) -> Picture:
    """Read the first frame of a picture, turned upright, converted to sRGB and resized.

    long_side: in pixels, never enlarged; None keeps the size in the file.
    factor: multiplies the resulting size and may enlarge it.

    Raises PictureError, naming the file, if it is not a complete picture.
    """
    with _picture_errors(path), open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        with silent_stderr():
            image = open_picture(path, file)
            return _decode(path, sha256, image, long_side, factor)


def read_numbers(path: Path) -> np.ndarray | None:
    """Read the integers in the file of a palette or deep grey picture, turned upright.

    Returns the palette indices, (H, W) uint8, or the grey levels of more than 8 bits, (H, W);
    None for pictures of other kinds, and where the file is not decoded here. For a file that
    ``read_picture`` has read.
    """
    with (
        contextlib.suppress(Exception),
        _picture_errors(path),
        silent_stderr(),
        open(path, "rb") as file,
    ):
        image = open_picture(path, file)
        if isinstance(image, TiffPicture):
            return image.numbers()
        tags = getattr(image, "tag_v2", {})  # of TIFF that Pillow decodes
        white_is_zero = tags.get(PHOTOMETRIC_TAG) == 0
        if image.mode != "P" and (not image.mode.startswith("I") or white_is_zero):
            return None
        image.load()
        return upright(np.asarray(image), _orientation(image, []))
    return None


@contextlib.contextmanager
def _picture_errors(path: Path) -> Iterator[None]:
    """Turn every exception of a decoder into PictureError, lack of memory into MemoryLimitError."""
    try:
        if path.stat().st_size == 0:
            raise PictureError(f"{path}: the file is empty; give another picture")
        with silent_warnings:  # Pillow's, about metadata
            yield
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"{path}: {unknown_format(path)}") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{path}: {_too_large()}") from None
    except MemoryError:
        raise MemoryLimitError(f"{path}: not enough memory to decode it; make it smaller") from None
    # Decoders raise almost anything for a damaged file, even SyntaxError and struct.error.
    except Exception as error:
        raise PictureError(
            f"{path}: damaged or unreadable ({error_text(error)}); give another picture"
        ) from None


def error_text(error: Exception) -> str:
    """The message of an exception on one line, at most 200 characters."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def _check_size(path: Path, image: ImageFile.ImageFile) -> None:
    """Raise PictureError if decoding by the size in the head takes too much memory or time."""
    pixels = _pixels(image)
    is_reducible = getattr(image, "is_reducible", image.format in REDUCIBLE)
    most = MAX_REDUCED_PIXELS if is_reducible else MAX_PIXELS
    if pixels > most or max(image.size) > MAX_SIDE:
        raise PictureError(f"{path}: {_too_large()}")
    is_rle = image.tile and image.tile[0].codec_name == "bmp_rle"
    if is_rle and pixels > MAX_RLE_PIXELS:
        raise PictureError(f"{path}: is too large a compressed BMP; save it as PNG")


def _pixels(image: Image.Image) -> int:
    return image.width * image.height


def _too_large() -> str:
    """The reason against a picture beyond MAX_PIXELS or MAX_SIDE."""
    most = f"{MAX_PIXELS / 1e6:.0f} megapixels or {MAX_SIDE:,} pixels along a side"
    return f"has more than {most}; make it smaller first"


def _decode(
    path: Path, sha256: str, file: ImageFile.ImageFile, long_side: int | None, factor: float
) -> Picture:
    """Decode an opened picture as ``read_picture`` describes it."""
    _check_size(path, file)
    notes: list[str] = []
    file_size = file.size
    scale = _scale(file_size, long_side, factor)
    size = size_as_read(file_size, long_side, factor)
    if size[0] * size[1] > MAX_PIXELS and factor > 1:
        raise PictureError(
            f"{path}: would be {size[0]} x {size[1]}; use a smaller --image_size or --style_scale"
        )
    # Some decoders can shrink by powers of two. Twice the target leaves Lanczos enough detail.
    enough = scale if _pixels(file) > MAX_PIXELS else 2 * scale
    if enough < 1:
        file.draft(file.mode, scaled_size(file_size, enough))
    if _pixels(file) > MAX_PIXELS:
        raise PictureError(f"{path}: {_too_large()}, or give a smaller --image_size")
    correct_key(file)
    deep = deep_to_srgb(path, file, max(1, int(0.5 / scale)), notes)
    if deep is None:
        file.load()
        notes += getattr(file, "notes", [])
    orientation = _orientation(file, notes)

    image = _without_empty_alpha(deep or _eight_bit(file, notes), notes)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    if orientation in SIDEWAYS:
        file_size = file_size[::-1]

    transparency = None
    if image.mode in ("LA", "RGBA"):
        transparency = np.asarray(image.getchannel("A"))
        image = image.convert(image.mode[:-1])
        if transparency.min() == 255:
            transparency = None
    if deep is None:
        image = to_srgb(image, read_tags(path, file, notes), notes)
    if transparency is not None:
        image = over_white(image, Image.fromarray(transparency))
    return Picture(
        path, sha256, file_size, np.array(image), transparency, tuple(notes), orientation
    )


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation of a picture, 1 (upright) to 8; 1 if it has none."""
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF data raises almost anything
        notes.append("its EXIF data is damaged; the picture was not rotated")
        return 1


def _eight_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    """Convert to a mode that can be resized and profiled: L, LA, RGB, RGBA, CMYK or LAB."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = _from_deep_grey(image, notes)
        key = image.info.get("transparency")  # the grey level that stands for transparent
        if isinstance(key, int):
            grey.putalpha(Image.fromarray(np.where(np.asarray(image) == key, 0, 255).astype("u1")))
        return grey
    if image.mode == "1" and "transparency" in image.info:
        key = image.info["transparency"]
        grey = image.convert("L")
        grey.putalpha(image.point(lambda level: 0 if level == key else 255, "L"))
        return grey
    if image.mode == "1":
        return image.convert("L")
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("L", "LA", "La") else "RGBA")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("RGB")


def _without_empty_alpha(image: Image.Image, notes: list[str]) -> Image.Image:
    """Drop an alpha channel that hides everything, which nobody means.

    Before the image is resized, where hidden pixels lose their colours.
    """
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (0, 0):
        notes.append("its transparency hides all of it and was ignored")
        return image.convert(image.mode[:-1])
    return image


def _from_deep_grey(image: Image.Image, notes: list[str]) -> Image.Image:
    """Map 16-bit, 32-bit and float grey levels to 0..255; ValueError if some are not finite."""
    grey = np.asarray(image)
    low, high = float(grey.min()), float(grey.max())
    if not np.isfinite((low, high)).all():
        raise ValueError("it has pixels that are not finite numbers")
    if image.mode == "F":
        levels = float_levels(low, high, notes)
    elif image.mode.startswith("I;16"):
        levels = Levels(0, 65535)
    else:
        levels = signed_levels(low, high, notes)
    if levels.white == 65535:
        notes += low_levels_note(high, 65535)
    return Image.fromarray(np.rint(levels.share(grey) * 255).astype(np.uint8))
