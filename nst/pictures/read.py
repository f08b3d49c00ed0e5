"""A picture file, which may be damaged or hostile -> an sRGB array."""

import contextlib
import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from nst.errors import MemoryLimitError, PictureError
from nst.files import file_hash
from nst.pictures.resize import over_white, scaled_size
from nst.silence import silent_stderr, silent_warnings

# Formats that are safe to decode. EPS would start another program; PDF is a document.
FORMATS = (
    "AVIF",
    "BMP",
    "DIB",
    "GIF",
    "JPEG",
    "JPEG2000",
    "PNG",
    "PPM",
    "TGA",
    "TIFF",
    "WEBP",
)
# Decoding takes 4 to 25 bytes a pixel, depending on the format: 0.5 to 3.2 GB at this limit.
MAX_PIXELS = 128_000_000
MAX_SIDE = 1_000_000  # decoders allocate some memory for each row
MAX_RLE_PIXELS = 32_000_000  # of compressed BMP, which Pillow decodes byte by byte
MAX_SCANS = 200  # of a progressive JPEG: decoding each scan passes over the whole picture

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # failures are raised as exceptions

ORIENTATION_TAG = 0x0112
UPRIGHT = {  # EXIF orientation -> the operation that turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@dataclass(frozen=True)
class Picture:
    """A picture ready for the network.

    path: of the file.
    sha256: of the file, hexadecimal.
    file_size: (width, height) in the file, turned upright, in pixels.
    rgb: (H, W, 3) uint8, sRGB; transparent parts are composited over white.
    transparency: (H, W) uint8, 0 transparent .. 255 opaque, or None for an opaque picture.
    notes: for the user, one sentence for each thing that was guessed or left out.
    """

    path: Path
    sha256: str
    file_size: tuple[int, int]
    rgb: np.ndarray
    transparency: np.ndarray | None
    notes: tuple[str, ...] = ()


def peek_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture, turned upright, from the head of its file.

    Raises PictureError for a file that its head shows to be unreadable.
    """
    with _picture_errors(path), silent_stderr(), Image.open(path, formats=FORMATS) as image:
        _check_size(path, image)
        width, height = image.size
        if image.format == "TIFF":  # Pillow has turned this size upright
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
        _check_scans(path, file)
        with silent_stderr(), Image.open(file, formats=FORMATS) as image:
            return _decode(path, sha256, image, long_side, factor)


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
        raise PictureError(f"{path}: {_unknown_format(path)}") from None
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
    pixels = image.width * image.height
    if pixels > MAX_PIXELS or max(image.size) > MAX_SIDE:
        raise PictureError(f"{path}: {_too_large()}")
    is_rle = image.tile and image.tile[0].codec_name == "bmp_rle"
    if is_rle and pixels > MAX_RLE_PIXELS:
        raise PictureError(f"{path}: is too large a compressed BMP; save it as PNG")


def _check_scans(path: Path, file: BinaryIO) -> None:
    """Raise PictureError for a JPEG whose many scans take minutes to decode; rewinds the file."""
    file.seek(0)
    scans, last_byte = 0, b""
    is_jpeg = file.read(2) == b"\xff\xd8"
    while is_jpeg and (block := file.read(2**20)):
        scans += (last_byte + block).count(b"\xff\xda")  # a marker may span two blocks
        last_byte = block[-1:]
    if scans > MAX_SCANS:
        raise PictureError(f"{path}: has {scans} scans; save it again as an ordinary JPEG")
    file.seek(0)


def _too_large() -> str:
    """The reason against a picture beyond MAX_PIXELS or MAX_SIDE."""
    most = f"{MAX_PIXELS / 1e6:.0f} megapixels or {MAX_SIDE:,} pixels along a side"
    return f"has more than {most}; make it smaller first"


def _unknown_format(path: Path) -> str:
    """The reason against a file in none of FORMATS."""
    with open(path, "rb") as file:
        head = file.read(16)
    if head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis"):
        return "is a HEIC or video file, which is not read; save it as JPEG or PNG"
    formats = "JPEG, PNG, WebP, TIFF, BMP, GIF"
    return f"is not a picture that can be read ({formats} and a few more); give another file"


def _decode(
    path: Path, sha256: str, file: ImageFile.ImageFile, long_side: int | None, factor: float
) -> Picture:
    """Decode an opened picture as ``read_picture`` describes it."""
    _check_size(path, file)
    notes: list[str] = []
    file_size = file.size
    scale = _scale(file_size, long_side, factor)
    size = size_as_read(file_size, long_side, factor)
    if size[0] * size[1] > MAX_PIXELS:
        raise PictureError(
            f"{path}: would be {size[0]} x {size[1]}; use a smaller --image_size or --style_scale"
        )
    if 2 * scale < 1:
        # A JPEG decoder can shrink by powers of two. Twice the target leaves Lanczos enough detail.
        file.draft(file.mode, scaled_size(file_size, 2 * scale))
    file.load()
    profile = file.info.get("icc_profile")
    orientation = _orientation(file, notes)

    image = _eight_bit(file, notes)
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
    image = _to_srgb(image, profile, notes)
    if transparency is not None:
        image = over_white(image, Image.fromarray(transparency))
    return Picture(path, sha256, file_size, np.array(image), transparency, tuple(notes))


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


def _from_deep_grey(image: Image.Image, notes: list[str]) -> Image.Image:
    """Map 16-bit, 32-bit and float grey levels to 0..255; ValueError if some are not finite."""
    grey = np.asarray(image).astype(np.float32)
    if not np.isfinite(grey).all():
        raise ValueError("it has pixels that are not finite numbers")
    low, high = float(grey.min()), float(grey.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high <= 65535):
        grey /= 257
    elif image.mode == "F" and low >= -0.5 and high <= 1.5:  # 0..1, with overshoot of resampling
        grey = np.clip(grey, 0, 1) * 255
    elif low < 0 or high > 255:
        grey = (grey - low) * (255 / max(high - low, 1e-9))
        notes.append(f"its grey levels {low:g} to {high:g} were mapped to 0..255")
    return Image.fromarray(np.rint(grey).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """Convert L, RGB, CMYK or LAB to sRGB, by the ICC profile of the file if it is usable."""
    if profile:
        try:
            return _convert_profile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError):
            notes.append("its ICC profile does not fit or is damaged; its colours were left alone")
    if image.mode == "LAB":
        return _convert_profile(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    return image.convert("RGB")


def _convert_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Convert an image from the colour space of ``profile`` to sRGB; raises PyCMSError."""
    converted = ImageCms.profileToProfile(image, profile, SRGB, outputMode="RGB")
    assert converted is not None  # None only for inPlace=True
    return converted
