"""Any picture file -> sRGB array, safely."""

import contextlib
import hashlib
import io
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from nst.errors import MemoryLimitError, PictureError
from nst.files import file_hash
from nst.pictures import over_white, scaled_size
from nst.silence import silent_stderr

SHIPPED = Path(__file__).resolve().parent.parent / "images"

# Decoders that only decode: no format that starts another program (EPS) or is a document (PDF).
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
# Decoding takes 4 to 25 bytes a pixel, by the kind of file: 0.5 to 3.2 GB at this size.
MAX_PIXELS = 128_000_000
MAX_SIDE = 1_000_000  # libraries keep something for each row
MAX_RLE_PIXELS = 32_000_000  # of compressed BMP, which Pillow decodes byte by byte
MAX_SCANS = 200  # of a progressive JPEG: each goes through all of the picture

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what matters comes as an exception

ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@dataclass(frozen=True)
class Picture:
    """A picture ready for the network.

    path: where it was read from.
    sha256: of the file.
    file_size: (width, height) of the upright picture in the file, in pixels.
    rgb: (H, W, 3) uint8, sRGB; transparent parts are shown on white.
    alpha: (H, W) uint8, 0 transparent .. 255 opaque, or None for a picture without alpha.
    notes: what had to be guessed or left out, a sentence each.
    """

    path: Path
    sha256: str
    file_size: tuple[int, int]
    rgb: np.ndarray
    alpha: np.ndarray | None
    notes: tuple[str, ...] = ()


def shipped(name: str) -> Path | None:
    """The picture of ``images/`` called ``name``, if there is one."""
    return SHIPPED / name if (SHIPPED / name).exists() else None


def find(name: str, setting: str) -> Path:
    """Return the file called ``name``: as it stands, or for a bare name also in ``images/``.

    ``setting`` is what the user gave it as. Raises PictureError unless it is a readable file.
    """
    path = Path(name)
    try:
        if not path.exists() and path.name == name:
            path = shipped(name) or path
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        where = " here or in images/" if path.name == name else ""
        raise PictureError(f"{name}: no such file{where}; check --{setting}") from None
    except (OSError, ValueError) as error:
        raise PictureError(f"{name}: {_reason(error)}; check --{setting}") from None
    if stat.S_ISDIR(mode):
        raise PictureError(f"{name}: is a folder; give a picture file with --{setting}")
    if not stat.S_ISREG(mode):  # a pipe or device could block or never end
        raise PictureError(f"{name}: is not a regular file; give a picture file with --{setting}")
    if not os.access(path, os.R_OK):
        raise PictureError(f"{name}: permission denied; make it readable or change --{setting}")
    return path


def peek(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture, upright, from the head of its file.

    Raises PictureError for what is no picture that can be read, as far as the head tells.
    """
    with _refusals(path), silent_stderr(), Image.open(path, formats=FORMATS) as image:
        _check_size(path, image)
        width, height = image.size
        # A TIFF tells the size upright, and a PNG is decoded in search of its EXIF data.
        asks = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
        turned = asks and _orientation(image, []) in (5, 6, 7, 8)
        return (height, width) if turned else (width, height)


def sized(size: tuple[int, int], long_side: int | None, factor: float = 1.0) -> tuple[int, int]:
    """Return the (width, height) at which ``read`` reads a picture of ``size``."""
    return scaled_size(size, _scale(size, long_side, factor))


def _scale(size: tuple[int, int], long_side: int | None, factor: float) -> float:
    return factor * (1.0 if long_side is None else min(1.0, long_side / max(size)))


def outline(path: Path) -> Picture:
    """Return a picture with its hash and no pixels; raises PictureError for an unreadable file."""
    with _refusals(path):
        return Picture(path, file_hash(path), (0, 0), np.empty((0, 0, 3), np.uint8), None)


def read(path: Path, long_side: int | None = None, factor: float = 1.0) -> Picture:
    """Read the first frame of a picture, upright, in sRGB, shrunk on load.

    long_side: the longer side in pixels, never enlarged; None keeps the size of the file.
    factor: by which that size is changed once more, larger or smaller.
    Raises PictureError, naming the file, for anything that is not a whole picture.
    """
    with _refusals(path), open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        _check_scans(path, file)
        with silent_stderr(), Image.open(file, formats=FORMATS) as image:
            return _decode(path, sha256, image, long_side, factor)


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Raise PictureError for whatever Pillow raises."""
    try:
        if path.stat().st_size == 0:
            raise PictureError(f"{path}: the file is empty; give another picture")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata; errors still raise
            yield
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"{path}: {_unknown_format(path)}") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{path}: {_too_large()}") from None
    except MemoryError:
        raise MemoryLimitError(f"{path}: not enough memory to decode it; make it smaller") from None
    # Decoders meet damaged files with almost any exception, SyntaxError and struct.error included.
    except Exception as error:
        raise PictureError(
            f"{path}: damaged or unreadable ({_reason(error)}); give another picture"
        ) from None


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def _check_size(path: Path, image: Image.Image) -> None:
    """Refuse what takes too much memory or time to decode, whatever it holds."""
    pixels, longer = image.width * image.height, max(image.size)
    if pixels > MAX_PIXELS or longer > MAX_SIDE:
        raise PictureError(f"{path}: {_too_large()}")
    is_rle = image.tile and image.tile[0].codec_name == "bmp_rle"
    if is_rle and pixels > MAX_RLE_PIXELS:
        raise PictureError(f"{path}: is too large a compressed BMP; save it as PNG")


