"""What one run works on: its settings and its pictures, read and checked before any computing."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nst import images, summaries
from nst.encode import check_side
from nst.errors import OutputError, PictureError, UsageError
from nst.images import Picture
from nst.pictures import LEAST_MASS, resize
from nst.settings import START_WORDS, Settings

MASKS = ("content_mask", "style_mask")
OF_STYLE = ("style_weights", "content_mask", "style_mask", "preserve_colors")


@dataclass(frozen=True)
class Job:
    """One picture to make.

    content: None for a texture. styles: none where there is no style cost and no start from it.
    start: the picture of ``--init FILE``, None for its words. content_mask, style_mask: the masks
    as they were read; content_masks, style_masks: (H, W) float32, 0..1, of the size they mask.
    """

    settings: Settings
    content: Picture | None
    styles: tuple[Picture, ...]
    start: Picture | None
    content_mask: tuple[Picture, ...] = ()
    style_mask: tuple[Picture, ...] = ()
    content_masks: tuple[np.ndarray, ...] = ()
    style_masks: tuple[np.ndarray, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture to make, in pixels."""
        return self.content.rgb.shape[:2] if self.content else self.settings.image_size[::-1]

    @property
    def style_sizes(self) -> tuple[float, ...]:
        """The long side that each style was asked for; its file may be smaller."""
        return tuple(asked_side(self.settings, self.size, s.file_size) for s in self.styles)

    @property
    def stems(self) -> tuple[str, str]:
        """What the run folder is called after: the stems of content and styles."""
        content = self.content.path if self.content else None
        return stems(content, [style.path for style in self.styles])

    @property
    def names(self) -> tuple[str | None, list[str]]:
        """The names of the files of content and styles."""
        content = self.content.path.name if self.content else None
        return content, [style.path.name for style in self.styles]

    @property
    def alpha(self) -> np.ndarray | None:
        """The transparency of the result, (H, W) uint8: that of the content, if it has any."""
        return self.content.alpha if self.content else None

    @property
    def pictures(self) -> dict[str, list[Picture]]:
        """Every picture that was read, by its role."""
        return {
            "content": [self.content] if self.content else [],
            "style": list(self.styles),
            "start": [self.start] if self.start else [],
            "content_mask": list(self.content_mask),
            "style_mask": list(self.style_mask),
        }


def stems(content: Path | None, styles: Sequence[Path]) -> tuple[str, str]:
    """What the run folder is called after: the stems of content and styles."""
    of_styles = "+".join(style.stem for style in styles)
    return content.stem if content else "texture", of_styles or "reconstruction"


def title(content: str | None, styles: Sequence[str]) -> str:
    """What is painted how, from names of files, for a user."""
    painted = content or "texture"
    return f"{painted} in the style of {' + '.join(styles)}" if styles else painted


def outline(settings: Settings) -> Job:
    """Return the job of ``settings`` with the hashes of its pictures and no pixels.

    Raises PictureError or UsageError.
    """
    found = {role: tuple(map(images.outline, paths)) for role, paths in _find(settings).items()}
    return Job(
        settings,
        next(iter(found["content"]), None),
        found["style"],
        next(iter(found["start"]), None),
        found["content_mask"],
        found["style_mask"],
    )


def prepare(settings: Settings) -> Job:
    """Read the pictures and check the output folder, making nothing.

    Raises PictureError, UsageError or OutputError.
    """
    check(settings)
    paths = _find(settings)

    content = None
    if paths["content"]:
        long_side = None if settings.image_size == "original" else settings.image_size
        content = images.read(paths["content"][0], long_side)
    size = content.rgb.shape[:2] if content else settings.image_size[::-1]
    check_side(settings.output_format, size)
    style_side = style_long_side(settings, size)
    styles = tuple(images.read(path, style_side, settings.style_scale) for path in paths["style"])
    start = images.read(paths["start"][0], max(size)) if paths["start"] else None
    sizes = [size] * len(styles), [style.rgb.shape[:2] for style in styles]
    (content_mask, content_masks), (style_mask, style_masks) = (
        _read_masks(setting, paths[setting], of) for setting, of in zip(MASKS, sizes)
    )
    return Job(
        settings,
        content,
        styles,
        start,
        content_mask,
        style_mask,
        content_masks,
        style_masks,
    )


def describe(job: Job) -> list[str]:
    """Tell a user which pictures are used, and for what."""
    settings, lines = job.settings, []
    if job.content is None:
        height, width = job.size
        lines.append(f"Texture   {width} x {height}, without a content picture")
    else:
        without = "" if settings.alpha else "; alpha is 0: for size and start only"
        lines.append(f"Content   {_described(job.content)}{without}")
    shares = settings.style_shares(len(job.styles)) if job.styles else ()
    for style, share in zip(job.styles, shares):
        weight = f", weight {share:.3g}" if len(job.styles) > 1 else ""
        without = "" if settings.beta else "; beta is 0: for the start only"
        lines.append(f"Style     {_described(style)}{weight}{without}")
    if not job.styles:
        lines.append("Style     none, as beta is 0: the content is reconstructed")
    lines += [f"Mask      {_described(mask)}" for mask in job.content_mask + job.style_mask]
    changed = settings.changed()
    if settings.optimizer == "lbfgs" and "learning_rate" in changed:
        lines.append("          learning_rate has no effect: lbfgs finds its own step size")
    if idle := [name for name in OF_STYLE if name in changed and not settings.beta]:
        lines.append(f"          {', '.join(idle)}: no effect, as beta is 0")
    return lines


