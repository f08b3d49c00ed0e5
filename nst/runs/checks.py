"""What is refused before a picture is read: sizes, counts, an output folder without access."""

import os
from pathlib import Path

from nst.errors import OutputError, UsageError
from nst.pictures.read import MAX_PIXELS
from nst.runs.tensorboard import check_tensorboard
from nst.settings import Settings


def check_settings(settings: Settings) -> None:
    """Raise UsageError or OutputError for what can be seen from the settings alone."""
    if sides := settings.texture_size or settings.exact_size:
        height, width = sides
        if width * height > MAX_PIXELS:
            raise UsageError(
                f"image_size: {width}x{height} is more than {MAX_PIXELS / 1e6:.0f} megapixels; "
                "make it smaller"
            )
    check_output(Path(settings.output_dir))
    if settings.tensorboard:
        check_tensorboard()


def check_counts(settings: Settings, styles: int) -> None:
    """Raise UsageError unless weights and masks, if given, are as many as the styles."""
    for name in ("style_weights", "content_mask", "style_mask"):
        values = getattr(settings, name)
        if values and len(values) != styles:
            raise UsageError(f"{name}: {len(values)} for {styles} styles; give one for each")


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


def is_mixed(settings: Settings) -> bool:
    """Whether several styles make one picture, rather than one each."""
    return bool(settings.style_weights or settings.content_mask)