def _check_scans(path: Path, file: BinaryIO) -> None:
    """Refuse a JPEG of so many scans that decoding it would take minutes; rewinds the file."""
    file.seek(0)
    scans, last = 0, b""
    is_jpeg = file.read(2) == b"\xff\xd8"
    while is_jpeg and (block := file.read(2**20)):
        scans += (last + block).count(b"\xff\xda")
        last = block[-1:]
    if scans > MAX_SCANS:
        raise PictureError(f"{path}: has {scans} scans; save it again as an ordinary JPEG")
    file.seek(0)


def _too_large() -> str:
    most = f"{MAX_PIXELS / 1e6:.0f} megapixels or {MAX_SIDE:,} pixels along a side"
    return f"has more than {most}; make it smaller first"


def _unknown_format(path: Path) -> str:
    with open(path, "rb") as file:
        head = file.read(16)
    if head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis"):
        return "is a HEIC or video file, which is not read; save it as JPEG or PNG"
    known = "JPEG, PNG, WebP, TIFF, BMP, GIF"
    return f"is not a picture that can be read ({known} and a few more); give another file"


def _decode(
    path: Path, sha256: str, image: Image.Image, long_side: int | None, factor: float
) -> Picture:
    _check_size(path, image)
    notes: list[str] = []
    full_size = image.size
    scale = _scale(full_size, long_side, factor)
    size = sized(full_size, long_side, factor)
    if size[0] * size[1] > MAX_PIXELS:
        raise PictureError(f"{path}: would be {size[0]} x {size[1]}; use a smaller --style_scale")
    shrink = 2 * scale
    if shrink < 1:
        # JPEG halves its size while decoding; twice the target leaves the filter enough to do.
        image.draft(image.mode, tuple(max(1, round(side * shrink)) for side in image.size))
    image.load()
    profile = image.info.get("icc_profile")
    orientation = _orientation(image, notes)
    image = _eight_bit(image, notes)

    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    if orientation in (5, 6, 7, 8):
        full_size = full_size[::-1]

    alpha = None
    if image.mode in ("LA", "RGBA"):
        alpha = np.asarray(image.getchannel("A"))
        image = image.convert(image.mode[:-1])
        if alpha.min() == 255:
            alpha = None
    image = _to_srgb(image, profile, notes)
    if alpha is not None:
        image = over_white(image, Image.fromarray(alpha))
    return Picture(path, sha256, full_size, np.array(image), alpha, tuple(notes))


def _orientation(image: Image.Image, notes: list[str]) -> int:
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF data raises almost anything; the pixels are still good
        notes.append("its EXIF data is damaged; the picture was not rotated")
        return 1


def _eight_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    """Bring any mode to one that can be resized and profiled: L, LA, RGB, RGBA, CMYK or LAB."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = _from_deep_grey(image, notes)
        key = image.info.get("transparency")
        if isinstance(key, int):
            grey.putalpha(Image.fromarray(np.where(np.asarray(image) == key, 0, 255).astype("u1")))
        return grey
    if image.mode == "1" and "transparency" in image.info:
        alpha = image.point(lambda level: 0 if level == image.info["transparency"] else 255, "L")
        grey = image.convert("L")
        grey.putalpha(alpha)
        return grey
    if image.mode == "1":
        return image.convert("L")
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("L", "LA", "La") else "RGBA")
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image, notes: list[str]) -> Image.Image:
    """Map 16-bit, 32-bit and float grey levels to 0..255."""
    grey = np.asarray(image).astype(np.float32)
    if not np.isfinite(grey).all():
        raise ValueError("it has pixels that are not finite numbers")
    low, high = float(grey.min()), float(grey.max())
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and 255 < high <= 65535):
        grey /= 257
    elif image.mode == "F" and low >= -0.5 and high <= 1.5:  # 0..1, and what resampling overshoots
        grey = np.clip(grey, 0, 1) * 255
    elif low < 0 or high > 255:
        grey = (grey - low) * (255 / max(high - low, 1e-9))
        notes.append(f"its grey levels {low:g} to {high:g} were mapped to 0..255")
    return Image.fromarray(np.rint(grey).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """Convert L, RGB, CMYK or LAB to sRGB by the file's ICC profile, if it has a usable one."""
    if profile:
        try:
            return ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB, outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError):
            notes.append("its ICC profile does not fit or is damaged; its colours were left alone")
    if image.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return ImageCms.profileToProfile(image, lab, SRGB, outputMode="RGB")
    return image.convert("RGB")