def remarks(job: Job) -> list[str]:
    """What is not as a user may expect of the pictures of a job."""
    return [
        f"{picture.path}: {note}"
        for pictures in job.pictures.values()
        for picture in pictures
        for note in picture.notes
    ]


def _described(picture: Picture) -> str:
    height, width = picture.rgb.shape[:2]
    description = f"{picture.path}, {width} x {height}"
    if picture.file_size != (width, height):
        description += " from {} x {}".format(*picture.file_size)
    return "; ".join((description, *picture.notes))


def check(settings: Settings) -> None:
    """Raise what can be raised before a picture is looked for: UsageError or OutputError."""
    _check_size(settings)
    check_output(Path(settings.output_dir))
    if settings.tensorboard:
        summaries.check()


def _check_size(settings: Settings) -> None:
    """Raise UsageError for a texture that is too large to be a picture."""
    if isinstance(settings.image_size, tuple):
        width, height = settings.image_size
        if width * height > images.MAX_PIXELS:
            raise UsageError(
                f"image_size: {width}x{height} is more than {images.MAX_PIXELS / 1e6:.0f} "
                "megapixels; make it smaller"
            )


def check_counts(settings: Settings, styles: int) -> None:
    """Raise UsageError unless there is one of everything for each of so many styles."""
    for name in ("style_weights", "content_mask", "style_mask"):
        values = getattr(settings, name)
        if values and len(values) != styles:
            raise UsageError(f"{name}: {len(values)} for {styles} styles; give one for each")


def is_mixed(settings: Settings) -> bool:
    """Whether several styles make one picture, rather than one each."""
    return bool(settings.style_weights or settings.content_mask)


def asked_side(settings: Settings, size: tuple[int, int], of_file: tuple[int, int]) -> float:
    """The long side that a style is asked for, of a file of (width, height), for a picture."""
    return settings.style_scale * (style_long_side(settings, size) or max(of_file))


def _find(settings: Settings) -> dict[str, list[Path]]:
    """The files of one picture by their role; raises PictureError or UsageError."""
    contents = settings.content_image_filename or ()
    if len(contents) > 1:
        raise UsageError(f"content_image_filename: {len(contents)} contents for one picture")
    styles: tuple[str, ...] = ()
    if settings.beta or settings.init == "style":
        styles = settings.style_image_filename
        if len(styles) > 1 and not is_mixed(settings):
            raise UsageError(
                f"style_image_filename: {len(styles)} styles for one picture; mix them with "
                "--style_weights, or give each a --content_mask"
            )
        check_counts(settings, len(styles))
    found = {"content": [images.find(name, "content_image_filename") for name in contents]}
    found["style"] = [images.find(name, "style_image_filename") for name in styles]
    start = [] if settings.init in START_WORDS else [settings.init]
    setting = f"init ({', '.join(START_WORDS)}, or a file)"
    found["start"] = [images.find(name, setting) for name in start]
    for setting in MASKS:  # without a style cost they have no effect
        names = getattr(settings, setting) if settings.beta else None
        found[setting] = [images.find(name, setting) for name in names or ()]
    return found


def style_long_side(settings: Settings, size: tuple[int, int]) -> int | None:
    """The long side to read a style at, before ``style_scale``; None for that of its file.

    Strokes keep their size in the result, of ``size``, if both have the same.
    """
    if settings.style_size is None:
        return max(size)
    return None if settings.style_size == "original" else settings.style_size


def _read_masks(
    setting: str, paths: list[Path], sizes: list[tuple[int, int]]
) -> tuple[tuple[Picture, ...], tuple[np.ndarray, ...]]:
    """Read masks and stretch each to its size, (height, width)."""
    pictures = tuple(images.read(path, max(size)) for path, size in zip(paths, sizes))
    return pictures, tuple(_fit_mask(*item, setting) for item in zip(pictures, sizes))


def _fit_mask(mask: Picture, size: tuple[int, int], setting: str) -> np.ndarray:
    """Return a mask as (height, width) float32, 0..1, of ``size``; transparent parts are 0."""
    shades = mask.rgb.mean(axis=2, dtype=np.float32) / 255
    if mask.alpha is not None:  # the picture was shown on white
        shades = np.clip(shades - (1 - mask.alpha / np.float32(255)), 0, 1)
    if shades.mean(dtype=np.float64) < LEAST_MASS:
        raise PictureError(f"{mask.path}: the mask is black; paint white where --{setting} applies")
    return resize(shades, size)


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
