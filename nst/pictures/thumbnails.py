"""Small versions of pictures, limited in pixels and bytes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from nst.layout import MARK
from nst.pictures.resize import over_white, scaled_size

T = TypeVar("T")
SMALLEST = 32  # pixels along the long side


def choose_evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """Up to ``most`` of the items at equal distances, the last item included."""
    step = -(-len(items) // most)
    return items[::-1][::step][::-1]  # counted from the end, which is kept


def open_picture(path: Path) -> Image.Image | None:
    """A frame or result as an RGB image, its transparent parts on white.

    None if the file is missing or damaged.
    """
    try:
        with Image.open(path) as image:
            transparency = image.getchannel("A") if image.mode == "RGBA" else None
            return over_white(image.convert("RGB"), transparency)
    except (OSError, SyntaxError, ValueError):
        return None


def shrink(image: Image.Image, side: int) -> Image.Image:
    """An image with a long side of at most ``side`` pixels; never enlarged."""
    size = scaled_size(image.size, min(1.0, side / max(image.size)))
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def encode_jpeg(image: Image.Image, side: int, most: int | None = None, quality: int = 85) -> bytes:
    """Return the bytes of a JPEG file with a long side of at most ``side`` pixels.

    most: limit in bytes, None for no limit; the image is shrunk until it fits or is SMALLEST.
    quality: of JPEG, 0..100.
    """
    while True:
        small, buffer = shrink(image, side), io.BytesIO()
        small.save(buffer, "JPEG", quality=quality, comment=MARK)
        size = buffer.tell()
        if most is None or size <= most or side <= SMALLEST:
            return buffer.getvalue()
        side = max(SMALLEST, int(max(small.size) * min(0.9, (most / size) ** 0.5)))
