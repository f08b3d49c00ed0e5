"""What is refused before a picture is read: sizes, counts, an output folder without access."""

import os
import tempfile
from pathlib import Path

from nst.errors import OutputError, UsageError
from nst.pictures.pixel_limits import MAX_PIXELS
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
    """Raise UsageError unless weights, masks and their colours, if given, fit the styles.

    One mask may be a label picture for all styles, or a folder.
    """
    weights = settings.style_weights
    if weights and len(weights) != styles:
        raise UsageError(f"style_weights: {len(weights)} for {styles} styles; give one for each")
    masks = {"content_mask": settings.content_mask, "style_mask": settings.style_mask}
    for name, files in masks.items():
        if files and len(files) not in (1, styles):
            raise UsageError(f"{name}: {len(files)} for {styles} styles; give one for each")
    files = settings.style_mask
    if files and len(files) < styles and not (is_mixed(settings) or os.path.isdir(files[0])):
        raise UsageError(
            f"style_mask: one for {styles} styles; give one for each, or with --content_mask a "
            "label picture for all"
        )
    if settings.mask_colors:
        _check_colors(settings, styles)


def _check_colors(settings: Settings, styles: int) -> None:
    """Raise UsageError unless there is a label picture, and each style has a colour of it."""
    if all(len(files or ()) != 1 for files in (settings.content_mask, settings.style_mask)):
        raise UsageError(
            "mask_colors: they are of one label picture, and there is a mask for each style; drop "
            "them, or give one --content_mask"
        )
    numbers = {style for _, style in settings.named_regions}
    for style in sorted(numbers ^ set(range(1, styles + 1))):
        reason = "there is no such style" if style > styles else "it has no colour"
        raise UsageError(
            f"mask_colors: style {style} of {styles}: {reason}; give each style a colour, as in "
            "red=1 blue=2"
        )


def check_output(folder: Path) -> None:
    """Raise OutputError unless ``folder`` can be written, or made where it is missing."""
    existing = folder
    try:
        while not existing.exists():
            if existing.is_symlink():
                raise OutputError(
                    f"{existing} links to {os.readlink(existing)}, which is not there; make that "
                    "folder, mount its disk, or change --output_dir"
                )
            existing = existing.parent
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}; change --output_dir") from None
    if not existing.is_dir():
        raise OutputError(f"{existing}: is a file, not a folder; change --output_dir")
    if not os.access(existing, os.W_OK | os.X_OK):
        reason, advice = "cannot be written", "change its permissions or --output_dir"
        if hasattr(os, "ST_RDONLY") and os.statvfs(existing).f_flag & os.ST_RDONLY:
            reason, advice = "is on a disk that is read-only", "change --output_dir"
        raise OutputError(f"{existing}: {reason}; {advice}")
    _check_names(existing, folder)


def _check_names(existing: Path, folder: Path) -> None:
    """Raise OutputError if the disk refuses a name of the folders that are missing.

    They are made in a folder of their own, as another process may be making the real ones.
    """
    missing = [part for part in folder.parts[len(existing.parts) :] if part != os.pardir]
    if not missing:
        return
    name = ""
    try:
        trial = tempfile.mkdtemp(dir=existing, prefix=".nst-")
        try:
            for name in missing:
                os.mkdir(os.path.join(trial, name))
                os.rmdir(os.path.join(trial, name))
        finally:
            os.rmdir(trial)
    except OSError as error:
        reason = f"the disk refuses the name {name} ({error.strerror})" if name else error.strerror
        raise OutputError(f"{folder}: {reason}; change --output_dir") from None


def is_mixed(settings: Settings) -> bool:
    """Whether several styles make one picture, rather than one each."""
    return bool(settings.style_weights or settings.content_mask)
