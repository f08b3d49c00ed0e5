"""Small versions of pictures, within a number of bytes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image

from nst.pictures import over_white, scaled_size

T = TypeVar("T")
SMALLEST = 32  # pixels


def evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """Up to ``most`` of the items, as far apart as each other; the last one is among them."""
    every = -(-len(items) // most)
    return items[::-1][::every][::-1]


def opened(path: Path) -> Image.Image | None:
    """The picture of a frame or result, RGB, on white where it is transparent.

    None for a file that is not there any more, or that somebody damaged.
    """
    try:
        with Image.open(path) as image:
            alpha = image.getchannel("A") if image.mode == "RGBA" else None
            return over_white(image.convert("RGB"), alpha)
    except (OSError, SyntaxError, ValueError):
        return None


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """An image with a long side of ``side`` pixels at most."""
    size = scaled_size(image.size, min(1.0, side / max(image.size)))
    how = Image.Resampling.LANCZOS
    return image if size == image.size else image.resize(size, how, reducing_gap=3.0)


def jpeg(image: Image.Image, side: int, most: int | None = None, quality: int = 85) -> bytes:
    """A JPEG file of an image, with a long side of ``side`` pixels at most.

    most: bytes that it may have; it gets smaller until it has no more.
    """
    while True:
        small, buffer = shrunk(image, side), io.BytesIO()
        small.save(buffer, "JPEG", quality=quality)
        size = buffer.tell()
        if most is None or size <= most or side <= SMALLEST:
            return buffer.getvalue()
        side = max(SMALLEST, int(max(small.size) * min(0.9, (most / size) ** 0.5)))
