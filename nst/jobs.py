"""What one run works on: its settings and its pictures, read and checked before any computing."""

import os
from dataclasses import dataclass
from pathlib import Path

from nst import images
from nst.errors import OutputError
from nst.images import Picture
from nst.settings import START_WORDS, Settings


@dataclass(frozen=True)
class Job:
    """One picture to make. ``start`` is the picture of ``--init FILE``, None for its words."""

    settings: Settings
    content: Picture
    style: Picture
    start: Picture | None


def prepare(settings: Settings) -> Job:
    """Read the pictures and check the output folder, making nothing.

    Raises PictureError or OutputError.
    """
    content_path = images.find(settings.content_image_filename, "content_image_filename")
    style_path = images.find(settings.style_image_filename, "style_image_filename")
    start_path = None
    if settings.init not in START_WORDS:
        start_path = images.find(settings.init, f"init ({', '.join(START_WORDS)}, or a file)")
    check_output(Path(settings.output_dir))
    long_side = None if settings.image_size == "original" else settings.image_size
    content = images.read(content_path, long_side)
    # Strokes keep their size in the result when both pictures have the same long side.
    style = images.read(style_path, content.long_side)
    start = images.read(start_path, content.long_side) if start_path else None
    return Job(settings, content, style, start)


def check_output(folder: Path) -> None:
    """Raise OutputError unless ``folder`` can be written, or made where it is missing."""
    existing = folder
    try:
        while not existing.exists():
            existing = existing.parent
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}; change --output_dir") from None
    if not existing.is_dir():
        raise OutputError(f"{existing}: is a file, not a folder; change --output_dir")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"{existing}: cannot be written; change its permissions or --output_dir")
